"""What the scheduler and the runner agree on: a job, what can be done to its run, and what the run reports. Pure.

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
    MOST_SAID,
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
"""Called once with 0 or a positive errno, and how the run went or why there was none, as far as that is known."""
LockDone = Callable[[float | RequestError], None]
"""Called once with the seconds for which a client waited for the locks that it has now, or why it doesn't get them."""


# ---------------------------------------------------------------------- what can be done to a run


@attrs.frozen
class Progress:
    """What a run is doing right now."""

    script: str | None
    """The script that runs, or waits to run."""
    pid: int
    """Its process, and process group; 0 if none runs."""
    since: float
    """When it was started, by the monotonic clock; 0 if none runs."""
    left: float | None
    """Seconds until the event times out, which stand still while a script waits; None if it never does."""


class RunHandle(Protocol):
    """What can be done to a run that was started."""

    def cancel(self, *, yielding: bool = False) -> None:
        """Ends it; `yielding` if another event waits for its place, which speeds up an end that has begun already."""

    def proceed(self) -> None:
        """Lets the script start for which it waits."""

    @property
    def group(self) -> int:
        """The process group of the script that runs right now, 0 if none does."""

    @property
    def progress(self) -> Progress:
        """What it is doing right now."""


# ---------------------------------------------------------------------- the job


@attrs.frozen(kw_only=True)
class LockOwner:
    """Who has a lock, or waits for it: a job or a client."""

    run: str | None
    """The id of a job's run; None for a client."""
    lock: int | None
    """The number of a client's lock; None for a job."""
    pid: int | None
    """The client's process, or that of the job's script; None if none runs."""
    text: str
    """Who that is, for people."""
    since: float
    """Since when, by the clock on the wall."""
    seconds: float
    """How long that is."""

    def __str__(self) -> str:
        return self.text


@attrs.define(eq=False, kw_only=True)
class FileWait:
    """Somebody waits for the lock on a file."""

    kind: str
    """`command` if it is that of a command which scripts run one at a time, else `file`."""
    name: str
    """The command's lock, or the file's path."""
    waiter: LockOwner
    """Who waits."""
    script: str | None
    """The script, if it is one that waits."""
    holder: LockOwner | None = None
    """Who has the lock; None if that can't be found out."""
    logged: bool = False
    """The log has it."""

    @property
    def held_by(self) -> str | None:
        """Who has the lock, for people: process and script or program."""
        return None if self.holder is None else f"{self.holder.pid} ({self.holder.text})"

    def __str__(self) -> str:
        return self.name if self.holder is None else f"{self.name} held by {self.held_by}"


