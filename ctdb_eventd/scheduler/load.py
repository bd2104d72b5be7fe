"""What the machine is doing right now: the reading that admission goes by. Linux only."""

from __future__ import annotations

import os

from ctdb_eventd.scheduler.admission import Load

__all__ = ["LoadReader", "processors"]

_SIZE = 128


def processors() -> int:
    """Returns how many processors this process, and so every script, may use."""
    return len(os.sched_getaffinity(0))


class LoadReader:
    """Reads how many processes want to run from /proc/loadavg; a few microseconds a call.

    The count is of this very moment. The averages beside it, and pressure stall information, look back ten seconds and
    more, in which a failover begins and ends.
    """

    def __init__(self, path: str = "/proc/loadavg") -> None:
        """Opens the file; without it every reading is None."""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def __call__(self) -> Load | None:
        """Returns the load, None if it can't be told."""
        try:
            # 0.42 0.30 0.20 3/345 6789: three of 345 threads are runnable, and the one that asks is one of them
            runnable = int(os.pread(self._fd, _SIZE, 0).split()[3].partition(b"/")[0])
        except (OSError, ValueError, IndexError):
            return None
        return Load(max(0, runnable - 1))

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
