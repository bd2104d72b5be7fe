"""The wait-for graph, and the search for deadlocks in it. Pure: reads the core's tables and changes none of them.

Jobs and clients wait for each other in backlogs, for addresses and for script locks. A script, or a client's command,
that requests an event or locks waits for these too: it is a *parent* of the request. If a cycle would close, the victim
is a request that has parents, never an event of ctdbd or another one without. A request that has just arrived is
refused; else the last one in the cycle that still waits is cancelled.
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
    """The queues during one search: each member of a queue is returned only once.

    Each member waits for the first `n` members of its queue, so a search needs to traverse the queue only once.
    """

    def __init__(self, first: Callable[[str], Sequence[Any]], walk: Callable[[str], Iterable[tuple[Any, int]]]) -> None:
        """Starts a search in the queues of one kind.

        Args:
            first: Returns the members of the queue of that name, in order.
            walk: Yields the waiting members, each with the number of first members that it waits for.
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

    The cost of a search is linear in the number of nodes. The result for a script that requests one event after the
    other is cached until an edge is added.
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
        # only of requests that have parents, which are rare
        self._parents: dict[Hashable, frozenset[Hashable]] = {}
        self._children: dict[Hashable, dict[Hashable, None]] = {}
        # the cache: a new job of these parents, in one of these components and modes, would be no deadlock
        self._searched = _NOBODY
        self._free: set[tuple[str, Mode]] = set()

    # ------------------------------------------------------------------ parents

    @property
    def has_parents(self) -> bool:
        """Whether any request has parents."""
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
        """Removes a job or a client that has ended."""
        for parent in self._parents.pop(one, ()):
            children = self._children[parent]
            del children[one]
            if not children:
                del self._children[parent]
        if one in self._searched:
            self.changed()

    def script_over(self, job: J) -> None:
        """Called when a job's script has ended: it is no parent of its requests any more."""
        for child in self._children.pop(job, ()):
            self._parents[child] -= {job}
            if not self._parents[child]:
                del self._parents[child]

    def changed(self) -> None:
        """Called when an edge may have been added; not needed when one was removed."""
        self._free.clear()
        self._searched = _NOBODY

    # ------------------------------------------------------------------ blockers

    def blockers(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that a job waits for before it can start; none once it has."""
        entry = self._jobs.get(job)
        if entry is None:
            return ()
        if entry.stage is Stage.QUEUED:
            return self._backlogs[entry.component].blockers(job)
        return self._addresses.blockers(job) if entry.stage is Stage.LOCKING else ()

    def first_blockers(self, jobs: Iterable[J], most: int) -> dict[J, tuple[tuple[J, ...], int]]:
        """Returns for each of these jobs the first `most` of its blockers, and the number of all of them.

        Traverses each queue once, and no farther than needed. Jobs without blockers are left out.
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
        """Returns whether the address that a job waits for is held by a script that can't be killed."""
        return any(self._jobs[holder].stuck for holder in self._addresses.holders(self._jobs[job].plan.resources))

    # ------------------------------------------------------------------ deadlocks

    def would_deadlock(self, component: str, plan: Plan, parents: frozenset[Hashable]) -> bool:
        """Returns whether a new job would wait for one of its parents, which wait for it.

        Args:
            component: Its component.
            plan: Its mode and the locks that it needs.
            parents: Its parents.
        """
        if self._searched != parents:
            self._searched = parents
            self._free.clear()
        backlog = self._backlogs.get(component)
        first: tuple[J, ...] = ()
        if backlog is not None and (component, plan.mode) not in self._free:
            first = backlog.blockers_of_new(plan.mode)
        there = (*first, *self._addresses.users(plan.resources))
        if any(self._cycle(parent, there) for parent in parents):
            return True
        self._free.add((component, plan.mode))
        return False

    def is_free(self, component: str, plan: Plan, parents: frozenset[Hashable]) -> bool:
        """Returns whether the cache has that such a job would be no deadlock."""
        return self._searched == parents and (component, plan.mode) in self._free

    def check_client(self, parents: frozenset[Hashable], locks: tuple[str, ...]) -> None:
        """Checks that no cycle would close if a client with these parents waited for script locks.

        Raises:
            WouldDeadlock: One would close.
        """
        self._check(f"a wait for the locks {' '.join(locks)}", parents, parents, locks)

    def check_script(self, job: J, locks: tuple[str, ...]) -> J | None:
        """Checks that no cycle would close if a job waited for its next script's locks.

        Returns:
            The victim, a job that has to be cancelled; None if there is none.

        Raises:
            WouldDeadlock: One would close, and this job is the victim, as it has parents.
        """
        parents = self.parents(job)
        if not parents:
            return self._last_child(self._cycle(job, self._scripts.users(locks)))
        self._check(f"a script of {job} with the locks {' '.join(locks)}", parents, (job,), locks)
        return None

    def _check(
        self, what: str, parents: frozenset[Hashable], waiters: Iterable[Hashable], locks: tuple[str, ...]
    ) -> None:
        users = self._scripts.users(locks)
        self._check_ancestors(what, parents, set(users))
        for waiter in waiters:
            cycle = self._cycle(waiter, users)
            if cycle:
                raise WouldDeadlock(what, str(cycle[0]), "which waits for it in its turn")

    def _check_ancestors(self, what: str, parents: frozenset[Hashable], users: set[Any]) -> None:
        """Checks the shortest cycles, whose errors are the clearest: through the parents, and theirs."""
        while parents:
            using = parents & users
            for client in (one for one in using if one not in self._jobs):
                raise WouldDeadlock(what, str(client), "whose command requests it and waits")
            for job in using:
                raise WouldDeadlock(what, str(job))
            parents = _NOBODY.union(*(self.parents(parent) for parent in parents if parent in self._jobs))

    def _last_child(self, cycle: Iterable[Any]) -> J | None:
        """Returns the last job in a cycle that is a child of the one before it, if it still waits."""
        found, before = None, None
        for one in cycle:
            if one in self._jobs and before is not None and before in self.parents(one):
                found = one
            before = one
        return found if found is not None and self.blockers(found) else None

    def _cycle(self, target: Any, first: Iterable[Any]) -> tuple[Any, ...]:
        """Searches a path of edges from `first` to `target`; returns it, empty if there is none."""
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
        """Returns a function that yields the nodes that one waits for, or will wait for as far as known.

        It is for one search: nodes that it has yielded may be left out later.
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
