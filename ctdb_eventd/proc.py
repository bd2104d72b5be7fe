"""What /proc tells of processes: our own size, who a client is, and whether it descends from one of our scripts."""

from __future__ import annotations

import os
from collections.abc import Iterator

__all__ = ["ancestor_groups", "ancestors", "command_of", "memory", "open_descriptors", "program_of"]

_MOST_GENERATIONS = 64
_MOST_SHOWN = 120
"""Bytes of a command line that are shown."""


def command_of(pid: int) -> str:
    """Returns a process's command line for people: without directories and interpreter, and shortened.

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
    """Returns the name that a process goes by, of at most 15 bytes; it can choose it. Empty if it is unknown."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().removesuffix(b"\n").decode("utf-8", "replace")
    except OSError:
        return ""


def memory() -> int:
    """Returns the bytes of memory that this process uses; 0 if it is unknown."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def open_descriptors() -> int:
    """Returns how many descriptors this process has open; 0 if it is unknown."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1  # without the one that lists them
    except OSError:
        return 0


def ancestor_groups(pid: int) -> set[int]:
    """Returns the process groups of a process and of its ancestors, as numbers, and the ancestors' own pids.

    A script leads a group of its own, so it is found by either: as an ancestor, or as the leader of an ancestor's
    group, should it have exited before its child asks. Empty if the process is gone.
    """
    return {number for pair in _lineage(pid) for number in pair} - {0}  # 0 is a group outside of our pid namespace


def ancestors(pid: int) -> set[int]:
    """Returns the pids of a process's ancestors, without its own. Empty if the process is gone."""
    return {its_pid for its_pid, _ in _lineage(pid)} - {pid}


def _lineage(pid: int) -> Iterator[tuple[int, int]]:
    """Yields pid and process group of a process, of its parent, and so on."""
    for _ in range(_MOST_GENERATIONS):
        if pid <= 1:
            return
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # the command's name, in parentheses, may itself contain anything
                _state, parent, group = file.read().rpartition(b")")[2].split(None, 3)[:3]
        except OSError:
            return
        yield pid, int(group)
        pid = int(parent)
