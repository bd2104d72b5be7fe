"""The load of the machine right now, and slots given out by it while scripts wait for an idle processor. Linux only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from ctdb_eventd.scheduler.admission import Load
from ctdb_eventd.scheduler.core import Core

__all__ = ["LoadReader", "LoadWatch", "processors"]

_SIZE = 128
_INTERVAL = 0.002
"""Seconds between two looks: about what starting a script takes."""


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
        """Returns the load, None if it is unknown."""
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


class LoadWatch:
    """Reads the load, asks the core, and has its decisions obeyed. Costs nothing while no script waits for the load."""

    def __init__(self, core: Core[Any], load: Callable[[], Load | None], run_actions: Callable[[], None]) -> None:
        """Starts without a look.

        Args:
            core: Gives out the slots.
            load: Reads the load; returns None if it is unknown.
            run_actions: Carries out what the core decides.
        """
        self._core = core
        self._load = load
        self._run_actions = run_actions
        self._next: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def pending(self) -> bool:
        """Tells whether another look is to come."""
        return self._next is not None

    def look(self) -> None:
        """Gives one more slot if the processors have time, and looks again soon if a script still waits for that."""
        if not self._core.admission.wants_load:
            return
        load = self._load()
        if load is not None:
            self._core.admit_one(load)
            self._run_actions()
        self.look_soon()

    def look_soon(self) -> None:
        """Has the load looked at again for as long as a script waits for it to fall."""
        if self._core.admission.wants_load and self._next is None and not self._stopped:
            self._next = asyncio.get_running_loop().call_later(_INTERVAL, self._look_again)

    def stop(self) -> None:
        """Looks no more by itself."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look_again(self) -> None:
        self._next = None
        self.look()
