"""The timeout of queued requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ctdb_eventd.runs import Job

__all__ = ["QueueTimers"]

_STOPPED = 1.0
"""Seconds. If a timer fires later than that, this daemon was stopped (SIGSTOP, no processor time): then the timeout is
postponed by as much, so that events which have ended meanwhile are noticed first."""


class QueueTimers:
    """A timer for each queued job.

    Attributes:
        limit: Seconds that a request may wait before it starts; None is no limit. A change applies to later ones.
    """

    def __init__(self, on_timeout: Callable[[Job, float], None], limit: float | None) -> None:
        """Prepares; `on_timeout` is called with a job whose timeout has expired, and the limit."""
        self._on_timeout = on_timeout
        self._timers: dict[Job, asyncio.TimerHandle] = {}
        self.limit = limit

    def begin(self, job: Job) -> None:
        """Starts the timer of a job that has just arrived."""
        if self.limit is not None:
            self._timers[job] = asyncio.get_running_loop().call_later(self.limit, self._on_timer, job, self.limit)

    def runs(self, job: Job) -> bool:
        """Returns whether a job's timer runs."""
        return job in self._timers

    def stop(self, job: Job) -> None:
        """Stops a job's timer. Idempotent."""
        timer = self._timers.pop(job, None)
        if timer is not None:
            timer.cancel()

    def _on_timer(self, job: Job, limit: float) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._timers[job].when() > _STOPPED:
            self._timers[job] = loop.call_later(_STOPPED, self._expire, job, limit)
        else:
            self._expire(job, limit)

    def _expire(self, job: Job, limit: float) -> None:
        del self._timers[job]
        self._on_timeout(job, limit)
