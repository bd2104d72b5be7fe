"""Everything that decides who may run: backlogs, address locks, script locks and slots, put together. Pure.

Told what happened, it says what to do: `take` hands out one thing after the other until there is nothing left. A job
goes through these stages, and no other way:

    QUEUED ──▶ LOCKING ──▶ RUNNING ──▶ RELEASED ──▶ (forgotten)

    QUEUED    waits in its component's backlog
    LOCKING   is let go by the backlog, waits for its address; others of the component may have gone on
    RUNNING   its scripts run, one at a time, each with the locks it needs and a slot
    RELEASED  its component goes on, but something of it is left: its address, and its last script's locks, stay held
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs

from ctdb_eventd.events import Plan
from ctdb_eventd.scheduler.admission import Admission, AdmissionState, Load
from ctdb_eventd.scheduler.backlog import Backlog, Decision
from ctdb_eventd.scheduler.locks import LockState, LockTable

__all__ = ["Core", "CoreState", "Do", "Stage"]

J = TypeVar("J", bound=Hashable)

_KEPT_BACKLOGS = 16
"""Empty backlogs are kept for the usual few components, and dropped when somebody asks for ever new names."""


class Stage(enum.Enum):
    """Where a job is."""

    QUEUED = enum.auto()
    LOCKING = enum.auto()
    RUNNING = enum.auto()
    RELEASED = enum.auto()


class Do(enum.Enum):
    """What has to be done with a job."""

    REFUSE = enum.auto()
    """Answer it as cancelled: it never ran, and is forgotten."""
    START = enum.auto()
    """Start it; `released` and `gone` are to be called for it."""
    GO = enum.auto()
    """Let its next script start, for which it waits."""
    YIELD = enum.auto()
    """End it: something else wants its place."""
    END = enum.auto()
    """End it: nobody wants its result any more."""


@attrs.define
class _Entry:
    component: str
    plan: Plan
    stage: Stage
    asker: object | None
    batch: int = 0
    begun: bool = False


@attrs.frozen
class CoreState(Generic[J]):
    """Who is where, and who waits for what, at one moment."""

    stages: tuple[tuple[J, Stage], ...]
    addresses: tuple[LockState[J], ...]
    scripts: tuple[LockState[J], ...]
    admission: AdmissionState


class Core(Generic[J]):
    """The scheduler's decisions."""

    def __init__(self, admission: Admission[J]) -> None:
        """Starts with nothing to run."""
        self.admission = admission
        self._todo: deque[tuple[Do, J]] = deque()
        self._jobs: dict[J, _Entry] = {}
        self._backlogs: dict[str, Backlog[J]] = {}
        self._addresses: LockTable[J] = LockTable()
        self._scripts: LockTable[J] = LockTable()

    def take(self) -> tuple[Do, J] | None:
        """Returns the next thing to do, None if there is none."""
        return self._todo.popleft() if self._todo else None

    @property
    def jobs(self) -> tuple[J, ...]:
        """Every job of which something is left, in order of arrival."""
        return tuple(self._jobs)

    @property
    def state(self) -> CoreState[J]:
        """What is going on, to be shown."""
        return CoreState(
            stages=tuple((job, entry.stage) for job, entry in self._jobs.items()),
            addresses=self._addresses.snapshot(),
            scripts=self._scripts.snapshot(),
            admission=self.admission.state,
        )

    def idle(self, component: str) -> bool:
        """Tells whether nothing of a component runs or waits."""
        backlog = self._backlogs.get(component)
        return backlog is None or backlog.idle

    def batch(self, job: J) -> int:
        """Returns which address events a job ran with: those with the same number."""
        return self._jobs[job].batch

    def waits(self, job: J) -> bool:
        """Tells whether a job was not started yet."""
        entry = self._jobs.get(job)
        return entry is not None and entry.stage in (Stage.QUEUED, Stage.LOCKING)

    # ------------------------------------------------------------------ a job's way

    def submit(self, job: J, component: str, plan: Plan, asker: J | None = None) -> None:
        """Takes a job that has just arrived; `asker` is the job whose script asks for it, if any."""
        backlog = self._backlogs.get(component)
        if backlog is None:
            backlog = self._backlogs[component] = Backlog()
        self._jobs[job] = _Entry(component, plan, Stage.QUEUED, asker)
        self._follow(backlog, backlog.submit(job, plan.mode))

    def cancel(self, job: J) -> None:
        """Takes a job back: it is forgotten if it waits, has to be ended if it runs."""
        entry = self._jobs.get(job)
        if entry is None or entry.stage is Stage.RELEASED:
            return
        backlog = self._backlogs[entry.component]
        if entry.stage is Stage.QUEUED:
            del self._jobs[job]
            self._follow(backlog, backlog.cancel(job))
        elif entry.stage is Stage.LOCKING:
            self._forget_locking(job, backlog)
        elif entry.stage is Stage.RUNNING and backlog.cancel(job).end:
            self._todo.append((Do.END, job))

    def released(self, job: J) -> None:
        """Notes that a running job's component may go on."""
        entry = self._jobs[job]
        entry.stage = Stage.RELEASED
        backlog = self._backlogs[entry.component]
        self._follow(backlog, backlog.finished(job))
        if len(self._backlogs) > _KEPT_BACKLOGS and backlog.idle:
            del self._backlogs[entry.component]

    def gone(self, job: J) -> None:
        """Notes that nothing of a released job is left."""
        entry = self._jobs.pop(job)
        if entry.begun:
            self.script_over(job)
        if entry.plan.resources:
            self._start_locked(self._addresses.release(job))

    def _follow(self, backlog: Backlog[J], decision: Decision[J]) -> None:
        todo = self._todo
        for job in decision.refuse:
            del self._jobs[job]
            todo.append((Do.REFUSE, job))
        for job in decision.end:
            if self._jobs[job].stage is Stage.LOCKING:
                self._forget_locking(job, backlog)
            else:
                todo.append((Do.YIELD, job))
        for job in decision.start:
            entry = self._jobs[job]
            entry.batch = backlog.batch
            resources = entry.plan.resources
            if not resources or self._addresses.acquire(job, resources):
                entry.stage = Stage.RUNNING
                todo.append((Do.START, job))
            else:
                entry.stage = Stage.LOCKING

    def _forget_locking(self, job: J, backlog: Backlog[J]) -> None:
        del self._jobs[job]
        self._start_locked(self._addresses.release(job))
        self._follow(backlog, backlog.finished(job))

    def _start_locked(self, jobs: tuple[J, ...]) -> None:
        for job in jobs:
            self._jobs[job].stage = Stage.RUNNING
            self._todo.append((Do.START, job))

    # ------------------------------------------------------------------ its scripts

    def want_script(self, job: J, locks: tuple[str, ...]) -> bool:
        """Asks for leave to run a job's next script.

        Returns:
            True if it may start now, False if it has to wait for GO.
        """
        entry = self._jobs[job]
        begun, entry.begun = entry.begun, True
        if locks and not self._scripts.acquire(job, locks):
            return False
        return self.admission.request(job, entry.component, begun=begun)

    def script_over(self, job: J) -> None:
        """Takes back the leave, or the wish for it: locks and slot are given to others. Idempotent."""
        self.admission.release(job)
        for other in self._scripts.release(job):
            if self.admission.request(other, self._jobs[other].component, begun=True):
                self._todo.append((Do.GO, other))
        self.admit_free()

    def admit_free(self) -> None:
        """Gives out the slots that don't depend on the load."""
        while (job := self.admission.admit(None)) is not None:
            self._todo.append((Do.GO, job))

    def admit_one(self, load: Load) -> None:
        """Gives out one slot if the load allows it."""
        job = self.admission.admit(load)
        if job is not None:
            self._todo.append((Do.GO, job))

    # ------------------------------------------------------------------ who waits for whom

    def blockers(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that a job waits for before it can start; nobody once it has."""
        entry = self._jobs.get(job)
        if entry is None:
            return ()
        if entry.stage is Stage.QUEUED:
            return self._backlogs[entry.component].blockers(job)
        return self._addresses.blockers(job) if entry.stage is Stage.LOCKING else ()

    def would_deadlock(self, component: str, plan: Plan, asker: J) -> bool:
        """Tells whether a job that `asker`'s script asks for, and waits for, could start only after `asker` is over.

        Follows who waits for whom, through jobs that others' scripts asked for in their turn.
        """
        backlog = self._backlogs.get(component)
        to_see: list[J] = [] if backlog is None else list(backlog.blockers_of_new(plan.mode))
        for lock in self._addresses.snapshot() if plan.resources else ():
            if lock.name in plan.resources:
                to_see += [job for job in (lock.holder, *lock.waiting) if job is not None]
        asked_by: dict[object, list[J]] = {}
        for job, entry in self._jobs.items():
            if entry.asker is not None:
                asked_by.setdefault(entry.asker, []).append(job)
        seen: set[J] = set()
        while to_see:
            job = to_see.pop()
            if job == asker:
                return True
            if job not in seen:
                seen.add(job)
                to_see += self.blockers(job)
                to_see += asked_by.get(job, ())
        return False
