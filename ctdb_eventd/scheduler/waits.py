"""Who waits for whom, and whether that would be for ever. Pure: looks at the core's tables and changes nothing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Generic, TypeVar

from ctdb_eventd.errors import WouldDeadlock
from ctdb_eventd.events import Plan
from ctdb_eventd.scheduler.backlog import Backlog
from ctdb_eventd.scheduler.locks import LockTable
from ctdb_eventd.scheduler.steps import Entry, Stage

__all__ = ["WaitsFor"]

J = TypeVar("J", bound=Hashable)


class WaitsFor(Generic[J]):
    """Looks at jobs, backlogs and locks."""

    def __init__(
        self,
        jobs: Mapping[J, Entry[J]],
        backlogs: Mapping[str, Backlog[J]],
        addresses: LockTable[J],
        scripts: LockTable[Any],
    ) -> None:
        """Looks at these, which others change."""
        self._jobs = jobs
        self._backlogs = backlogs
        self._addresses = addresses
        self._scripts = scripts

    def blockers(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that a job waits for before it can start; nobody once it has."""
        entry = self._jobs.get(job)
        if entry is None:
            return ()
        if entry.stage is Stage.QUEUED:
            return self._backlogs[entry.component].blockers(job)
        return self._addresses.blockers(job) if entry.stage is Stage.LOCKING else ()

    def locks(self, job: J) -> tuple[str, ...]:
        """Returns the locks that a job waits for, its address's or its script's."""
        entry = self._jobs[job]
        if entry.stage is Stage.LOCKING:
            return entry.plan.resources
        return () if self._scripts.holds(job) else self._scripts.names(job)

    def in_vain(self, job: J) -> bool:
        """Tells whether the address that a job waits for is held by what can't be ended."""
        return any(self._jobs[blocker].stuck for blocker in self._addresses.blockers(job))

    def check_askers(self, what: str, asker: J | None, behind: frozenset[Hashable], locks: tuple[str, ...]) -> None:
        """Checks that nobody who waits for the outcome has one of these locks, or waits for it.

        Args:
            what: Needs the locks; for the error.
            asker: The job whose script asks for it, and waits.
            behind: The claimants whose children ask for it.
            locks: Of scripts.

        Raises:
            WouldDeadlock: `asker` has one, a job whose script asked for that one in turn, or a claimant behind them.
        """
        users = set(self._scripts.users(locks))
        while True:
            for claimant in behind & users:
                raise WouldDeadlock(what, str(claimant), "whose command asks for it and waits")
            if asker is None or asker not in self._jobs:
                return
            if asker in users:
                raise WouldDeadlock(what, str(asker))
            entry = self._jobs[asker]
            asker, behind = entry.asker, entry.behind

    def would_deadlock(self, component: str, plan: Plan, asker: J) -> bool:
        """Tells whether a job that `asker`'s script asks for, and waits for, could start only after `asker` is over.

        Follows who waits for whom, through jobs that others' scripts asked for in their turn.
        """
        backlog = self._backlogs.get(component)
        to_see: list[J] = [] if backlog is None else list(backlog.blockers_of_new(plan.mode))
        to_see += self._addresses.users(plan.resources)
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
                to_see += self._in_the_way(job)
                to_see += asked_by.get(job, ())
        return False

    def _in_the_way(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that a job waits for, or will have to wait for before its end as far as is known."""
        entry = self._jobs[job]
        if entry.stage is Stage.QUEUED:
            return (*self.blockers(job), *self._addresses.users(entry.plan.resources))
        # a client may be in the way too, but what that waits for nobody knows
        others = (owner for owner in self._scripts.blockers(job) if owner in self._jobs)
        return (*self.blockers(job), *others)
