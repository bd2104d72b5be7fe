"""The graph of waits, and the search for deadlocks in it. Pure: reads the core's tables and changes none of them.

Jobs and clients wait for each other in backlogs, for addresses and for script locks. A script, or a client's command,
that asks for an event or for locks waits for these too: it is a *parent* of what it asked for. If a circle would close,
one rule says which one gives way: one that has parents, never an event that no script asked for, as those of ctdbd
are. If it has just arrived, it is refused; else the last in the circle that still waits is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from ctdb_eventd.errors import WouldDeadlock
from ctdb_eventd.events import Mode, Plan
from ctdb_eventd.scheduler.backlog import Backlog
from ctdb_eventd.scheduler.locks import LockTable
from ctdb_eventd.scheduler.states import Entry, Stage

__all__ = ["WaitGraph"]

J = TypeVar("J", bound=Hashable)

_NOBODY: frozenset[Hashable] = frozenset()


class _Queues:
    """Queues as one search goes through them: a member that was met in one is not returned again.

    In a queue each one waits for the first so many members, so a search needs to go through it only once.
    """

    def __init__(self, first: Callable[[str], Sequence[Any]], walk: Callable[[str], Iterable[tuple[Any, int]]]) -> None:
        """Starts a search in the queues of one kind.

        Args:
            first: Returns the members of the queue of that name, in order.
            walk: Yields those who wait in it, and for how many of its first members.
        """
        self._first = first
        self._walk = walk
        self._members: dict[str, Sequence[Any]] = {}
        self._ahead: dict[str, Mapping[Any, int]] = {}
        self._met: dict[str, int] = {}

    def everybody(self, name: str) -> Sequence[Any]:
        self._read(name)
        return self._up_to(name, len(self._members[name]))

    def ahead(self, name: str, one: Any) -> Sequence[Any]:
        self._read(name)
        return self._up_to(name, self._ahead[name][one])

    def _read(self, name: str) -> None:
        if name not in self._members:
            self._members[name], self._ahead[name], self._met[name] = self._first(name), dict(self._walk(name)), 0

    def _up_to(self, name: str, count: int) -> Sequence[Any]:
        met = self._met[name]
        self._met[name] = max(met, count)
        return self._members[name][met:count]


class WaitGraph(Generic[J]):
    """Jobs and clients, an edge from each to those it waits for.

    What a search costs grows with those who are waited for, not with the number of pairs of them. A script that asks
    for one event after the other, each behind the former, is searched for once, until something changes.
    """

    def __init__(
        self,
        jobs: Mapping[Any, Entry],
        backlogs: Mapping[str, Backlog[J]],
        addresses: LockTable[J],
        scripts: LockTable[Any],
    ) -> None:
        """Reads these tables, which the core changes."""
        self._jobs = jobs
        self._backlogs = backlogs
        self._addresses = addresses
        self._scripts = scripts
        # only of what was asked for, which is nearly always nothing
        self._parents: dict[Hashable, frozenset[Hashable]] = {}
        self._children: dict[Hashable, dict[Hashable, None]] = {}
        # the last search: these parents wait for none of what a new job in such a component and mode would wait for
        self._searched = _NOBODY
        self._free: set[tuple[str, Mode]] = set()

    # ------------------------------------------------------------------ who asked for what

    @property
    def has_parents(self) -> bool:
        """Tells whether anything was asked for by a script or a client's command that waits for it."""
        return bool(self._children)

    def parents(self, one: Hashable) -> frozenset[Hashable]:
        """Returns the jobs and clients that are blocked until this one completes."""
        return self._parents.get(one, _NOBODY)

    def add(self, one: Hashable, parents: frozenset[Hashable]) -> None:
        """Adds a job or a client with its parents."""
        if parents:
            self._parents[one] = parents
            for parent in parents:
                self._children.setdefault(parent, {})[one] = None

    def remove(self, one: Hashable) -> None:
        """Removes a job or a client that is over."""
        for parent in self._parents.pop(one, ()):
            children = self._children[parent]
            del children[one]
            if not children:
                del self._children[parent]
        if one in self._searched:
            self.changed()

    def script_over(self, job: J) -> None:
        """Notes that a job's script is over: it waits no more for what it asked for and left behind."""
        for child in self._children.pop(job, ()):
            self._parents[child] -= {job}
            if not self._parents[child]:
                del self._parents[child]

    def changed(self) -> None:
        """Notes that a job or client may wait for others than before. That one has gone needs no note."""
        self._free.clear()
        self._searched = _NOBODY

    # ------------------------------------------------------------------ who waits for what

    def blockers(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that a job waits for before it can start; none once it has."""
        entry = self._jobs.get(job)
        if entry is None:
            return ()
        if entry.stage is Stage.QUEUED:
            return self._backlogs[entry.component].blockers(job)
        return self._addresses.blockers(job) if entry.stage is Stage.LOCKING else ()

    def first_blockers(self, jobs: Iterable[J], most: int) -> dict[J, tuple[tuple[J, ...], int]]:
        """Returns which jobs these wait for before they can start: the first few, and how many there are in all.

        Goes through each queue once, and no farther than needed. Those that wait for none are left out.
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

    def waits_for_stuck(self, job: J) -> bool:
        """Tells whether the address that a job waits for is held by a script that can't be ended."""
        return any(self._jobs[holder].stuck for holder in self._addresses.holders(self._jobs[job].plan.resources))

    # ------------------------------------------------------------------ who would wait for itself

    def would_deadlock(self, component: str, plan: Plan, parents: frozenset[Hashable]) -> bool:
        """Tells whether a new job could start only after one of its parents is over, which wait for it.

        Args:
            component: Where it is to run.
            plan: How it is treated beside others.
            parents: Who asks for it.
        """
        if self._searched != parents:
            self._searched = parents
            self._free.clear()
        backlog = self._backlogs.get(component)
        first: tuple[J, ...] = ()
        if backlog is not None and (component, plan.mode) not in self._free:
            first = backlog.blockers_of_new(plan.mode)
        there = (*first, *self._addresses.users(plan.resources))
        if any(self._circle(parent, there) for parent in parents):
            return True
        self._free.add((component, plan.mode))
        return False

    def is_free(self, component: str, plan: Plan, parents: frozenset[Hashable]) -> bool:
        """Tells whether it is known that such a job, and all that it would wait for, waits for none of its parents."""
        return self._searched == parents and (component, plan.mode) in self._free

    def check_client(self, parents: frozenset[Hashable], locks: tuple[str, ...]) -> None:
        """Checks that no circle would close if a client with these parents waited for script locks.

        Raises:
            WouldDeadlock: One would.
        """
        self._check(f"a wait for the locks {' '.join(locks)}", parents, parents, locks)

    def check_script(self, job: J, locks: tuple[str, ...]) -> J | None:
        """Checks that no circle would close if a job waited for its next script's locks.

        Returns:
            A job that has to be taken back first; None if there is none.

        Raises:
            WouldDeadlock: One would, and this job is the one to give way, as it has parents.
        """
        parents = self.parents(job)
        if not parents:
            return self._last_child(self._circle(job, self._scripts.users(locks)))
        self._check(f"a script of {job} with the locks {' '.join(locks)}", parents, (job,), locks)
        return None

    def _check(
        self, what: str, parents: frozenset[Hashable], waiters: Iterable[Hashable], locks: tuple[str, ...]
    ) -> None:
        users = self._scripts.users(locks)
        self._check_ancestors(what, parents, set(users))
        for waiter in waiters:
            circle = self._circle(waiter, users)
            if circle:
                raise WouldDeadlock(what, str(circle[0]), "which waits for it in its turn")

    def _check_ancestors(self, what: str, parents: frozenset[Hashable], users: set[Any]) -> None:
        """Checks the nearest circles, whose errors are the clearest: the parents, and theirs."""
        while parents:
            using = parents & users
            for client in (one for one in using if one not in self._jobs):
                raise WouldDeadlock(what, str(client), "whose command asks for it and waits")
            for job in using:
                raise WouldDeadlock(what, str(job))
            parents = _NOBODY.union(*(self.parents(parent) for parent in parents if parent in self._jobs))

    def _last_child(self, circle: Iterable[Any]) -> J | None:
        """Returns the last job in a circle that is a child of the one before it, if it can still be taken back."""
        found, before = None, None
        for one in circle:
            if one in self._jobs and before is not None and before in self.parents(one):
                found = one
            before = one
        return found if found is not None and self.blockers(found) else None

    def _circle(self, target: Any, first: Iterable[Any]) -> tuple[Any, ...]:
        """Follows who waits for whom until `target` would wait for itself; returns the way there."""
        came_from: dict[Any, Any] = dict.fromkeys(first)
        to_see = list(came_from)
        waited_for_by = self._waited_for_by()
        while to_see:
            one = to_see.pop()
            if one == target:
                way = [one]
                while (before := came_from[way[-1]]) is not None:
                    way.append(before)
                return tuple(reversed(way))
            for other in waited_for_by(one):
                if other not in came_from:
                    came_from[other] = one
                    to_see.append(other)
        return ()

    def _waited_for_by(self) -> Callable[[Any], Iterator[Any]]:
        """Returns a function that yields what one waits for, or will have to wait for before its end as far as known.

        It is for one search: those that wait in one queue mostly wait for the same, so what was yielded may be left out
        later.
        """
        backlogs = _Queues(lambda name: self._backlogs[name].first(), lambda name: self._backlogs[name].walk())
        addresses = _Queues(self._addresses.first, self._addresses.walk)
        scripts = _Queues(self._scripts.first, self._scripts.walk)

        def waited_for(one: Any) -> Iterator[Any]:
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
            yield from self._children.get(one, ())

        return waited_for
