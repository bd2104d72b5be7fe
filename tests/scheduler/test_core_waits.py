"""The search for circles of waiting: it finds what a plain one finds, and its cost grows with the queue, no faster."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd.errors import WouldDeadlock
from ctdb_eventd.events import Mode, Plan
from ctdb_eventd.scheduler.admission import Admission
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.states import Stage

ALONE = Plan(Mode.EXCLUSIVE)
PLANS = (ALONE, ALONE, *(Plan(Mode.ADDRESS, (f"address:{number}",)) for number in (1, 2)))
COMPONENTS = ("a", "b", "c")
LOCKS = (("one",), ("two",), ("one", "two"))


class Job(int):
    """Counts how often any of its like is looked up in a set or a map."""

    lookups = 0

    def __hash__(self) -> int:
        Job.lookups += 1
        return super().__hash__()


def a_core() -> Core[Job]:
    return Core(Admission(processors=1, limit=1000))


# ---------------------------------------------------------------------- the same as a plain search


def plain_search(core: Core[Job], target: Hashable, first: Iterable[Job]) -> tuple[Job, ...]:
    """Goes from each one to everybody whom it waits for."""
    came_from: dict[Job, Job | None] = dict.fromkeys(first)
    to_see = list(came_from)
    while to_see:
        one = to_see.pop()
        if one == target:
            way = [one]
            while (before := came_from[way[-1]]) is not None:
                way.append(before)
            return tuple(reversed(way))
        for other in plain_waits(core, one):
            if other not in came_from:
                came_from[other] = one
                to_see.append(other)
    return ()


def plain_waits(core: Core[Job], one: Job) -> list[Job]:
    entry = core._jobs.get(one)
    found = list(core.blockers(one))
    if entry is not None and entry.stage is Stage.QUEUED:
        found += core._addresses.users(entry.plan.resources)
    else:
        found += core._scripts.blockers(one)
    children = [child for child, parents in core.graph._parents.items() if one in parents and isinstance(child, Job)]
    return found + sorted(children)


class Story:
    """Does to a core what a service may do."""

    def __init__(self) -> None:
        self.core = a_core()
        self.number = 0
        self.claims: list[Job] = []

    def new(self) -> Job:
        self.number += 1
        return Job(self.number)

    def obey(self) -> None:
        while self.core.take() is not None:
            pass

    def running(self) -> list[Job]:
        return [job for job, entry in self.core._jobs.items() if entry.stage is Stage.RUNNING]

    def step(self, what: str, which: int, other: int) -> None:
        core, jobs = self.core, self.core.jobs
        asker = ([None, *self.running()])[which % (1 + len(self.running()))]
        component, plan, locks = COMPONENTS[other % 3], PLANS[other // 3 % 4], LOCKS[other // 3 % 3]
        behind = frozenset[Hashable](self.claims[-1:]) if other % 7 == 0 else frozenset[Hashable]()
        if what == "ask":
            for _ in range(1 + other % 3):
                asker = asker if asker in core._jobs else None
                self.ask(component, plan, behind if asker is None else behind | {asker})
        elif what == "script" and asker is not None and not core._scripts.names(asker):
            self.check(asker, core._scripts.users(locks))
            try:
                core.want_script(asker, locks)
            except WouldDeadlock:
                pass
        elif what == "claim":
            claim = self.new()
            try:
                core.request_locks(claim, locks, behind if asker is None else behind | {asker})
            except WouldDeadlock:
                return
            self.claims.append(claim)
        elif what == "drop" and self.claims:
            core.drop_locks(self.claims.pop(which % len(self.claims)))
        elif what == "cancel" and jobs:
            core.cancel(jobs[which % len(jobs)])
        elif what == "over" and asker is not None:
            core.released(asker)
            core.gone(asker)
        elif what == "script over" and asker is not None:
            core.script_over(asker)

    def ask(self, component: str, plan: Plan, parents: frozenset[Hashable]) -> None:
        core, backlog = self.core, self.core._backlogs.get(component)
        if parents:
            first = () if backlog is None else backlog.blockers_of_new(plan.mode)
            there = (*first, *core._addresses.users(plan.resources))
            expected = any(plain_search(core, one, there) for one in parents)
            assert core.would_deadlock(component, plan, parents) == expected
            if expected:
                return
        core.submit(self.new(), component, plan, parents)
        self.obey()

    def check(self, target: Job, there: list[Job]) -> None:
        assert self.core.graph._cycle(target, there) == plain_search(self.core, target, there)


steps = st.tuples(
    st.sampled_from(["ask", "ask", "ask", "script", "claim", "drop", "cancel", "over", "script over"]),
    st.integers(0, 40),
    st.integers(0, 100),
)


@given(st.lists(steps, max_size=40))
def test_it_finds_what_a_plain_search_finds(story: list[tuple[str, int, int]]) -> None:
    told = Story()
    for step in story:
        told.step(*step)
        told.obey()
        for job in told.core.jobs:
            there = told.core.blockers(job)
            told.check(job, list(there))
            assert [*there] == plain_blockers(told.core, job)


def plain_blockers(core: Core[Job], job: Job) -> list[Job]:
    """The same, from the snapshot of the queue that the search uses."""
    entry = core._jobs[job]
    if entry.stage is Stage.QUEUED:
        backlog = core._backlogs[entry.component]
        return [*backlog.first(dict(backlog.walk())[job])]
    if entry.stage is Stage.LOCKING:
        name = entry.plan.resources[0]
        return [*core._addresses.first(name, dict(core._addresses.walk(name))[job])]
    return []


# ---------------------------------------------------------------------- what it costs


def lookups_of(events: int, plan: Plan, *, one_search: bool) -> int:
    """Counts what a script's child costs that asks for so many events, each queued behind the others; or the last."""
    core = a_core()
    asker, first = Job(1), Job(2)
    core.submit(asker, "a", ALONE)
    core.submit(first, "b", ALONE)
    numbers = iter(range(3, 2 * events + 3))
    before = Job.lookups
    for number in numbers:
        if number > events + 2:
            break
        assert not core.would_deadlock("b", plan, frozenset({asker}))
        core.submit(Job(number), "b", plan, frozenset({asker}))
    if one_search:
        core.graph.changed()
        before = Job.lookups
        assert not core.would_deadlock("b", plan, frozenset({asker}))
    return Job.lookups - before


