"""Which mounts give a rehearsal all files of this machine, and keep what it writes apart. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

__all__ = ["Mount", "mounts"]

_OVERLAID = frozenset("bcachefs btrfs ext2 ext3 ext4 f2fs overlay reiserfs tmpfs xfs zfs".split())
"""File systems of this machine alone that may lie below an overlay; of others only what is there is shown."""
_OWN = ("/dev", "/proc", "/run", "/sys")
"""The rehearsal has its own."""


@attrs.frozen
class Mount:
    """A file system of this machine."""

    path: str
    overlaid: bool
    """Writes go to an overlay; otherwise there are none."""


def mounts(mountinfo: str) -> tuple[Mount, ...]:
    """Returns what is to be mounted, those above before those below.

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