@attrs.define(eq=False, kw_only=True)
class Job:
    """A request to run an event, from its arrival until nothing of it is left. Only the scheduler changes it."""

    run: str
    """Its id."""
    spec: EventSpec
    """What to run."""
    plan: Plan
    """How it is treated beside others."""
    done: Done | None
    """Answers the request; None if that is not wanted, or was done."""
    arrived: float = attrs.field(factory=time.monotonic)
    """When it came, by the monotonic clock."""
    queued: float = attrs.field(factory=time.time)
    """The same by the clock on the wall."""
    started: float | None = None
    """When its run started, by the monotonic clock; None if it didn't."""
    handle: RunHandle | None = None
    """What can be done to its run; None if none was started, or nothing of it is left."""
    over: bool = False
    """Its result is known; remains of it may still be there."""
    asked_by: object = None
    """Who asked for it; of no meaning here."""
    inherited: str = ""
    """Commands' locks that its parents have, as `names.HELD_LOCKS` tells them to scripts."""
    ended_by: str | None = None
    """Who cancelled it, in words; None if it wasn't cancelled, or if its client has gone."""
    waits: list[Wait] = attrs.field(factory=list)
    """What it waited for."""
    waits_for: tuple[str, str | None, str | None, float] | None = None
    """What it waits for now: see the first three fields of `Wait`, and since when, by the monotonic clock."""
    file_waits: list[FileWait] = attrs.field(factory=list)
    """Locks on files that its script, or the daemon for it, waits for: as of the last look."""
    wait_published: float = 0.0
    """When subscribers were notified that it waits for locks, by the monotonic clock; 0 if they were not."""

    def __str__(self) -> str:
        return str(self.spec)

    def begin_wait(self, what: str, holder: object, script: str | None = None) -> None:
        """Notes that it waits from now on; `holder` is None if unknown."""
        self.waits_for = what, None if holder is None else str(holder), script, time.monotonic()

    def name_holder(self, holder: str | None) -> None:
        """Notes who has what it waits for, unless that was known before."""
        if self.waits_for is not None and self.waits_for[1] is None:
            what, _, script, since = self.waits_for
            self.waits_for = what, holder, script, since

    def end_wait(self) -> Wait | None:
        """Notes that it goes on, or ends; returns what it has waited for, None if it didn't."""
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
        """Returns what a line of the log is about, as `extra` of it: this run, and `fields`."""
        spec = self.spec
        its = {"run": self.run, "component": spec.component, "event": spec.event}
        args = shortened(spec.args, MOST_SAID)
        return {"about": {**its, "arguments": args, "address": self.address, **fields}}

    def record(self, outcome: EventOutcome, report: EventReport) -> RunRecord:
        """Returns what is kept of it, as it ends now."""
        now, started = time.monotonic(), self.started
        return make_record(
            *(self.run, self.spec, self.plan, outcome, report),
            queued=self.queued,
            waited=self.waited(now),
            seconds=0.0 if started is None else now - started,
            script_waits=self.script_waits(now),
        )

    def owner(self, seconds: float) -> LockOwner:
        """Returns who this is, for a lock that it has or waits for since so many seconds."""
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
    """Returns what is kept of a run; see RunRecord for the times."""
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


# ---------------------------------------------------------------------- what a run reports


@attrs.frozen
class RunResult:
    """How a run ended."""

    errno: int
    """0, or the positive errno of the reply."""
    report: EventReport | None = None
    """Script by script; of a run that was cancelled as far as it came. None if it could not even start."""
    final: bool = True
    """It came to an end of its own, and with a report this is the event's latest result from now on."""
    refusal: RequestError | None = None
    """Why it could not start, if it is known."""


class RunListener(Protocol):
    """Is asked and notified how the run of a job goes, from the event loop.

    The last three are called once for each job, in this order.
    """

    def want_script(self, job: Job, name: str, locks: tuple[str, ...]) -> bool:
        """This script is to start and needs these locks; False means that it has to wait for `RunHandle.proceed`.

        Raises:
            RequestError: It would have to wait for ever.
        """

    def got_locks(self, job: Job, name: str, locks: tuple[str, ...]) -> None:
        """The script goes on after it had to wait for its locks, or for a slot."""

    def holds(self, job: Job) -> str:
        """Returns the locks of commands that the script which is about to start has; see `names.HELD_LOCKS`."""

    def script_started(self, job: Job, name: str, pid: int) -> None:
        """The script runs."""

    def printed(self, job: Job, name: str, data: bytes) -> None:
        """The script has printed this."""

    def script_finished(self, job: Job, report: ScriptReport) -> None:
        """This is how a script went; called for every script that was looked at."""

    def script_over(self, job: Job) -> None:
        """The script is over, or won't start after all; also when it isn't clear which."""

    def stuck(self, job: Job) -> None:
        """The last script can't be ended, not even by SIGKILL; it may be so for ever."""

    def reported(self, job: Job, result: RunResult) -> None:
        """The result is known; remains of a run that was broken off may still be there."""

    def released(self, job: Job) -> None:
        """Other events may go on: the run is over, or timed out, or its remains can't be ended."""

    def gone(self, job: Job) -> None:
        """Nothing of the run is left."""
