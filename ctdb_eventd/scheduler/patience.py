"""The queue's time: how long a request may wait until it starts, and what whoever asked is told when that is over."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable

from ctdb_eventd.refusals import QueueTimeout
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.job import Job

__all__ = ["QUEUE_TIMED_OUT", "Patience"]

_log = logging.getLogger(__name__)

QUEUE_TIMED_OUT = errno.EBUSY
"""Answers a request that waited too long. Not ETIMEDOUT: that says that scripts ran, and ctdbd takes it as success."""

_STOOD_STILL = 1.0
"""Seconds. If a wait's end is noticed later than that, this daemon stood still (SIGSTOP, a machine without processor
time): what has ended meanwhile, and frees the place waited for, gets as long to be noticed first."""


class Patience:
    """Ends waits in the queue.

    Attributes:
        limit: Seconds that a request may wait before it starts; None is no limit. A change is for later ones.
    """

    def __init__(self, core: Core[Job], obey: Callable[[], None], limit: float | None) -> None:
        """Prepares; `obey` carries out what the core decides."""
        self._core = core
        self._obey = obey
        self.limit = limit

    def begin(self, job: Job) -> None:
        """Limits the wait of a job that has just arrived, if it waits."""
        if self.limit is not None and self._core.waits(job):
            job.patience = asyncio.get_running_loop().call_later(self.limit, self._on_time_over, job, self.limit)

    def forget(self, job: Job) -> None:
        """Takes note that a job's wait is over."""
        if job.patience is not None:
            job.patience.cancel()
            job.patience = None

    def _on_time_over(self, job: Job, limit: float) -> None:
        loop, timer = asyncio.get_running_loop(), job.patience
        if timer is not None and loop.time() - timer.when() > _STOOD_STILL:
            job.patience = loop.call_later(_STOOD_STILL, self.end, job, limit)
        else:
            self.end(job, limit)

    def end(self, job: Job, limit: float) -> None:
        """Answers a job that still waits, after `limit` seconds, that it was not run."""
        job.patience = None
        blockers = self._core.blockers(job)
        if not self._core.waits(job):
            return
        self._core.cancel(job)
        first = f"{blockers[0]}, which arrived {time.monotonic() - blockers[0].arrived:.1f} s ago" if blockers else "?"
        more = f" and {len(blockers) - 1} more" if len(blockers) > 1 else ""
        _log.error("%s: not run: waited %g s in the queue behind %s%s", job, limit, first, more)
        job.drop(QUEUE_TIMED_OUT, QueueTimeout(str(job), limit, first + more))
        self._obey()
