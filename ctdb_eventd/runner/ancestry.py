"""Who a process descends from: how the broker knows that one of its own scripts is asking."""

from __future__ import annotations

__all__ = ["ancestor_groups"]

_MOST_GENERATIONS = 64


def ancestor_groups(pid: int) -> set[int]:
    """Returns the process groups of a process and of its ancestors, as numbers, and the ancestors' own pids.

    A script leads a group of its own, so it is found by either: as an ancestor, or as the leader of an ancestor's
    group, should it have exited before its child asks. Empty if the process is gone.
    """
    found: set[int] = set()
    for _ in range(_MOST_GENERATIONS):
        if pid <= 1:
            break
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # the command's name, in parentheses, may itself contain anything
                _state, parent, group = file.read().rpartition(b")")[2].split(None, 3)[:3]
        except OSError:
            break
        found |= {pid, int(group)} - {0}  # 0 is a group outside of our pid namespace
        pid = int(parent)
    return found
