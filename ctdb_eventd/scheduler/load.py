"""The current load of the machine, and a timer that grants slots when a processor is idle. Linux only."""

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
"""Seconds between two readings: about the time that a script's start takes."""


def processors() -> int:
    """Returns the number of processors that this process, and so every script, may use."""
    return len(os.sched_getaffinity(0))


class LoadReader:
    """Reads the number of runnable processes from /proc/loadavg; a few microseconds a call.

    That is the current number. The averages beside it, and pressure stall information, cover ten seconds and more,
    which is longer than a failover.
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
            # 0.42 0.30 0.20 3/345 6789: three of 345 threads are runnable, this one included
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
    """Reads the load periodically and has slots granted by it. Inactive while no script waits for the load."""

    def __init__(self, core: Core[Any], load: Callable[[], Load | None], run_actions: Callable[[], None]) -> None:
        """Starts inactive.

        Args:
            core: Grants the slots.
            load: Reads the load; returns None if it is unknown.
            run_actions: Carries out the core's actions.
        """
        self._core = core
        self._load = load
        self._run_actions = run_actions
        self._next: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def pending(self) -> bool:
        """Whether the timer runs."""
        return self._next is not None

    def look(self) -> None:
        """Grants one more slot if a processor is idle; starts the timer if a script still waits for that."""
        if not self._core.admission.wants_load:
            return
        load = self._load()
        if load is not None:
            self._core.admit_one(load)
            self._run_actions()
        self.look_soon()

    def look_soon(self) -> None:
        """Starts the timer if a script waits for the load."""
        if self._core.admission.wants_load and self._next is None and not self._stopped:
            self._next = asyncio.get_running_loop().call_later(_INTERVAL, self._look_again)

    def stop(self) -> None:
        """Stops the timer for good."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look_again(self) -> None:
        self._next = None
        self.look()
