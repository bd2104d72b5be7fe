"""How many scripts run at once: free slots, the limit, idle processors, turns, and whole load curves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd.scheduler.admission import Admission, AdmissionState, Load

PROCESSORS = 2
FREE = 2 * PROCESSORS + 16
BUSY_FROM = 3 * PROCESSORS
IDLE, SATURATED = Load(0), Load(BUSY_FROM)


def admission(limit: int = 256, *, running: int = 0) -> Admission[str]:
    """A policy with some slots taken, by `r0`, `r1`, and so on."""
    made: Admission[str] = Admission(processors=PROCESSORS, limit=limit)
    for number in range(running):
        assert made.request(f"r{number}", "legacy", begun=False)
    return made


def ask(policy: Admission[str], *members: str, component: str = "legacy", begun: bool = False) -> list[bool]:
    return [policy.request(member, component, begun=begun) for member in members]


def admitted(policy: Admission[str], load: Load | None = None) -> list[str]:
    """Everybody who is given a slot now, in order."""
    found = []
    while (member := policy.admit(load)) is not None:
        found.append(member)
    return found


# ---------------------------------------------------------------------- free slots and the limit


@pytest.mark.parametrize("processors", [1, 2, 64])
def test_two_scripts_for_each_processor_and_sixteen_more_start_whatever_the_load_is(processors: int) -> None:
    policy: Admission[int] = Admission(processors=processors, limit=1000)
    granted = [policy.request(number, "legacy", begun=False) for number in range(200)]
    assert granted.count(True) == 2 * processors + 16
    assert policy.admit(None) is None


def test_a_limit_below_the_free_slots_counts() -> None:
    policy = admission(limit=3)
    assert ask(policy, "a", "b", "c", "d") == [True, True, True, False]
    assert policy.admit(IDLE) is None


def test_beyond_the_free_slots_one_starts_when_the_processors_are_idle() -> None:
    policy = admission(running=FREE)
    assert ask(policy, "a", "b") == [False, False]
    assert policy.admit(None) is None
    assert policy.admit(SATURATED) is None
    assert policy.admit(Load(BUSY_FROM - 1)) == "a"
    assert policy.admit(IDLE) == "b"


def test_the_limit_counts_however_idle_the_processors_are() -> None:
    policy = admission(limit=FREE + 1, running=FREE)
    ask(policy, "a", "b")
    assert admitted(policy, IDLE) == ["a"]


def test_a_few_of_each_component_run_beside_the_limit() -> None:
    """Scripts that hang in one keep no other from its work."""
    policy: Admission[str] = Admission(processors=PROCESSORS, limit=3, own=1)
    assert ask(policy, "a1", "a2", "a3", "a4") == [True, True, True, False]
    assert ask(policy, "b1", "b2", component="monitoring") == [True, False]
    assert ask(policy, "c1", component="third") == [True]
    assert admitted(policy, SATURATED) == []
    policy.release("b1")
    assert admitted(policy, SATURATED) == ["b2"], "its own, though others have waited for longer"
    assert admitted(policy, SATURATED) == []
    policy.release("c1")
    policy.release("b2")
    assert admitted(policy, SATURATED) == []
    policy.release("a1")
    assert admitted(policy, SATURATED) == ["a4"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.integers(1, 5))
def test_a_component_that_wants_to_run_runs_one(steps: list[tuple[str, bool]], limit: int) -> None:
    policy: Admission[int] = Admission(processors=1, limit=limit, own=1)
    component_of: dict[int, str] = {}
    runs: set[int] = set()
    for number, (component, arrives) in enumerate(steps):
        ended = next((member for member in sorted(runs) if component_of[member] == component), None)
        if arrives:
            component_of[number] = component
            if policy.request(number, component, begun=False):
                runs.add(number)
        elif ended is not None:
            policy.release(ended)
            runs.discard(ended)
            del component_of[ended]
        while (member := policy.admit(None)) is not None:
            runs.add(member)
        assert {component_of[member] for member in runs} == set(component_of.values())
        assert len(runs) <= limit + len(set(component_of.values()))


def test_nobody_is_admitted_when_nobody_waits() -> None:
    assert admission().admit(IDLE) is None


def test_a_slot_that_is_given_back_goes_to_the_next_in_turn() -> None:
    policy = admission(running=FREE)
    ask(policy, "a", "b")
    policy.release("r0")
    assert admitted(policy) == ["a"]


def test_a_slot_is_not_taken_past_those_who_wait() -> None:
    policy = admission(running=FREE)
    ask(policy, "a")
    policy.release("r0")
    assert ask(policy, "b") == [False]
    assert admitted(policy) == ["a"]


@pytest.mark.parametrize("begun", [True, False])
def test_a_wish_may_be_taken_back(begun: bool) -> None:
    policy = admission(running=FREE)
    ask(policy, "a", "b", begun=begun)
    policy.release("a")
    policy.release("b")
    assert policy.state.waiting == 0
    policy.release("r0")
    assert policy.admit(IDLE) is None


def test_giving_back_what_one_does_not_have_does_nothing() -> None:
    policy = admission()
    policy.release("stranger")
    assert policy.state.running == 0


# ---------------------------------------------------------------------- whose turn it is


def test_in_a_component_whoever_came_first_is_first() -> None:
    policy = admission(limit=1, running=1)
    ask(policy, *"abc")
    order = []
    for member in ["r0", "a", "b"]:
        policy.release(member)
        order += admitted(policy)
    assert order == ["a", "b", "c"]


def test_what_was_begun_goes_on_before_more_is_begun() -> None:
    policy = admission(running=FREE)
    ask(policy, "new1", "new2")
    ask(policy, "begun1", "begun2", begun=True)
    assert admitted(policy, IDLE) == ["begun1", "begun2", "new1", "new2"]


def test_components_take_turns_however_many_wait_in_each() -> None:
    policy = admission(running=FREE)
    ask(policy, *"abcd", component="legacy")
    ask(policy, "x", component="other")
    ask(policy, "y", component="third")
    ask(policy, "z", component="other")
    assert admitted(policy, IDLE) == ["a", "x", "y", "b", "z", "c", "d"]


def test_a_component_that_goes_on_does_not_get_more_turns_than_one_that_begins() -> None:
    policy = admission(running=FREE)
    ask(policy, "a", "b", component="legacy", begun=True)
    ask(policy, "x", "y", component="other")
    assert admitted(policy, IDLE) == ["a", "x", "b", "y"]


def test_a_component_whose_last_wish_is_taken_back_has_no_turn() -> None:
    policy = admission(running=FREE)
    ask(policy, "a", component="legacy")
    ask(policy, "x", component="other")
    policy.release("a")
    assert admitted(policy, IDLE) == ["x"]


# ---------------------------------------------------------------------- what is shown and what is wanted


def test_the_state_says_who_runs_and_who_waits() -> None:
    policy = admission(running=FREE)
    assert policy.state == AdmissionState(running=FREE, waiting=0, free_limit=FREE, limit=256, held_back=False)
    ask(policy, "a")
    assert policy.state == AdmissionState(running=FREE, waiting=1, free_limit=FREE, limit=256, held_back=True)


def test_the_load_is_wanted_only_while_it_could_help_somebody() -> None:
    policy = admission(limit=FREE + 1, running=FREE)
    assert not policy.wants_load
    ask(policy, "a", "b")
    assert policy.wants_load
    policy.admit(IDLE)
    assert not policy.wants_load, "the limit is reached"
    policy.release("a")
    assert policy.wants_load
    policy.release("b")
    assert not policy.wants_load


def test_the_limit_may_be_changed_and_what_runs_goes_on() -> None:
    policy = admission(limit=4, running=4)
    ask(policy, "a", "b")
    policy.set_limit(2)
    assert (policy.state.running, policy.state.limit, policy.state.free_limit) == (4, 2, 2)
    policy.release("r0")
    policy.release("r1")
    assert policy.admit(IDLE) is None
    policy.set_limit(3)
    assert admitted(policy, IDLE) == ["a"]
    policy.set_limit(1000)
    assert (policy.limit, policy.free_limit) == (1000, FREE)
    assert admitted(policy) == ["b"]


# ---------------------------------------------------------------------- load curves


def play(curve: Iterable[int | None], *, limit: int = 256, waiting: int = 1000, lasts: int = 10**6) -> list[int]:
    """Has many scripts wait, and looks at the load once a tick, as the scheduler does.

    Args:
        curve: Runnable processes at each tick, None if they can't be told.
        limit: Slots in all.
        waiting: Scripts that want to run, all at the first tick.
        lasts: Ticks that each takes from its start to its end.

    Returns:
        How many run after each tick.
    """
    policy: Admission[int] = Admission(processors=PROCESSORS, limit=limit)
    ends: dict[int, int] = {}
    for member in range(waiting):
        if policy.request(member, "legacy", begun=False):
            ends[member] = lasts
    numbers = []
    for tick, runnable in enumerate(curve):
        for member in [member for member, end in ends.items() if end <= tick]:
            del ends[member]
            policy.release(member)
            while (free := policy.admit(None)) is not None:
                ends[free] = tick + lasts
        load = None if runnable is None else Load(runnable)
        if policy.wants_load and load is not None and (one := policy.admit(load)) is not None:
            ends[one] = tick + lasts
        assert len(ends) == policy.state.running
        numbers.append(len(ends))
    return numbers


def test_on_idle_processors_their_number_grows_by_one_a_tick_up_to_the_limit() -> None:
    assert play([0] * 300) == [min(FREE + 1 + tick, 256) for tick in range(300)]


@pytest.mark.parametrize("runnable", [BUSY_FROM, BUSY_FROM + 1, 500])
def test_on_saturated_processors_none_runs_beyond_the_free_ones(runnable: int) -> None:
    assert play([runnable] * 300) == [FREE] * 300


def test_without_a_reading_none_runs_beyond_the_free_ones() -> None:
    assert play([None] * 300) == [FREE] * 300


def test_during_a_burst_of_load_no_more_are_started_and_none_is_stopped() -> None:
    numbers = play([0] * 10 + [40] * 10 + [0] * 10)
    assert numbers == [*range(FREE + 1, FREE + 11), *[FREE + 10] * 10, *range(FREE + 11, FREE + 21)]


def test_under_an_oscillating_load_only_the_idle_moments_add_any() -> None:
    assert play([0, 20] * 50) == [FREE + 1 + tick // 2 for tick in range(100)]


def test_a_load_at_the_edge_lets_them_through_just_below_it() -> None:
    assert play([BUSY_FROM - 1] * 5 + [BUSY_FROM] * 5) == [*range(FREE + 1, FREE + 6), *[FREE + 5] * 5]


def test_scripts_that_end_are_replaced_on_saturated_processors_up_to_the_free_slots() -> None:
    numbers = play([50] * 300, waiting=200, lasts=10)
    assert max(numbers) == numbers[0] == FREE
    assert numbers[-1] == 0
    assert numbers.index(0) == 200 // FREE * 10


def test_after_a_rise_of_the_load_their_number_falls_back_to_the_free_slots() -> None:
    numbers = play([0] * 50 + [50] * 100, lasts=60)
    assert numbers[49] == FREE + 50
    assert max(numbers) == numbers[49]
    assert numbers[-1] == FREE


def test_scripts_that_only_wait_are_all_there_soon() -> None:
    # a failover of 100 addresses: each script sleeps, the load stays low
    numbers = play([1] * 100, waiting=100)
    assert numbers.index(100) == 100 - FREE - 1


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=60),
    st.integers(1, 60),
    st.integers(0, 120),
    st.integers(1, 30),
)
def test_on_any_curve_the_limit_holds_and_free_slots_are_used(
    curve: list[int | None], limit: int, waiting: int, lasts: int
) -> None:
    numbers = play(curve, limit=limit, waiting=waiting, lasts=lasts)
    allowed = min(limit, FREE)
    for before, (runnable, number) in zip(
        [min(waiting, allowed), *numbers], zip(curve, numbers, strict=True), strict=False
    ):
        assert number <= limit
        assert number <= max(before, allowed) + (runnable is not None and runnable < BUSY_FROM)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.booleans()), max_size=60))
def test_everybody_gets_a_turn_and_no_component_two_before_another_that_waits(wishes: list[tuple[str, bool]]) -> None:
    policy: Admission[tuple[int, str, bool]] = Admission(processors=1, limit=1)
    assert policy.request((-1, "x", False), "x", begun=False)
    waiting = [(number, component, begun) for number, (component, begun) in enumerate(wishes)]
    for member in waiting:
        assert not policy.request(member, member[1], begun=member[2])
    running = (-1, "x", False)
    served: list[tuple[int, str, bool]] = []
    while waiting:
        policy.release(running)
        running = policy.admit(None) or pytest.fail("nobody was admitted")
        waiting.remove(running)
        served.append(running)
        mine = [member for member in waiting if member[1] == running[1]]
        assert not any(member[2] and not running[2] for member in mine), "begun before the one that goes on"
        assert not any(member[2] == running[2] and member[0] < running[0] for member in mine), "overtaken"
    for component in "xyz":
        turns = [index for index, member in enumerate(served) if member[1] == component]
        for first, second in pairwise(turns):
            between = {member[1] for member in served[first + 1 : second]}
            later = {member[1] for member in served[second:]}
            assert later - {component} <= between, "a second turn while another component waited for its first"
