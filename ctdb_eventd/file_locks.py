"""Parses /proc/locks, the kernel's list of file locks: which process holds or waits for a lock on which file. Pure."""

from __future__ import annotations

import re

import attrs

__all__ = ["FileLock", "parse"]

_LINE = re.compile(
    r"(?P<number>\d+): *(?P<arrow>-> )? *(?P<kind>[A-Z]+) +[A-Z]+ +(?P<mode>[A-Z]+) +(?P<pid>-?\d+) "
    r"(?P<major>[0-9a-f]+):(?P<minor>[0-9a-f]+):(?P<inode>\d+) "
)


@attrs.frozen(kw_only=True, repr=False)
class FileLock:
    """One lock on a file, or a wait for one."""

    number: int
    """The lock's number in the list. A wait has the number of the lock that it waits for."""
    waits: bool
    """Whether the process waits for it; False if it is held."""
    kind: str
    """How it was taken: FLOCK by flock(2), POSIX by fcntl(2) or lockf(3), OFDLCK by fcntl for an open file, LEASE."""
    mode: str
    """READ for a shared lock, WRITE for an exclusive one."""
    pid: int
    """The process that requested it. It may have ended if kind is FLOCK and a child keeps the lock by the open file. -1
    for OFDLCK: unknown."""
    device: tuple[int, int]
    """Major and minor number of the file system."""
    inode: int
    """The file's inode number there."""


def parse(text: str) -> tuple[FileLock, ...]:
    """Returns the locks and waits of /proc/locks in the order of the list; lines without a file are left out."""
    return tuple(
        FileLock(
            number=int(line["number"]),
            waits=line["arrow"] is not None,
            kind=line["kind"],
            mode=line["mode"],
            pid=int(line["pid"]),
            device=(int(line["major"], 16), int(line["minor"], 16)),
            inode=int(line["inode"]),
        )
        for line in map(_LINE.match, text.splitlines())
        if line is not None
    )
