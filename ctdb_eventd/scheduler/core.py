"""Decides which jobs and scripts may run, by means of backlogs, address locks, script locks and slots. Pure.

Each call puts actions into a queue, which the caller empties with `take`. A job goes through the stages of `states`:

    QUEUED ──▶ LOCKING ──▶ RUNNING ──▶ RELEASED ──▶ FORGOTTEN
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from ctdb_eventd.events import Plan
from ctdb_eventd.scheduler.admission import Admission, Load
from ctdb_eventd.scheduler.backlog import Backlog, Decision
from ctdb_eventd.scheduler.deadlock import WaitGraph
from ctdb_eventd.scheduler.locks import LockState, LockTable
from ctdb_eventd.scheduler.states import Action, CoreState, Entry, Stage

__all__ = ["Core"]

J = TypeVar("J", bound=Hashable)

_KEPT_BACKLOGS = 16
"""Number of backlogs above which empty ones are deleted: clients could use any number of names."""


class Core(Generic[J]):
    """The scheduler's decisions.

    Attributes:
        admission: The slots.
        graph: Which job or client waits for which.
    """

    def __init__(self, admission: Admission[J]) -> None:
        """Starts with nothing to run."""
        self.admission = admission
        self._actions: deque[tuple[Action, Any]] = deque()
        self._paused = False
        self._exempt: set[str] = set()
        """Components whose jobs start in spite of a pause."""
        self._withheld: dict[J, None] = {}
        """Jobs that would have been started without the pause."""
        self._jobs: dict[J, Entry] = {}
        self._backlogs: dict[str, Backlog[J]] = {}
        self._released: dict[J, None] = {}
        self._first_batch = 0
        self._addresses: LockTable[J] = LockTable()
        # the owners are jobs, for their scripts, and lock requests of clients
        self._scripts: LockTable[Any] = LockTable()
        self.graph: WaitGraph[J] = WaitGraph(self._jobs, self._backlogs, self._addresses, self._scripts)

    def take(self) -> tuple[Action, Any] | None:
        """Returns the next action with the job it is for, or the client for GRANT; None if there is none."""
        while self._actions:
            action, one = self._actions.popleft()
            if action is not Action.GRANT or self._scripts.holds(one):  # it may have released its locks already
                return action, one
        return None

    def pause(self) -> None:
        """Starts no more jobs, except those that a running script or the holder of a lock waits for."""
        self._paused = True

    def resume(self) -> None:
        """Ends a pause: starts the jobs that it has held back."""
        self._paused = False
        self._exempt.clear()
        for job in tuple(self._withheld):
            self._start(job)

    def _exempt_from_pause(self, component: str) -> None:
        self._exempt.add(component)
        for job in tuple(self._withheld):
            if self._jobs[job].component == component:
                self._start(job)

    def _start(self, job: J) -> None:
        """Starts a job, or holds it back during a pause."""
        entry = self._jobs[job]
        if self._paused and entry.component not in self._exempt and not self.graph.parents(job):
            if entry.stage is Stage.QUEUED:
                entry.move(Stage.LOCKING)
            self._withheld[job] = None
        else:
            self._withheld.pop(job, None)
            entry.move(Stage.RUNNING)
            self._actions.append((Action.START, job))

    @property
    def started(self) -> tuple[J, ...]:
        """Every started job that still exists, in order of arrival."""
        return tuple(job for job, entry in self._jobs.items() if entry.stage in (Stage.RUNNING, Stage.RELEASED))

    @property
    def jobs(self) -> tuple[J, ...]:
        """Every job, in order of arrival."""
        return tuple(self._jobs)

    def components(self) -> Iterator[tuple[str, Sequence[J], Sequence[J]]]:
        """Yields each component with jobs, the jobs that its backlog has started, and those that wait in it."""
        gone_on: dict[str, list[J]] = {}
        for job in self._released:
            gone_on.setdefault(self._jobs[job].component, []).append(job)
        for name, backlog in self._backlogs.items():
            yield name, (*gone_on.pop(name, ()), *backlog.running), backlog.waiting
        for name, jobs in gone_on.items():
            yield name, jobs, ()

    @property
    def busy(self) -> bool:
        """Whether any job exists."""
        return bool(self._jobs)

    @property
    def state(self) -> CoreState[J]:
        """A snapshot of everything, for display."""
        return CoreState(
            stages=tuple((job, entry.stage) for job, entry in self._jobs.items()),
            addresses=self._addresses.snapshot(),
            scripts=self._scripts.snapshot(),
            admission=self.admission.state,
        )

    def locks(self, most: int, waiting: int) -> tuple[tuple[LockState[J], ...], tuple[LockState[J], ...]]:
        """Returns at most `most` locks of addresses and of scripts each, with at most `waiting` waiting owners."""
        return self._addresses.snapshot(most, waiting), self._scripts.snapshot(most, waiting)

    def idle(self, component: str) -> bool:
        """Returns whether nothing of a component runs or waits."""
        backlog = self._backlogs.get(component)
        return backlog is None or backlog.idle

    def batch(self, job: J) -> int:
        """Returns the number of a job's batch: address events of one batch ran side by side."""
        return self._jobs[job].batch

    def stage(self, job: J) -> Stage | None:
        """Returns the stage of a job, None if it is forgotten."""
        entry = self._jobs.get(job)
        return None if entry is None else entry.stage

    def script_locks(self, owner: Hashable) -> tuple[str, ...]:
        """Returns the script locks that a job, or a client, holds or waits for."""
        return self._scripts.names(owner)

    def obstacle(self, client: Hashable) -> tuple[Any, float] | None:
        """Returns the job or client that blocks a lock request, as holder or as one queued before, and since when."""
        return self._scripts.first_obstacle(client)

    def waits(self, job: J) -> bool:
        """Returns whether a job waits to be started."""
        entry = self._jobs.get(job)
        return entry is not None and entry.stage in (Stage.QUEUED, Stage.LOCKING)

    def blockers(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that a job waits for before it can start; none once it has."""
        return self.graph.blockers(job)

    def first_blocker(self, job: J) -> J | None:
        """Returns the first of `blockers`, None if there are none; the cost doesn't grow with their number."""
        entry = self._jobs.get(job)
        if entry is None:
            return None
        if entry.stage is Stage.QUEUED:
            return next((first for first in self._backlogs[entry.component].first(1) if first != job), None)
        obstacle = self._addresses.first_obstacle(job) if entry.stage is Stage.LOCKING else None
        return None if obstacle is None else obstacle[0]

    def would_deadlock(self, component: str, plan: Plan, parents: frozenset[Hashable]) -> bool:
        """Returns whether a job with these parents could start only after one of them has ended."""
        return self.graph.would_deadlock(component, plan, parents)

    def wants(self, job: J) -> tuple[str, ...]:
        """Returns the locks of address or script that a job waits for, or `slot` if it waits for a slot."""
        return self.graph.locks(job) or (("slot",) if self.admission.waits(job) else ())

    # ------------------------------------------------------------------ the life of a job

    def submit(self, job: J, component: str, plan: Plan, parents: frozenset[Hashable] = frozenset()) -> None:
        """Adds a job that has just arrived.

        Args:
            job: The job.
            component: Its component.
            plan: Its mode and the locks that it needs.
            parents: The jobs and clients that have requested it: they are blocked, and keep their locks, until it has
                ended.
        """
        backlog = self._backlogs.get(component)
        if backlog is None:
            backlog = self._backlogs[component] = Backlog(self._first_batch)
        self._jobs[job] = Entry(component=component, plan=plan)
        if parents and self._paused:
            self._exempt_from_pause(component)  # it may be behind others there
        self.graph.add(job, parents)
        decision = backlog.submit(job, plan.mode)
        if decision or not self.graph.is_free(component, plan, parents):
            self.graph.changed()
        self._follow(backlog, decision)
        if parents and self.waits(job):
            self._lend_slots(parents)

    def cancel(self, job: J) -> None:
        """Cancels a job: one that waits is forgotten, one that runs is ended."""
        entry = self._jobs.get(job)
        if entry is None or entry.stage is Stage.RELEASED:
            return
        if entry.stage is not Stage.RUNNING:
            self._take_back(job)
        elif self._backlogs[entry.component].cancel(job).end:
            self._actions.append((Action.END, job))

    def _take_back(self, job: J) -> None:
        """Forgets a job that waits."""
        entry = self._jobs[job]
        backlog = self._backlogs[entry.component]
        if entry.stage is Stage.QUEUED:
            self._forget(job)
            self._follow(backlog, backlog.cancel(job))
        else:
            self._forget_locking(job, backlog)

    def _forget(self, job: J) -> Entry:
        entry = self._jobs[job]
        entry.move(Stage.FORGOTTEN)
        del self._jobs[job]
        self._withheld.pop(job, None)
        self.graph.remove(job)
        return entry

    def released(self, job: J) -> None:
        """Called when the next jobs of a running job's component may start."""
        entry = self._jobs[job]
        entry.move(Stage.RELEASED)
        self._released[job] = None
        backlog = self._backlogs[entry.component]
        self._follow(backlog, backlog.finished(job))
        if len(self._backlogs) > _KEPT_BACKLOGS and backlog.idle:
            del self._backlogs[entry.component]
            # a new backlog of the same name must not use the same numbers of batches again
            self._first_batch = max(self._first_batch, backlog.batch + 1)

    def stuck(self, job: J) -> None:
        """Called when a job's last script can't be killed: it keeps its address, and jobs that wait for that fail."""
        its_entry = self._jobs[job]
        its_entry.stuck = True
        for other in self._addresses.users(its_entry.plan.resources):
            entry = self._jobs.get(other)
            if entry is not None and entry.stage is Stage.LOCKING and self.graph.waits_for_stuck(other):
                self._fail(other)

    def _fail(self, job: J) -> None:
        backlog = self._backlogs[self._jobs[job].component]
        self._actions.append((Action.FAIL, job))
        self._forget_locking(job, backlog)

    def gone(self, job: J) -> None:
        """Called when no process of a released job is left."""
        entry = self._forget(job)
        del self._released[job]
        if entry.begun:
            self.script_over(job)
        if entry.plan.resources:
            self._start_locked(self._addresses.release(job))

    def _follow(self, backlog: Backlog[J], decision: Decision[J]) -> None:
        actions = self._actions
        for job in decision.refuse:
            self._forget(job)
            actions.append((Action.REFUSE, job))
        for job in decision.end:
            if job in self._withheld:
                actions.append((Action.REFUSE, job))
                self._forget_locking(job, backlog)
            else:
                actions.append((Action.YIELD, job))  # a monitor, which waits for no address
        for job in decision.start:
            entry = self._jobs[job]
            entry.batch = backlog.batch
            resources = entry.plan.resources
            if resources:
                self.graph.changed()
            if not resources or self._addresses.acquire(job, resources):
                self._start(job)
            else:
                entry.move(Stage.LOCKING)
                if self.graph.waits_for_stuck(job):
                    self._fail(job)
                else:
                    actions.append((Action.WAIT, job))

    def _forget_locking(self, job: J, backlog: Backlog[J]) -> None:
        self._forget(job)
        self._start_locked(self._addresses.release(job))
        self._follow(backlog, backlog.finished(job))

    def _start_locked(self, jobs: tuple[J, ...]) -> None:
        for job in jobs:
            self._start(job)

    # ------------------------------------------------------------------ the scripts of a job

    def want_script(self, job: J, locks: tuple[str, ...]) -> bool:
        """Requests permission to run a job's next script.

        Returns:
            True if it may start now, False if it has to wait for GO.

        Raises:
            WouldDeadlock: The holder of one of the locks waits for this job.
        """
        entry = self._jobs[job]
        if locks and self.graph.has_parents:
            victim = self.graph.check_script(job, locks)
            if victim is not None:
                self._actions.append((Action.DEADLOCK, victim))
                self._take_back(victim)
        begun, entry.begun = entry.begun, True
        if locks:
            self.graph.changed()
        if locks and not self._scripts.acquire(job, locks):
            self._lend_slots(self.graph.parents(job))
            return False
        return self._want_slot(job, begun=begun)

    def _want_slot(self, job: J, *, begun: bool) -> bool:
        # A parent's script only waits for this job: if this waited for a slot, both could wait for ever.
        if any(parent in self._jobs for parent in self.graph.parents(job)):
            return True
        return self.admission.request(job, self._jobs[job].component, begun=begun)

    def _lend_slots(self, parents: frozenset[Hashable]) -> None:
        """Releases the slots of scripts that only wait for a child, and of their parents, for other scripts."""
        while parents:
            jobs = [parent for parent in parents if parent in self._jobs]
            for job in jobs:
                self.admission.release(job)
            parents = frozenset[Hashable]().union(*map(self.graph.parents, jobs))
        self.admit_free()

    def script_over(self, job: J) -> None:
        """Withdraws the permission, or the request for it: passes locks and slot on to others. Idempotent."""
        self.admission.release(job)
        self.graph.script_over(job)
        self._grant(self._scripts.release(job))
        self.admit_free()

    def _grant(self, owners: tuple[Any, ...]) -> None:
        for owner in owners:
            if owner not in self._jobs:
                self._actions.append((Action.GRANT, owner))
            elif self._want_slot(owner, begun=True):
                self._actions.append((Action.GO, owner))

    def admit_free(self) -> None:
        """Grants free slots to waiting scripts, as far as that doesn't depend on the load."""
        while (job := self.admission.admit(None)) is not None:
            self._actions.append((Action.GO, job))

    def admit_one(self, load: Load) -> None:
        """Grants one slot if the load allows it."""
        job = self.admission.admit(load)
        if job is not None:
            self._actions.append((Action.GO, job))

    # ------------------------------------------------------------------ locks of clients

    def request_locks(
        self, client: Hashable, locks: tuple[str, ...], parents: frozenset[Hashable] = frozenset()
    ) -> bool:
        """Requests locks for a client, which is not a job; for `parents` see `submit`.

        Returns:
            True if they are granted now; False if it has to wait for GRANT.

        Raises:
            WouldDeadlock: It would wait for a parent, or for one that waits for a parent.
        """
        if parents:
            self.graph.check_client(parents, locks)
            self.graph.add(client, parents)
        self.graph.changed()
        granted = self._scripts.acquire(client, locks)
        if not granted:
            self._lend_slots(parents)
        return granted

    def drop_locks(self, client: Hashable) -> None:
        """Releases the locks of a client, or withdraws the request for them. Idempotent."""
        self.graph.remove(client)
        self._grant(self._scripts.release(client))
