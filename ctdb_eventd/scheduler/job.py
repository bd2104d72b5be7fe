"""A request to run an event, from its arrival until nothing of it is left: between whoever asked and the run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ctdb_eventd.events import Plan
from ctdb_eventd.model import EventReport, EventSpec

if TYPE_CHECKING:
    from ctdb_eventd.scheduler.service import Scheduler

__all__ = ["Done", "Job", "RunHandle", "RunResult"]

Done = Callable[[int], None]
"""Is told 0 or a positive errno, once."""


class RunHandle(Protocol):
    """What can be done to a run that was started."""

    def cancel(self, *, yielding: bool = False) -> None:
        """Ends it; `yielding` if another event waits for its place."""

    def proceed(self) -> None:
        """Lets the script start for which it waits."""

    @property
    def group(self) -> int:
        """The process group of the script that runs right now, 0 if none does."""


class RunResult(Protocol):
    """How a run ended."""

    @property
    def errno(self) -> int:
        """0 or a positive errno."""

    @property
    def report(self) -> EventReport | None:
        """Script by script; None if the run was cancelled or could not start."""


class Job:
    """A request to run an event, from its arrival until nothing of it is left. Listens to its own run."""

    __slots__ = ("_done", "_scheduler", "arrived", "handle", "patience", "plan", "spec")

    def __init__(self, scheduler: Scheduler, spec: EventSpec, its_plan: Plan, done: Done) -> None:
        self._scheduler = scheduler
        self._done: Done | None = done
        self.spec = spec
        self.plan = its_plan
        self.handle: RunHandle | None = None
        self.patience: asyncio.TimerHandle | None = None
        self.arrived = time.monotonic()

    def __str__(self) -> str:
        return str(self.spec)

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
            self._scheduler.record(self, result.report)
        self.answer(result.errno)

    def want_script(self, locks: tuple[str, ...]) -> bool:
        """Is asked by the run for leave to start its next script; False means to wait for `proceed`."""
        granted = self._scheduler.core.want_script(self, locks)
        if not granted:
            self._scheduler.look_soon()
        return granted

    def script_started(self) -> None:
        """Is told by the run that a script is running."""
        self._scheduler.look_at_load()

    def script_over(self) -> None:
        """Is told by the run that nothing of its script is left that matters."""
        self._scheduler.script_over(self)

    def stuck(self) -> None:
        """Is told by the run that its last script can't be ended."""
        self._scheduler.stuck(self)

    def released(self) -> None:
        """Is told by the run that others may go on."""
        self._scheduler.released(self)

    def gone(self) -> None:
        """Is told by the run that nothing of it is left."""
        self.handle = None
        self._scheduler.gone(self)
