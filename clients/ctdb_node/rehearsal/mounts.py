"""Decides which file systems of this machine a rehearsal sees, and which get an overlay for writes. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

__all__ = ["Mount", "mounts"]

_OVERLAID = frozenset("bcachefs btrfs ext2 ext3 ext4 f2fs overlay reiserfs tmpfs xfs zfs".split())
"""Local file systems that can be the lower layer of an overlay; all others are mounted read-only."""
_OWN = ("/dev", "/proc", "/run", "/sys")
"""The sandbox gets its own instances of these."""


@attrs.frozen
class Mount:
    """A file system of this machine."""

    path: str
    overlaid: bool
    """Writes go to an overlay; otherwise it is read-only."""


def mounts(mountinfo: str) -> tuple[Mount, ...]:
    """Returns what to mount, parents before children.

    Args:
        mountinfo: Content of /proc/self/mountinfo.
    """
    found = {path: Mount(path, kind in _OVERLAID) for path, kind in _lines(mountinfo) if not _is_own(path)}
    return tuple(found[path] for path in sorted(found))


def _lines(mountinfo: str) -> Iterator[tuple[str, str]]:
    for line in mountinfo.splitlines():
        before, _, behind = line.partition(" - ")
        yield _unescaped(before.split(" ")[4]), behind.split(" ")[0]


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _is_own(path: str) -> bool:
    return path.startswith(tuple(f"{own}/" for own in _OWN)) or path in _OWN
