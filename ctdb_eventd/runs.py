"""The interface between scheduler and runner: the job, the handle of its run, and the listener of the run. Pure.

The scheduler gives the runner a `Job` and itself as the `RunListener`, and gets a `RunHandle`. Neither knows the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

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
    Wait,
    shortened,
)

__all__ = [
    "Done",
    "FileWait",
    "Job",
    "LockDone",
    "LockOwner",
    "Progress",
    "RunHandle",
    "RunIds",
    "RunListener",
    "RunResult",
    "make_record",
]

Done = Callable[[int, RunRecord | RequestError | None], None]
"""Called once with 0 or a positive errno, and with the run's record, the error, or None if neither is known."""
LockDone = Callable[[float | RequestError], None]
"""Called once with the seconds that a client waited for its locks, or with the error if it doesn't get them."""


# ---------------------------------------------------------------------- the handle of a run


@attrs.frozen(eq=False, repr=False)
class Progress:
    """The current state of a run."""

    script: str | None
    """The script that runs, or waits to run."""
    pid: int
    """Its process, and process group; 0 if none runs."""
    since: float
    """When it was started, by the monotonic clock; 0 if none runs."""
    left: float | None
    """Seconds until the event times out, without waits of its scripts; None if it never does."""


class RunHandle(Protocol):
    """A started run."""

    def cancel(self, *, yielding: bool = False) -> None:
        """Ends it; `yielding` shortens the grace period, as another event waits, even if the end has begun already."""

    def proceed(self) -> None:
        """Starts its next script, which waits for this."""

    @property
    def group(self) -> int:
        """The process group of the script that runs right now, 0 if none does."""

    @property
    def progress(self) -> Progress:
        """Its current state."""


# ---------------------------------------------------------------------- the job


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LockOwner:
    """The job or client that holds a lock or waits for it."""

    run: str | None
    """The id of a job's run; None for a client."""
    lock: int | None
    """The number of a client's lock; None for a job."""
    pid: int | None
    """The client's process, or that of the job's script; None if none runs."""
    text: str
    """Its name, for people."""
    since: float
    """Since when, in seconds since the epoch."""
    seconds: float
    """For how long."""

    def __str__(self) -> str:
        return self.text


@attrs.define(eq=False, kw_only=True, repr=False)
class FileWait:
    """A wait for the lock on a file."""

    kind: str
    """`command` for the lock of a command that scripts run one at a time, else `file`."""
    name: str
    """The command's lock, or the file's path."""
    waiter: LockOwner
    """Who waits."""
    script: str | None
    """The script that waits; None if the waiter is a client."""
    holder: LockOwner | None = None
    """Who holds the lock; None if unknown."""
    logged: bool = False
    """It was logged."""

    @property
    def held_by(self) -> str | None:
        """Who holds the lock, for people: process and script or program."""
        return None if self.holder is None else f"{self.holder.pid} ({self.holder.text})"

    def __str__(self) -> str:
        return self.name if self.holder is None else f"{self.name} held by {self.held_by}"


