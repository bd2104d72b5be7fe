"""Named locks: all at once or none, first come first served, and nobody overtaken."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ctdb_eventd.scheduler.locks import LockState, LockTable


def table_of(**owners: str) -> LockTable[str]:
    """A table in which these owners have asked, in this order, for the locks with these one-letter names."""
    table: LockTable[str] = LockTable()
    for owner, names in owners.items():
        table.acquire(owner, names)
    return table


def held(table: LockTable[str]) -> dict[str, str | None]:
    return {lock.name: lock.holder for lock in table.snapshot()}


def test_free_locks_are_had_at_once() -> None:
    table: LockTable[str] = LockTable()
    assert table.acquire("first", ["x", "y"])
    assert table.acquire("second", ["z"])
    assert held(table) == {"x": "first", "y": "first", "z": "second"}
    assert table.holds("first")


def test_no_locks_are_had_at_once_too() -> None:
    table = table_of(first="")
    assert table.holds("first")
    assert table.release("first") == ()


def test_a_lock_that_is_named_twice_counts_once() -> None:
    table = table_of(first="xx", second="xx")
    assert table.release("first") == ("second",)
    assert held(table) == {"x": "second"}


def test_who_wants_a_lock_that_is_held_waits_and_gets_none_of_the_others() -> None:
    table = table_of(first="x")
    assert not table.acquire("second", "xy")
    assert not table.holds("second")
    assert table.snapshot() == (LockState("x", "first", ("second",)), LockState("y", None, ("second",)))


def test_a_free_lock_is_not_taken_past_an_earlier_one_that_waits_for_it() -> None:
    table = table_of(first="x", second="xy")
    assert not table.acquire("third", "y")
    assert table.release("first") == ("second",)
    assert table.release("second") == ("third",)


def test_locks_are_given_in_the_order_of_asking() -> None:
    table = table_of(a="x", b="x", c="x", d="x")
    assert [table.release(owner) for owner in "abcd"] == [("b",), ("c",), ("d",), ()]
    assert table.snapshot() == ()


def test_one_release_can_help_several() -> None:
    table = table_of(first="xyz", second="x", third="yz", fourth="z")
    assert table.release("first") == ("second", "third")
    assert held(table) == {"x": "second", "y": "third", "z": "third"}


def test_whoever_asked_first_is_told_first_whatever_the_locks_are_called() -> None:
    table = table_of(first="xy", second="y", third="x")
    assert table.release("first") == ("second", "third")


def test_who_waits_may_take_its_wish_back_which_helps_those_behind_it() -> None:
    table = table_of(first="x", second="xy", third="y")
    assert table.release("second") == ("third",)
    assert held(table) == {"x": "first", "y": "third"}


def test_a_wish_in_the_middle_may_be_taken_back() -> None:
    table = table_of(first="x", second="x", third="x")
    assert table.release("second") == ()
    assert table.release("first") == ("third",)


def test_releasing_nothing_does_nothing() -> None:
    table = table_of(first="x")
    assert table.release("stranger") == ()
    table.release("first")
    assert table.release("first") == ()


@pytest.mark.parametrize("names", ["x", "y", ""])
def test_asking_twice_is_refused(names: str) -> None:
    table = table_of(first="x", second="x")
    for owner in ("first", "second"):
        with pytest.raises(ValueError, match=f"^'{owner}' has already requested locks$"):
            table.acquire(owner, names)


def test_blockers_are_the_holders_and_those_who_asked_before() -> None:
    table = table_of(a="x", b="y", c="xy", d="yz", e="z")
    assert table.blockers("a") == ()
    assert table.blockers("c") == ("a", "b")
    assert table.blockers("d") == ("b", "c")
    assert table.blockers("e") == ("d",)
    assert table.blockers("stranger") == ()


def test_the_snapshot_is_by_name() -> None:
    table = table_of(a="z", b="a", c="az")
    assert table.snapshot() == (LockState("a", "b", ("c",)), LockState("z", "a", ("c",)))


# ---------------------------------------------------------------------- since when, what, who


class Clock:
    """Tells the time that the test sets."""

    now = 1.0

    def __call__(self) -> float:
        return self.now


def test_a_lock_is_held_since_it_was_given_and_waited_for_since_it_was_asked_for() -> None:
    clock = Clock()
    table: LockTable[str] = LockTable(clock)
    for time, owner in enumerate(("first", "second", "third"), 1):
        clock.now = time
        table.acquire(owner, "x")
    (lock,) = table.snapshot()
    assert (lock.since, lock.asked) == (1.0, (2.0, 3.0))
    clock.now = 7.0
    table.release("first")
    (lock,) = table.snapshot()
    assert (lock.holder, lock.since, lock.asked) == ("second", 7.0, (3.0,))


def test_a_lock_that_is_free_is_held_since_never() -> None:
    clock = Clock()
    table: LockTable[str] = LockTable(clock)
    table.acquire("first", "xy")
    table.acquire("second", "y")
    table.acquire("third", "xy")
    clock.now = 7.0
    table.release("first")
    free, held_one = table.snapshot()
    assert (free.name, free.holder, free.since, free.asked) == ("x", None, 0.0, (1.0,))
    assert (held_one.name, held_one.holder, held_one.since) == ("y", "second", 7.0)


def test_names_are_what_an_owner_asked_for_whether_it_has_them_or_not() -> None:
    table = table_of(first="yxy", second="zx")
    assert (table.names("first"), table.names("second"), table.names("stranger")) == (("y", "x"), ("z", "x"), ())
    table.release("second")
    assert table.names("second") == ()


def test_users_are_holders_and_those_who_wait_lock_by_lock() -> None:
    table = table_of(a="x", b="y", c="xy")
    assert table.users("xy") == ["a", "c", "b", "c"]
    assert table.users("z") == []
    table.release("a")
    assert table.users("x") == ["c"]


def test_the_first_obstacle_is_the_holder_or_who_asked_before_with_the_time() -> None:
    clock = Clock()
    table: LockTable[str] = LockTable(clock)
    for time, (owner, names) in enumerate((("a", "x"), ("b", "xy"), ("c", "y"), ("d", "zx")), 1):
        clock.now = time
        table.acquire(owner, names)
    assert table.first_obstacle("a") is None
    assert table.first_obstacle("b") == ("a", 1.0)
    assert table.first_obstacle("c") == ("b", 2.0)
    assert table.first_obstacle("d") == ("a", 1.0), "z is free, but for d itself"
    assert table.first_obstacle("nobody") is None


# ---------------------------------------------------------------------- any sequence


class AnySequence(RuleBasedStateMachine):
    """Asks and releases in any order; keeps the wishes in one list, from which everything follows."""

    def __init__(self) -> None:
        super().__init__()
        self.table: LockTable[int] = LockTable()
        self.wishes: dict[int, frozenset[str]] = {}
        self.holding: set[int] = set()
        self.number = 0

    def may_have(self, owner: int) -> bool:
        """Nobody who asked before and is still there wants one of the same locks."""
        wanted = self.wishes[owner]
        return all(wanted.isdisjoint(names) for other, names in self.wishes.items() if other < owner)

    @rule(names=st.lists(st.sampled_from("xyz"), max_size=4))
    def acquire(self, names: list[str]) -> None:
        self.number += 1
        self.wishes[self.number] = frozenset(names)
        granted = self.table.acquire(self.number, names)
        assert granted == self.may_have(self.number)
        if granted:
            self.holding.add(self.number)

    @precondition(lambda self: self.wishes)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.do_release(data.draw(st.sampled_from([*self.wishes]), label="owner"))

    def do_release(self, owner: int) -> None:
        del self.wishes[owner]
        self.holding.discard(owner)
        expected = [other for other in self.wishes if other not in self.holding and self.may_have(other)]
        assert list(self.table.release(owner)) == expected
        self.holding.update(expected)

    @invariant()
    def books_agree(self) -> None:
        locks = {lock.name: lock for lock in self.table.snapshot()}
        assert locks.keys() == frozenset().union(*self.wishes.values())
        for name, lock in locks.items():
            wanting = [owner for owner, names in self.wishes.items() if name in names]
            holders = [owner for owner in wanting if owner in self.holding]
            assert lock.holder == (holders[0] if holders else None)
            assert len(holders) <= 1
            assert list(lock.waiting) == [owner for owner in wanting if owner not in self.holding]
        for owner in self.wishes:
            assert self.table.holds(owner) == (owner in self.holding)
            assert bool(self.table.blockers(owner)) == (owner not in self.holding)

    def teardown(self) -> None:
        while self.wishes:
            assert self.holding, "deadlock"
            self.do_release(min(self.holding))
        assert self.table.snapshot() == ()


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
