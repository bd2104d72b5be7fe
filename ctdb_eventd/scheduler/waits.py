"""Who waits for whom, and whether that would be for ever. Pure: looks at the core's tables and changes nothing."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
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
        claimed_by: Mapping[Hashable, J],
    ) -> None:
        """Looks at these, which others change."""
        self._jobs = jobs
        self._backlogs = backlogs
        self._addresses = addresses
        self._scripts = scripts
        self._claimed_by = claimed_by

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

    def check_askers(self, what: str, asker: J | None, locks: tuple[str, ...]) -> None:
        """Checks that nobody who waits for the outcome has one of these locks, or waits for it.

        Args:
            what: Needs the locks; for the error.
            asker: The job whose script asks for it, and waits.
            locks: Of scripts.

        Raises:
            WouldDeadlock: `asker`, or a job whose script asked for that one in turn, has one.
        """
        users = self._scripts.users(locks)
        # who holds a lock for a script, as its child, will hardly give it back before what the script asked for
        users += [self._claimed_by[user] for user in users if user in self._claimed_by]
        while asker is not None and asker in self._jobs:
            if asker in users:
                raise WouldDeadlock(what, str(asker))
            asker = self._jobs[asker].asker

    def check_claim(self, asker: J, locks: tuple[str, ...]) -> None:
        """Checks that a script's child does not ask for locks that it can get only after the script is over.

        Raises:
            WouldDeadlock: It would.
        """
        what = f"a wait for the locks {' '.join(locks)}"
        to_see = [user for user in self._scripts.users(locks) if user in self._jobs]
        if self._leads_to(asker, to_see):
            raise WouldDeadlock(what, str(asker))
        askers_asker = self._jobs[asker].asker if asker in self._jobs else None
        if askers_asker is not None:
            self.check_askers(what, askers_asker, locks)

    def would_deadlock(self, component: str, plan: Plan, asker: J) -> bool:
        """Tells whether a job that `asker`'s script asks for, and waits for, could start only after `asker` is over.

        Follows who waits for whom, through jobs that others' scripts asked for in their turn.
        """
        backlog = self._backlogs.get(component)
        to_see: list[J] = [] if backlog is None else list(backlog.blockers_of_new(plan.mode))
        to_see += self._addresses.users(plan.resources)
        return self._leads_to(asker, to_see)

    def _leads_to(self, end: J, to_see: list[J]) -> bool:
        """Tells whether one of these jobs, or a job that it waits for in the end, is `end`."""
        asked_by: dict[object, list[J]] = {}
        for job, entry in self._jobs.items():
            if entry.asker is not None:
                asked_by.setdefault(entry.asker, []).append(job)
        for claimant, asker in self._claimed_by.items():
            asked_by.setdefault(asker, []).extend(self._holders(claimant))
        seen: set[J] = set()
        while to_see:
            job = to_see.pop()
            if job == end:
                return True
            if job not in seen and job in self._jobs:
                seen.add(job)
                to_see += self._in_the_way(job)
                to_see += asked_by.get(job, ())
        return False

    def _holders(self, owner: Any) -> Iterator[J]:
        """Yields the jobs that stand before an owner of a lock, by themselves or by a claimant that is their child."""
        for user in self._scripts.blockers(owner):
            if user in self._jobs:
                yield user
            elif user in self._claimed_by:
                yield self._claimed_by[user]

    def _in_the_way(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that a job waits for, or will have to wait for before its end as far as is known."""
        entry = self._jobs[job]
        if entry.stage is Stage.QUEUED:
            return (*self.blockers(job), *self._addresses.users(entry.plan.resources))
        # another client may be in the way too, but what that waits for nobody knows
        return (*self.blockers(job), *self._holders(job))
