"""How long a request may wait in the queue until it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ctdb_eventd.runs import Job

__all__ = ["QueueTimers"]

_STOOD_STILL = 1.0
"""Seconds. If a timeout is noticed later than that, this daemon stood still (SIGSTOP, a machine without processor
time): what has ended meanwhile, and frees the place waited for, gets as long to be noticed first."""


class QueueTimers:
    """A timer for each job that waits.

    Attributes:
        limit: Seconds that a request may wait before it starts; None is no limit. A change is for later ones.
    """

    def __init__(self, on_timeout: Callable[[Job, float], None], limit: float | None) -> None:
        """Prepares; `on_timeout` is called with a job whose time is over, and the limit."""
        self._on_timeout = on_timeout
        self._timers: dict[Job, asyncio.TimerHandle] = {}
        self.limit = limit

    def begin(self, job: Job) -> None:
        """Limits the wait of a job that has just arrived."""
        if self.limit is not None:
            self._timers[job] = asyncio.get_running_loop().call_later(self.limit, self._on_timer, job, self.limit)

    def runs(self, job: Job) -> bool:
        """Tells whether a job's wait is limited, and not over."""
        return job in self._timers

    def stop(self, job: Job) -> None:
        """Notes that a job's wait is over. Idempotent."""
        timer = self._timers.pop(job, None)
        if timer is not None:
            timer.cancel()

    def _on_timer(self, job: Job, limit: float) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._timers[job].when() > _STOOD_STILL:
            self._timers[job] = loop.call_later(_STOOD_STILL, self._time_over, job, limit)
        else:
            self._time_over(job, limit)

    def _time_over(self, job: Job, limit: float) -> None:
        del self._timers[job]
        self._on_timeout(job, limit)
