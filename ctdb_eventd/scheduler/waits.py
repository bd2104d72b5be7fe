"""Who waits for whom, and whether that would be for ever. Pure: looks at the core's tables and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from ctdb_eventd.errors import WouldDeadlock
from ctdb_eventd.events import Mode, Plan
from ctdb_eventd.scheduler.asked import AskedFor
from ctdb_eventd.scheduler.backlog import Backlog
from ctdb_eventd.scheduler.lines import Line
from ctdb_eventd.scheduler.locks import LockTable
from ctdb_eventd.scheduler.steps import Asked, Entry, Stage

__all__ = ["WaitsFor"]

J = TypeVar("J", bound=Hashable)


class _Lines:
    """Queues as one search goes through them: whoever was met in one is not returned once more."""

    def __init__(self, line: Callable[[str], Line[Any]]) -> None:
        self._line = line
        self._lines: dict[str, Line[Any]] = {}
        self._met: dict[str, int] = {}

    def everybody(self, name: str) -> Sequence[Any]:
        return self._up_to(name, len(self._get(name).members))

    def ahead(self, name: str, one: Any) -> Sequence[Any]:
        return self._up_to(name, self._get(name).ahead[one])

    def _get(self, name: str) -> Line[Any]:
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = self._line(name)
        return line

    def _up_to(self, name: str, count: int) -> Sequence[Any]:
        met = self._met.get(name, 0)
        if count <= met:
            return ()
        self._met[name] = count
        return self._lines[name].members[met:count]


class WaitsFor(Generic[J]):
    """Looks at jobs, backlogs and locks.

    What a search costs grows with those who are waited for, not with the number of pairs of them. Whoever asks for one
    event after the other, each behind the former, is searched for once, and then free to go on until something changes.
    """

    def __init__(
        self,
        jobs: Mapping[Any, Entry[J]],
        backlogs: Mapping[str, Backlog[J]],
        addresses: LockTable[J],
        scripts: LockTable[Any],
        asked: AskedFor[J],
    ) -> None:
        """Looks at these, which others change."""
        self._jobs = jobs
        self._backlogs = backlogs
        self._addresses = addresses
        self._scripts = scripts
        self._asked = asked
        self._waiters: tuple[J | None, frozenset[Hashable]] = None, frozenset()
        self._free: set[tuple[str, Mode]] = set()

    def changed(self) -> None:
        """Takes note that somebody may wait for others than before. That somebody has gone needs no note."""
        self._free.clear()
        self._waiters = None, frozenset()

    def forget(self, job: J) -> None:
        """Takes note that a job is over."""
        if self._waiters[0] == job:
            self.changed()

    def blockers(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that a job waits for before it can start; nobody once it has."""
        entry = self._jobs.get(job)
        if entry is None:
            return ()
        if entry.stage is Stage.QUEUED:
            return self._backlogs[entry.component].blockers(job)
        return self._addresses.blockers(job) if entry.stage is Stage.LOCKING else ()

    def first_blockers(self, jobs: Iterable[J], most: int) -> dict[J, tuple[tuple[J, ...], int]]:
        """Returns for whom jobs wait before they can start: the first few, and how many there are in all.

        Goes through each queue once, and no farther than needed. Those that wait for nobody are left out.
        """
        queues: dict[tuple[Stage, str], set[J]] = {}
        for job in jobs:
            entry = self._jobs[job]
            if entry.stage is Stage.QUEUED:
                queues.setdefault((entry.stage, entry.component), set()).add(job)
            elif entry.stage is Stage.LOCKING:
                queues.setdefault((entry.stage, entry.plan.resources[0]), set()).add(job)
        found = {}
        for (stage, name), wanted in queues.items():
            backlog = self._backlogs[name] if stage is Stage.QUEUED else None
            first = self._addresses.first(name, most) if backlog is None else backlog.first(most)
            for job, count in self._addresses.walk(name) if backlog is None else backlog.walk():
                if job in wanted:
                    found[job] = first[:count], count
                    wanted.remove(job)
                    if not wanted:
                        break
        return found

    def locks(self, job: J) -> tuple[str, ...]:
        """Returns the locks that a job waits for, its address's or its script's."""
        entry = self._jobs[job]
        if entry.stage is Stage.LOCKING:
            return entry.plan.resources
        return () if self._scripts.holds(job) else self._scripts.names(job)

    def in_vain(self, job: J) -> bool:
        """Tells whether the address that a job waits for is held by what can't be ended."""
        return any(self._jobs[holder].stuck for holder in self._addresses.holders(self._jobs[job].plan.resources))

    def check_claim(self, asked: Asked[J], locks: tuple[str, ...]) -> None:
        """Checks that nobody would wait for himself if a claimant waited for locks.

        Args:
            asked: Who asks for them.
            locks: Of scripts.

        Raises:
            WouldDeadlock: Somebody would.
        """
        what = f"a wait for the locks {' '.join(locks)}"
        self._check_askers(what, asked, locks)
        for waiter in asked.waiters:
            self._check_circle(what, self._circle(waiter, self._scripts.users(locks)))

    def check_script(self, job: J, locks: tuple[str, ...]) -> J | None:
        """Checks that nobody would wait for himself if a job waited for its next script's locks.

        Returns:
            A job that has to be taken back first: somebody's script asked for it, and it waits for this one, which is
            not at fault. None if there is none.

        Raises:
            WouldDeadlock: Somebody would, and this job is what was asked for.
        """
        what = f"a script of {job} with the locks {' '.join(locks)}"
        entry = self._jobs[job]
        self._check_askers(what, entry, locks)
        circle = self._circle(job, self._scripts.users(locks))
        if not entry.waiters:
            return self._asked_last(circle)
        self._check_circle(what, circle)
        return None

    def _check_circle(self, what: str, circle: tuple[Any, ...]) -> None:
        if circle:
            raise WouldDeadlock(what, str(circle[0]), "which waits for it in its turn")

    def _check_askers(self, what: str, asked: Asked[J], locks: tuple[str, ...]) -> None:
        """Checks the nearest circles, which have the clearest names."""
        users = set(self._scripts.users(locks))
        while True:
            for claimant in asked.behind & users:
                raise WouldDeadlock(what, str(claimant), "whose command asks for it and waits")
            asker = asked.asker
            if asker is None or asker not in self._jobs:
                return
            if asker in users:
                raise WouldDeadlock(what, str(asker))
            asked = self._jobs[asker]

    def would_deadlock(
        self, component: str, plan: Plan, asker: J | None, behind: frozenset[Hashable] = frozenset()
    ) -> bool:
        """Tells whether a job for which somebody asks, and waits, could start only after that one is over.

        Args:
            component: Where it is to run.
            plan: How it is treated beside others.
            asker: The job whose script asks for it.
            behind: The claimants whose children ask for it.

        Follows who waits for whom, through jobs that others' scripts asked for in their turn.
        """
        if self._waiters != (asker, behind):
            self._waiters = asker, behind
            self._free.clear()
        backlog = self._backlogs.get(component)
        first: tuple[J, ...] = ()
        if backlog is not None and (component, plan.mode) not in self._free:
            first = backlog.blockers_of_new(plan.mode)
        there = (*first, *self._addresses.users(plan.resources))
        if any(self._circle(waiter, there) for waiter in (asker, *behind) if waiter is not None):
            return True
        self._free.add((component, plan.mode))
        return False

    def is_free(self, component: str, plan: Plan, asker: J | None, behind: frozenset[Hashable]) -> bool:
        """Tells whether it is known that such a job, and all that it would wait for, waits for none of these."""
        return self._waiters == (asker, behind) and (component, plan.mode) in self._free

    def _asked_last(self, circle: Iterable[Any]) -> J | None:
        """Returns the last job in a circle for which the one before it asked, if that can still be taken back."""
        found, before = None, None
        for one in circle:
            entry = self._jobs.get(one)
            if entry is not None and before is not None and before in entry.waiters:
                found = one
            before = one
        return found if found is not None and self.blockers(found) else None

    def _circle(self, target: Any, first: Iterable[Any]) -> tuple[Any, ...]:
        """Follows who waits for whom until `target` would wait for itself; returns the way there."""
        came_from: dict[Any, Any] = dict.fromkeys(first)
        to_see = list(came_from)
        in_the_way = self._in_the_way()
        while to_see:
            one = to_see.pop()
            if one == target:
                way = [one]
                while (before := came_from[way[-1]]) is not None:
                    way.append(before)
                return tuple(reversed(way))
            for other in in_the_way(one):
                if other not in came_from:
                    came_from[other] = one
                    to_see.append(other)
        return ()

    def _in_the_way(self) -> Callable[[Any], Iterator[Any]]:
        """Returns what tells for whom a job or claimant waits, or will have to wait before its end as far as is known.

        Those who wait in one queue mostly wait for the same: who was told once may be left out later.
        """
        backlogs = _Lines(lambda component: self._backlogs[component].line())
        addresses, scripts = _Lines(self._addresses.line), _Lines(self._scripts.line)

        def tell(one: Any) -> Iterator[Any]:
            entry = self._jobs.get(one)
            if entry is not None and entry.stage is Stage.QUEUED:
                yield from backlogs.ahead(entry.component, one)
                for name in entry.plan.resources:
                    yield from addresses.everybody(name)
            else:
                if entry is not None and entry.stage is Stage.LOCKING:
                    for name in entry.plan.resources:
                        yield from addresses.ahead(name, one)
                if not self._scripts.holds(one):
                    for name in self._scripts.names(one):
                        yield from scripts.ahead(name, one)
            yield from self._asked.by(one)

        return tell
