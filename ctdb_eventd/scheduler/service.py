"""Carries out what the backlogs decide: starts, ends and answers runs. One backlog for each component."""

from __future__ import annotations

import errno
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ctdb_eventd.events import mode_of
from ctdb_eventd.model import EventReport, EventSpec
from ctdb_eventd.scheduler.backlog import Backlog, Decision

__all__ = ["Job", "RunHandle", "Scheduler", "StartRun"]


class RunHandle(Protocol):
    """What can be done to a run that was started."""

    def cancel(self, *, yielding: bool = False) -> None:
        """Ends it; `yielding` if another event waits for its place."""


class RunResult(Protocol):
    """How a run ended."""

    @property
    def errno(self) -> int:
        """0 or a positive errno."""

    @property
    def report(self) -> EventReport | None:
        """Script by script; None if the run was cancelled or could not start."""


_log = logging.getLogger(__name__)

_KEPT_BACKLOGS = 16
"""Empty backlogs are kept for the usual few components, and dropped when somebody asks for ever new names."""

StartRun = Callable[[EventSpec, "Job"], RunHandle | None]
Record = Callable[[str, str, EventReport], None]
Done = Callable[[int], None]


class Job:
    """A request to run an event, from its arrival until nothing of it is left. Listens to its own run."""

    __slots__ = ("_done", "_scheduler", "handle", "spec")

    def __init__(self, scheduler: Scheduler, spec: EventSpec, done: Done) -> None:
        self._scheduler = scheduler
        self._done: Done | None = done
        self.spec = spec
        self.handle: RunHandle | None = None

    def cancel(self) -> None:
        """Takes the request back: it is not answered, what runs of it is ended."""
        self._done = None
        self._scheduler.cancel(self)

    def answer(self, result: int) -> None:
        """Answers whoever asked, once."""
        done, self._done = self._done, None
        if done is not None:
            done(result)

    def reported(self, result: RunResult) -> None:
        """Is told the result by the run."""
        if result.report is not None:
            self._scheduler.record(self.spec.component, self.spec.event, result.report)
        self.answer(result.errno)

    def released(self) -> None:
        """Is told by the run that others may go on."""
        self._scheduler.finished(self)

    def gone(self) -> None:
        """Is told by the run that nothing of it is left."""
        self.handle = None
        self._scheduler.gone(self)


class Scheduler:
    """Runs events when their component lets them."""

    def __init__(self, *, start: StartRun, record: Record) -> None:
        """Prepares.

        Args:
            start: Starts a run that tells the job how it goes; returns None if it is over already.
            record: Takes the report of every run that came to an end of its own.
        """
        self._start = start
        self.record = record
        self._backlogs: dict[str, Backlog[Job]] = {}
        self._alive: dict[Job, None] = {}
        self._decisions: deque[Decision[Job]] = deque()
        self._deciding = False
        self._on_idle: Callable[[], None] | None = None

    def submit(self, spec: EventSpec, done: Done) -> Job:
        """Takes a request; `done` is called with 0 or an errno, possibly before this returns."""
        backlog = self._backlogs.get(spec.component)
        if backlog is None:
            backlog = self._backlogs[spec.component] = Backlog()
        job = Job(self, spec, done)
        self._carry_out(backlog.submit(job, mode_of(spec.event)))
        return job

    def cancel(self, job: Job) -> None:
        """Drops a job that waits, ends one that runs; does nothing for one that is over."""
        backlog = self._backlogs.get(job.spec.component)
        if backlog is not None:
            self._carry_out(backlog.cancel(job))

    def finished(self, job: Job) -> None:
        """Lets the component go on after a job."""
        component = job.spec.component
        backlog = self._backlogs[component]
        self._carry_out(backlog.finished(job))
        if len(self._backlogs) > _KEPT_BACKLOGS and backlog.idle:
            self._backlogs.pop(component, None)

    def gone(self, job: Job) -> None:
        """Forgets a job of which nothing is left."""
        self._alive.pop(job, None)
        if not self._alive and self._on_idle is not None:
            self._on_idle()

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Drops every job that waits and ends every one that runs; calls `on_idle` when nothing of them is left."""
        self._on_idle = on_idle
        for backlog in list(self._backlogs.values()):
            for job in (*reversed(backlog.waiting), *backlog.running):
                job.cancel()
        for job in list(self._alive):
            if job.handle is not None:
                job.handle.cancel()
        if not self._alive:
            on_idle()

    def _carry_out(self, decision: Decision[Job]) -> None:
        # A job without scripts is over as soon as it starts, which decides about the next one: a loop and not a
        # recursion, or a thousand such jobs in a row would exhaust the stack.
        if not decision:
            return
        self._decisions.append(decision)
        if self._deciding:
            return
        self._deciding = True
        try:
            while self._decisions:
                self._obey(self._decisions.popleft())
        finally:
            self._deciding = False

    def _obey(self, decision: Decision[Job]) -> None:
        for job in decision.refuse:
            job.answer(errno.ECANCELED)
        for job in decision.end:
            if job.handle is not None:
                job.handle.cancel(yielding=True)
        for job in decision.start:
            self._alive[job] = None
            try:
                handle = self._start(job.spec, job)
            except Exception:
                _log.exception("%s: could not be started: this is a bug in ctdb-eventd, please report it", job.spec)
                job.answer(errno.EIO)
                job.released()
                job.gone()
            else:
                if handle is not None:
                    job.handle = handle
