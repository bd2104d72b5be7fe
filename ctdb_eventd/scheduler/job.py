"""A request to run an event, from its arrival until nothing of it is left: between whoever asked and the run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from ctdb_eventd.errors import RequestError
from ctdb_eventd.events import Mode, Plan
from ctdb_eventd.model import (
    MOST_ARGUMENTS,
    EventOutcome,
    EventReport,
    EventSpec,
    RunRecord,
    ScriptReport,
    shortened,
)
from ctdb_eventd.scheduler.handles import RunHandle, RunResult
from ctdb_eventd.scheduler.teller import Teller

if TYPE_CHECKING:
    from ctdb_eventd.scheduler.service import Scheduler

__all__ = ["Done", "Job", "make_record", "tell_foregone"]

Done = Callable[[int, RunRecord | RequestError | None], None]
"""Is told 0 or a positive errno, once, and how the run went or why there was none, as far as that is known."""


class Job:
    """A request to run an event, from its arrival until nothing of it is left. Listens to its own run.

    Attributes:
        run: Its id.
        spec: What to run.
        plan: How it is treated beside others.
        handle: What can be done to its run; None if none was started, or it is over.
        patience: Ends its wait in the queue.
        arrived: When it came, by the monotonic clock.
        queued: The same by the clock on the wall.
        started: When its run started, by the monotonic clock; None if it didn't.
        over: Its result is known; remains of it may still be there.
    """

    __slots__ = (
        "__weakref__",
        "_asked",
        "_done",
        "_scheduler",
        "arrived",
        "handle",
        "over",
        "patience",
        "plan",
        "queued",
        "run",
        "spec",
        "started",
    )

    def __init__(self, scheduler: Scheduler, run: str, spec: EventSpec, its_plan: Plan, done: Done) -> None:
        self._scheduler = scheduler
        self._done: Done | None = done
        self._asked = 0.0
        self.run = run
        self.spec = spec
        self.plan = its_plan
        self.handle: RunHandle | None = None
        self.patience: asyncio.TimerHandle | None = None
        self.arrived = time.monotonic()
        self.queued = time.time()
        self.started: float | None = None
        self.over = False

    def __str__(self) -> str:
        return str(self.spec)

    @property
    def address(self) -> str | None:
        """Of an address event, in canonical form."""
        return address_of(self.plan)

    def as_owner(self, seconds: float) -> dict[str, Any]:
        """Returns who this is, for one of its locks since so many seconds; in the form of docs/protocol.md."""
        group = 0 if self.handle is None else self.handle.group
        times = {"since": time.time() - seconds, "seconds": seconds}
        return {"run": self.run, "lock": None, "pid": group or None, "text": str(self), **times}

    def cancel(self) -> None:
        """Takes the request back: it is not answered, what runs of it is ended."""
        self._done = None
        self._scheduler.cancel(self)

    def revoke(self) -> bool:
        """Has the request answered as cancelled, and what runs of it ended.

        Returns:
            True if it had been started; its answer comes in a moment.
        """
        return self._scheduler.revoke(self)

    def answer(self, result: int, details: RunRecord | RequestError | None = None) -> None:
        """Answers whoever asked, once."""
        done, self._done = self._done, None
        if done is not None:
            done(result, details)

    def drop(self, result: int, refusal: RequestError | None = None) -> None:
        """Answers that it was not started, and never will be: it was taken back, unless `refusal` says otherwise."""
        record = self._record(EventOutcome.CANCELLED, EventReport(summary=0, scripts=()))
        self._scheduler.count(record)
        self._tell_finished(record)
        self.answer(result, refusal or record)

    def _record(self, outcome: EventOutcome, report: EventReport) -> RunRecord:
        now = time.monotonic()
        started = self.started
        return make_record(
            *(self.run, self.spec, self.plan, outcome, report),
            queued=self.queued,
            waited=(now if started is None else started) - self.arrived,
            seconds=0.0 if started is None else now - started,
        )

    # ------------------------------------------------------------------ before its run

    def wait_for_address(self) -> None:
        """Is told by the scheduler that it has to wait for its address, and for nothing else."""
        self._tell_wait(self.plan.resources, str(self))

    def begin(self) -> None:
        """Is told by the scheduler that its run is being started."""
        self.started = time.monotonic()
        self._tell_end_of_wait(self.plan.resources, str(self))
        if self._scheduler.feed.active:
            self.tell("started", waited=self.started - self.arrived)

    # ------------------------------------------------------------------ what its run tells

    def reported(self, result: RunResult) -> None:
        """Is told the result by the run."""
        self.over = True
        if result.report is None:
            self._tell_finished(self._record(EventOutcome.FAILED, EventReport(summary=0, scripts=())))
            self.answer(result.errno, result.refusal)
            return
        record = self._record(EventOutcome(result.errno), result.report)
        self._scheduler.count(record)
        if result.final:
            self._scheduler.record(self, record)
        self._tell_finished(record)
        self.answer(result.errno, record)

    def want_script(self, name: str, locks: tuple[str, ...]) -> bool:
        """Is asked by the run for leave to start its next script; False means to wait for `proceed`."""
        granted = self._scheduler.want_script(self, locks)
        if not granted and locks and self._scheduler.core.wants(self) == locks:
            self._tell_wait(locks, f"{self}: {name}")
        return granted

    def got_locks(self, name: str, locks: tuple[str, ...]) -> None:
        """Is told by the run that it goes on after it had to wait for these locks."""
        self._tell_end_of_wait(locks, f"{self}: {name}")

    def script_started(self, name: str, pid: int) -> None:
        """Is told by the run that a script is running."""
        self._scheduler.script_started(self, pid)
        if self._scheduler.feed.active:
            self.tell("script-started", script=name, pid=pid)

    def printed(self, name: str, data: bytes) -> None:
        """Is told by the run that a script has printed something."""
        feed = self._scheduler.feed
        if feed.active and feed.wants_output(self.run, self.spec.component, self.spec.event):
            self.tell("output", script=name, output=data)

    def script_finished(self, report: ScriptReport) -> None:
        """Is told by the run how a script went, also when it was not started."""
        if self._scheduler.feed.active:
            seconds = (report.end - report.begin) / 1e6
            self.tell("script-finished", script=report.name, state=report.state, result=report.result, seconds=seconds)

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

    # ------------------------------------------------------------------ what it tells

    def tell(self, kind: str, **data: Any) -> None:
        """Tells those who subscribed that something happened to it."""
        spec = self.spec
        self._scheduler.feed.tell(kind, self.run, spec.component, spec.event, spec.args, data)

    def _tell_wait(self, locks: tuple[str, ...], text: str) -> None:
        if self._scheduler.feed.active:
            self._asked = time.monotonic()
            self.tell("lock-waiting", locks=locks, lock=None, text=text)

    def _tell_end_of_wait(self, locks: tuple[str, ...], text: str) -> None:
        asked, self._asked = self._asked, 0.0
        if asked:
            self.tell("lock-acquired", locks=locks, lock=None, text=text, seconds=time.monotonic() - asked)

    def _tell_finished(self, record: RunRecord) -> None:
        if self._scheduler.feed.active:
            self.tell("finished", **_how_it_ended(record))


def tell_foregone(feed: Teller, record: RunRecord) -> None:
    """Tells of a run that was over at once, as there was nothing to do."""
    spec = record.spec
    feed.tell("started", record.run, spec.component, spec.event, spec.args, {"waited": 0.0})
    feed.tell("finished", record.run, spec.component, spec.event, spec.args, _how_it_ended(record))


def _how_it_ended(record: RunRecord) -> dict[str, Any]:
    return {
        "outcome": record.outcome.word,
        "summary": record.report.summary,
        "waited": record.waited,
        "seconds": record.seconds,
    }


def address_of(plan: Plan) -> str | None:
    """Returns the address whose event a plan is for, in canonical form."""
    return plan.resources[0].partition(":")[2] if plan.mode is Mode.ADDRESS else None


def make_record(
    run: str,
    spec: EventSpec,
    plan: Plan,
    outcome: EventOutcome,
    report: EventReport,
    *,
    queued: float,
    waited: float = 0.0,
    seconds: float = 0.0,
) -> RunRecord:
    """Puts together what is kept of a run; see RunRecord for the times."""
    args = shortened(spec.args, MOST_ARGUMENTS)
    if args is not spec.args:
        spec = attrs.evolve(spec, args=args)
    return RunRecord(
        run=run,
        spec=spec,
        address=address_of(plan),
        outcome=outcome,
        queued=queued,
        waited=waited,
        seconds=seconds,
        report=report,
    )
