"""Reads /proc: this process's memory and descriptors, commands and ancestors of processes, and locked files.

Doesn't access the files that processes have open: their file server may not respond.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Collection, Iterator

from ctdb_eventd.file_locks import FileLock, parse

__all__ = [
    "ancestor_groups",
    "ancestors",
    "command_of",
    "file_locks",
    "group_members",
    "has_lock",
    "locked_descriptors",
    "locked_path",
    "memory",
    "open_descriptors",
    "program_of",
    "started",
    "stat_of_living",
    "tree",
]

_MOST_GENERATIONS = 64
_MOST_SHOWN = 120
"""Bytes of a command line that are shown; the rest is cut."""


def command_of(pid: int) -> str:
    """Returns a process's command line for users: without directories and interpreter, and shortened.

    Empty if it is unknown.
    """
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4 * _MOST_SHOWN).rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    if len(words) > 1 and os.path.basename(words[0]).startswith(b"python") and not words[1].startswith(b"-"):
        del words[0]
    words[0] = os.path.basename(words[0])
    text = b" ".join(words).decode("utf-8", "replace")
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."


def program_of(pid: int) -> str:
    """Returns a process's name of at most 15 bytes, which the process can set itself. Empty if it is unknown."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().removesuffix(b"\n").decode("utf-8", "replace")
    except OSError:
        return ""


def memory() -> int:
    """Returns the bytes of memory that this process uses; 0 if that is unknown."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def open_descriptors() -> int:
    """Returns the number of open descriptors of this process; 0 if it is unknown."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1  # without the one that lists them
    except OSError:
        return 0


def ancestor_groups(pid: int) -> set[int]:
    """Returns the process groups of a process and of its ancestors, and the ancestors' pids.

    A script leads a process group of its own. So it is found as an ancestor or, if it has exited before its child asks,
    as the leader of an ancestor's group. Empty if the process has ended.
    """
    return {number for pair in _lineage(pid) for number in pair} - {0}  # 0 is a group outside of our pid namespace


def ancestors(pid: int) -> set[int]:
    """Returns the pids of a process's ancestors, without its own. Empty if the process has ended."""
    return {its_pid for its_pid, _ in _lineage(pid)} - {pid}


def _lineage(pid: int) -> Iterator[tuple[int, int]]:
    """Yields pid and process group of a process, of its parent, and so on."""
    for _ in range(_MOST_GENERATIONS):
        figures = _stat_or_nothing(pid) if pid > 1 else []
        if not figures:
            return
        yield pid, int(figures[2])
        pid = int(figures[1])


def _stat(pid: int) -> list[bytes]:
    """Returns the fields of proc_pid_stat(5) from the third, the state, on; empty if the process has ended.

    Raises:
        OSError: No descriptor is free.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # the command's name, in parentheses, may contain any character
            return file.read().rpartition(b")")[2].split()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return []


def _stat_or_nothing(pid: int) -> list[bytes]:
    try:
        return _stat(pid)
    except OSError:
        return []


def stat_of_living(pid: int) -> list[bytes]:
    """Returns the same fields of a process that has not ended; empty for a zombie too, which was not reaped yet.

    Raises:
        OSError: No descriptor is free.
    """
    figures = _stat(pid)
    return [] if figures and figures[0] in (b"Z", b"X") else figures


def started(pid: int) -> float | None:
    """Returns the start time of a process, by the monotonic clock; None if it has ended."""
    figures = _stat_or_nothing(pid)
    if not figures:
        return None
    since_boot = int(figures[19]) / os.sysconf("SC_CLK_TCK")
    return since_boot - time.clock_gettime(time.CLOCK_BOOTTIME) + time.monotonic()


def group_members(groups: Collection[int]) -> list[int]:
    """Returns the living processes of these process groups.

    Only pids from the lowest group on are checked: file servers have many other processes.
    """
    if not groups:
        return []
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) >= min(groups)]
    return [pid for pid in pids if (figures := stat_of_living(pid)) and int(figures[2]) in groups]


def tree(group: int, among: Collection[int] = ()) -> list[int]:
    """Returns the living processes of a group and all their descendants, parents before their children.

    This includes leaders of other groups or sessions, unless their parent has ended.

    Args:
        group: The process group.
        among: Where to search; all processes if empty, which takes a millisecond for some dozens of them.
    """
    members: list[int] = []
    children: dict[int, list[int]] = {}
    for pid in among or (int(name) for name in os.listdir("/proc") if name.isdigit()):
        figures = stat_of_living(pid)
        if figures:
            children.setdefault(int(figures[1]), []).append(pid)
            if pid == group:
                members.insert(0, pid)
            elif int(figures[2]) == group:
                members.append(pid)
    found: dict[int, None] = {}
    waiting = members[::-1]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = None
            waiting.extend(reversed(children.get(pid, ())))
    return list(found)


# ---------------------------------------------------------------------- locks on files


def file_locks() -> tuple[FileLock, ...]:
    """Returns the kernel's list of file locks; empty if it can't be read."""
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            return parse(file.read())
    except OSError:
        return ()


def locked_path(pid: int, lock: FileLock) -> str | None:
    """Returns the path of a file that a process has open and waits for; None if it can't be found."""
    for descriptor, text in _descriptors(pid):
        if f"\nino:\t{lock.inode}\n" in text:
            with contextlib.suppress(OSError):
                return os.readlink(f"/proc/{pid}/fd/{descriptor}")
    return None


def has_lock(pid: int, lock: FileLock) -> bool:
    """Returns whether a process has a lock, by a descriptor that it may have inherited."""
    major, minor = lock.device
    words = f" {lock.pid} {major:02x}:{minor:02x}:{lock.inode} "
    return any("\nlock:" in text and words in text for _, text in _descriptors(pid))


def locked_descriptors(pid: int) -> list[int]:
    """Returns a process's descriptors of files on which it holds locks, no matter which process took them."""
    return [int(descriptor) for descriptor, text in _descriptors(pid) if "\nlock:" in text]


def _descriptors(pid: int) -> Iterator[tuple[str, str]]:
    """Yields each descriptor of a process with the kernel's information on it."""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as file:
                yield name, file.read()