@attrs.define(eq=False, kw_only=True, repr=False)
class Job:
    """A request to run an event, until its last process has ended. Only the scheduler changes it."""

    run: str
    """Its id."""
    spec: EventSpec
    """What to run."""
    plan: Plan
    """Its mode and the locks that it needs."""
    done: Done | None
    """Replies to the request; None after that, or if the client has disconnected."""
    arrived: float = attrs.field(factory=time.monotonic)
    """When it arrived, by the monotonic clock."""
    queued: float = attrs.field(factory=time.time)
    """The same in seconds since the epoch."""
    started: float | None = None
    """When its run started, by the monotonic clock; None if it didn't."""
    handle: RunHandle | None = None
    """Its run; None if none was started, or its last process has ended."""
    over: bool = False
    """Its result is known; processes of it may be left."""
    asked_by: object = None
    """The client that requested it; opaque here."""
    inherited: str = ""
    """Command locks of its parents, in the form of the variable `names.HELD_LOCKS`."""
    ended_by: str | None = None
    """Who cancelled it, in words; None if it wasn't cancelled, or if its client has gone."""
    waits: list[Wait] = attrs.field(factory=list)
    """Its waits that are over."""
    waits_for: tuple[str, str | None, str | None, float] | None = None
    """Its current wait: the first three fields of `Wait`, and since when, by the monotonic clock."""
    file_waits: list[FileWait] = attrs.field(factory=list)
    """Locks on files that its script, or the daemon for it, waits for: as of the last check."""
    wait_published: float = 0.0
    """When subscribers were notified that it waits for locks, by the monotonic clock; 0 if they were not."""

    def __str__(self) -> str:
        return str(self.spec)

    def begin_wait(self, what: str, holder: object, script: str | None = None) -> None:
        """Begins a wait; `holder` is None if unknown."""
        self.waits_for = what, None if holder is None else str(holder), script, time.monotonic()

    def name_holder(self, holder: str | None) -> None:
        """Sets the holder of its current wait, unless known already."""
        if self.waits_for is not None and self.waits_for[1] is None:
            what, _, script, since = self.waits_for
            self.waits_for = what, holder, script, since

    def end_wait(self) -> Wait | None:
        """Ends its current wait and returns it; None if there is none."""
        if self.waits_for is None:
            return None
        what, holder, script, since = self.waits_for
        self.waits_for = None
        seconds = time.monotonic() - since
        wait = Wait(what=what, holder=holder, script=script, began=time.time() - seconds, seconds=seconds)
        self.waits.append(wait)
        return wait

    def waited(self, now: float) -> float:
        """Returns how many seconds it waited before its start; `now` is by the monotonic clock."""
        return (now if self.started is None else self.started) - self.arrived

    def script_waits(self, now: float) -> float:
        """Returns how many seconds its scripts have waited so far; `now` is by the monotonic clock."""
        over = sum((wait.seconds for wait in self.waits if wait.script is not None), 0.0)
        files = sum(wait.waiter.seconds for wait in self.file_waits if wait.script is not None)
        if self.waits_for is None or self.waits_for[2] is None:
            return over + files
        return over + files + now - self.waits_for[3]

    @property
    def address(self) -> str | None:
        """The address of an address event, in canonical form."""
        return _address_of(self.plan)

    def about(self, **fields: object) -> dict[str, Any]:
        """Returns `extra` for a line of the log about this run: its fields, and `fields`."""
        return {"about": {"run": self.run, **self.spec.about, "address": self.address, **fields}}

    def record(self, outcome: EventOutcome, report: EventReport) -> RunRecord:
        """Returns the record of its run, which ends now."""
        now, started = time.monotonic(), self.started
        return make_record(
            *(self.run, self.spec, self.plan, outcome, report),
            queued=self.queued,
            waited=self.waited(now),
            seconds=0.0 if started is None else now - started,
            script_waits=self.script_waits(now),
        )

    def owner(self, seconds: float) -> LockOwner:
        """Returns it as the owner of a lock that it has held, or waited for, for so many seconds."""
        pid, since = 0 if self.handle is None else self.handle.group, time.time() - seconds
        return LockOwner(run=self.run, lock=None, pid=pid or None, text=str(self), since=since, seconds=seconds)


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
    script_waits: float = 0.0,
) -> RunRecord:
    """Returns the record of a run; see RunRecord for the times."""
    args = shortened(spec.args, MOST_ARGUMENTS)
    if args is not spec.args:
        spec = attrs.evolve(spec, args=args)
    return RunRecord(
        run=run,
        spec=spec,
        address=_address_of(plan),
        outcome=outcome,
        queued=queued,
        waited=waited,
        seconds=seconds,
        script_waits=script_waits,
        report=report,
    )


def _address_of(plan: Plan) -> str | None:
    return plan.resources[0].partition(":")[2] if plan.mode is Mode.ADDRESS else None


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class RunIds:
    """Makes ids such as `mb3k9x2f-17`: the milliseconds at which the daemon started, and a number.

    No id is used twice, not by the next daemon either: two daemons of a node can't start in the same millisecond, as
    the second waits for the first to be gone.
    """

    def __init__(self, started: float | None = None) -> None:
        """Starts counting; `started` is in seconds since the epoch, now by default."""
        self._start = _in_base_36(int((time.time() if started is None else started) * 1000))
        self._numbers = count(1)

    def next(self) -> str:
        """Returns the next id."""
        return f"{self._start}-{next(self._numbers)}"


def _in_base_36(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
        if not number:
            return text


# ---------------------------------------------------------------------- the listener of a run


@attrs.frozen(eq=False, repr=False)
class RunResult:
    """The result of a run."""

    errno: int
    """0, or the positive errno of the reply."""
    report: EventReport | None = None
    """The report of each script; incomplete for a cancelled run. None if the run could not start."""
    final: bool = True
    """It wasn't cancelled; if there is a report, this is the event's latest result from now on."""
    refusal: RequestError | None = None
    """Why it could not start, if known."""


class RunListener(Protocol):
    """Gets the requests and notifications of a job's run, from the event loop.

    The last three methods are called once for each job, in this order.
    """

    def want_script(self, job: Job, name: str, locks: tuple[str, ...]) -> bool:
        """Requests permission to start a script, with its locks; False means: wait for `RunHandle.proceed`.

        Raises:
            RequestError: It would be a deadlock.
        """

    def got_locks(self, job: Job, name: str, locks: tuple[str, ...]) -> None:
        """The script has got its locks and its slot after a wait."""

    def holds(self, job: Job) -> str:
        """Returns the command locks that the script to be started holds; see `names.HELD_LOCKS`."""

    def script_started(self, job: Job, name: str, pid: int) -> None:
        """The script was started."""

    def printed(self, job: Job, name: str, data: bytes) -> None:
        """The script has written output."""

    def script_finished(self, job: Job, report: ScriptReport) -> None:
        """The report of a script; called also for those that were not started."""

    def script_over(self, job: Job) -> None:
        """The script has ended, or won't be started."""

    def stuck(self, job: Job) -> None:
        """The last script can't be killed, not even by SIGKILL; maybe never."""

    def reported(self, job: Job, result: RunResult) -> None:
        """The result is known; processes of a cancelled or timed-out run may be left."""

    def released(self, job: Job) -> None:
        """Other events may start: the run has ended, has timed out, or its processes can't be killed."""

    def gone(self, job: Job) -> None:
        """The run has ended, with all its processes."""