@pytest.mark.parametrize("plan", [ALONE, Plan(Mode.ADDRESS, ("address:1",))], ids=["exclusive", "address"])
@pytest.mark.parametrize("one_search", [True, False], ids=["one search", "all searches"])
def test_its_cost_grows_with_the_queue(plan: Plan, *, one_search: bool) -> None:
    small, large = (lookups_of(events, plan, one_search=one_search) for events in (1000, 2000))
    assert large <= 2.2 * small + 100


@pytest.mark.parametrize("locks", [("one",), ("one", "two")], ids=["one lock", "two locks"])
def test_so_does_that_of_a_script_that_wants_a_lock(locks: tuple[str, ...]) -> None:
    def lookups(events: int) -> int:
        core = a_core()
        for number in range(events):
            core.submit(Job(number), f"component {number}", ALONE)
            core.want_script(Job(number), locks)
        core.submit(Job(-1), "asks", ALONE)
        core.submit(Job(-2), "asked for", ALONE, frozenset({Job(-1)}))
        before = Job.lookups
        core.want_script(Job(-2), locks)
        return Job.lookups - before

    assert lookups(2000) <= 2.2 * lookups(1000)


def test_so_does_that_of_an_address_that_many_wait_for_and_nobody_can_end() -> None:
    def lookups(events: int) -> int:
        core = a_core()
        for number in range(events):
            core.submit(Job(number), "a", PLANS[-1])
        before = Job.lookups
        core.stuck(Job(0))
        return Job.lookups - before

    assert lookups(2000) <= 2.2 * lookups(1000)


def test_so_does_that_of_what_a_script_asked_for_when_that_is_over() -> None:
    def lookups(events: int) -> int:
        core = a_core()
        core.submit(Job(0), "a", ALONE)
        for number in range(1, events):
            core.submit(Job(number), f"component {number}", ALONE, frozenset({Job(0)}))
        before = Job.lookups
        for number in range(1, events):
            core.script_over(Job(number))
        return Job.lookups - before

    assert lookups(2000) <= 2.2 * lookups(1000)


def test_so_does_that_of_many_who_give_back_locks_that_they_have_just_got() -> None:
    def comparisons(claims: int) -> int:
        core = a_core()
        for number in range(2 * claims):
            core.request_locks(Job(number), (f"lock {number % claims}",))
        for number in range(claims):
            core.drop_locks(Job(number))
        before = Job.lookups
        for number in reversed(range(claims, 2 * claims)):
            core.drop_locks(Job(number))
        assert core.take() is None
        return Job.lookups - before

    assert comparisons(2000) <= 2.2 * comparisons(1000)


def test_nothing_is_remembered_of_who_asked_when_that_is_over() -> None:
    core = a_core()
    core.submit(Job(1), "a", ALONE)
    core.submit(Job(2), "b", ALONE)
    assert not core.would_deadlock("b", ALONE, frozenset({Job(1)}))
    core.submit(Job(3), "b", ALONE, frozenset({Job(1)}))
    assert core.graph._searched == {1}
    core.released(Job(1))
    core.gone(Job(1))
    left = vars(core.graph)
    assert (left["_searched"], left["_free"]) == (frozenset(), set())
