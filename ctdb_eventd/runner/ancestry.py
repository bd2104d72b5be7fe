"""Who a process descends from: how the broker knows that one of its own scripts is asking."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["ancestor_groups", "ancestors"]

_MOST_GENERATIONS = 64


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
