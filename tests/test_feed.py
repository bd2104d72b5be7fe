"""The feed: who is told what, when, with which numbers, and that nothing is kept for nobody."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import Any, get_args

import pytest
from run_records import record_of

from ctdb_event.words import Kind
from ctdb_eventd.feed import KINDS, Feed, Filter, Subscription
from ctdb_eventd.model import EventReport
from ctdb_eventd.protocol.messages import Notes

ALL = Filter(kinds=frozenset(KINDS))


class Clock:
    """A timer that the test lets run out."""

    def __init__(self) -> None:
        self.set: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, callback: Callable[[], None]) -> None:
        self.set.append((seconds, callback))

    def run_out(self) -> None:
        (_, callback) = self.set.pop()
        callback()


class Told:
    """A feed, and what was told by it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.feed = Feed(self.clock)
        self.by: dict[str, list[Notes]] = {}

    def subscribe(self, name: str, its_filter: Filter = ALL) -> Subscription:
        told = self.by.setdefault(name, [])
        return self.feed.subscribe(its_filter, told.append)

    def happens(self, kind: str, run: str | None = "t-1", component: str | None = "legacy", **data: Any) -> None:
        self.feed.publish(kind, run, component, "startup", ("x",), data)

    def kinds(self, name: str) -> list[str]:
        return [note.kind for notes in self.by[name] for note in notes.notes]

    def numbers(self, name: str) -> list[int]:
        return [note.number for notes in self.by[name] for note in notes.notes]


def test_notes_about_another_address_are_left_out() -> None:
    told = Told()
    told.subscribe("one", Filter(kinds=frozenset(KINDS), address="10.0.0.1"))
    for address in ("10.0.0.1", "10.0.0.11", None):
        told.feed.publish("started", "t-1", "legacy", "takeip", (), {}, address=address)
    told.feed.flush()
    assert [note.data["address"] for notes in told.by["one"] for note in notes.notes] == ["10.0.0.1"]


def test_who_wants_the_whole_run_gets_it_with_its_end() -> None:
    record = record_of("legacy startup", EventReport(summary=0, scripts=()))
    feed = Feed(lambda seconds, callback: None, lambda run: {"whole": run.run})
    told: dict[bool, list[Notes]] = {False: [], True: []}
    for report, notes in told.items():
        feed.subscribe(Filter(kinds=frozenset(KINDS), report=report), notes.append)
    feed.publish("started", "t-1", "legacy", "startup", (), {})
    feed.publish("finished", "t-1", "legacy", "startup", (), {"outcome": "success"}, record=record)
    feed.flush()
    reports = {
        report: [note.data.get("report") for one in notes for note in one.notes] for report, notes in told.items()
    }
    assert reports == {False: [None, None], True: [None, {"whole": "t-1"}]}


def test_without_subscribers_nothing_is_kept_and_no_timer_set() -> None:
    told = Told()
    told.happens("started")
    assert (told.feed.active, told.feed.subscribers, told.clock.set) == (False, 0, [])
    told.subscribe("late")
    told.feed.flush()
    assert told.by["late"] == []


def test_what_happens_is_told_in_a_moment_and_in_one_piece() -> None:
    told = Told()
    told.subscribe("a")
    before = time.time()
    told.happens("started", waited=0.5)
    told.happens("finished", outcome="success")
    assert told.by["a"] == []
    ((seconds, _),) = told.clock.set
    assert 0 < seconds <= 0.1
    told.clock.run_out()
    (notes,) = told.by["a"]
    first, second = notes.notes
    assert (first.kind, second.kind, second.number) == ("started", "finished", first.number + 1)
    data = dict(first.data)
    assert before <= data.pop("time") <= time.time()
    about = {"run": "t-1", "component": "legacy", "event": "startup", "args": ("x",), "address": None}
    assert data == {"waited": 0.5, **about}


def test_the_timer_is_set_again_for_what_happens_after_it() -> None:
    told = Told()
    told.subscribe("a")
    for _ in range(2):
        told.happens("started")
        told.clock.run_out()
    assert told.clock.set == []
    assert len(told.by["a"]) == 2


@pytest.mark.parametrize(("subscribers", "delay"), [(1, 0.05), (25, 0.05), (100, 0.2), (1000, 0.25)])
def test_the_more_are_told_the_longer_it_is_put_together(subscribers: int, delay: float) -> None:
    told = Told()
    subscriptions = [told.subscribe(str(number)) for number in range(subscribers)]
    told.happens("started")
    assert [seconds for seconds, _ in told.clock.set] == [delay]
    told.clock.run_out()
    for subscription in subscriptions[1:]:
        subscription.drop()
    told.happens("started")
    assert [seconds for seconds, _ in told.clock.set] == [0.05]


def test_a_timer_that_finds_nothing_tells_nothing() -> None:
    told = Told()
    told.subscribe("a")
    told.happens("started")
    told.feed.flush()
    told.clock.run_out()
    assert told.kinds("a") == ["started"]
    told.happens("finished")
    assert len(told.clock.set) == 1


@pytest.mark.parametrize(
    ("its_filter", "expected"),
    [
        (ALL, ["queued", "output", "started", "lock-waiting"]),
        (Filter(kinds=frozenset({"queued", "started"})), ["queued", "started"]),
        (Filter(kinds=frozenset(KINDS), run="t-1"), ["queued", "output"]),
        (Filter(kinds=frozenset(KINDS), component="other"), ["started"]),
        (Filter(kinds=frozenset(KINDS), event="startup"), ["queued", "output", "started", "lock-waiting"]),
        (Filter(kinds=frozenset(KINDS), event="monitor"), []),
        (Filter(kinds=frozenset()), []),
    ],
)
def test_filters(its_filter: Filter, expected: list[str]) -> None:
    told = Told()
    told.subscribe("a", its_filter)
    told.happens("queued")
    told.happens("output", output=b"x")
    told.happens("started", "t-2", "other")
    told.happens("lock-waiting", None, None)
    told.feed.flush()
    assert told.kinds("a") == expected
    assert told.numbers("a") == list(range(len(expected)))


def test_only_what_ended_so() -> None:
    told = Told()
    told.subscribe("a", Filter(kinds=frozenset(KINDS), outcomes=frozenset({"failed", "timed-out"})))
    told.happens("started")
    for run, outcome in (("t-1", "failed"), ("t-2", "success"), ("t-3", "timed-out")):
        told.happens("finished", run, outcome=outcome)
    told.feed.flush()
    assert [note.data["run"] for notes in told.by["a"] for note in notes.notes] == ["t-1", "t-3"]


def test_what_is_left_out_by_a_filter_uses_no_number() -> None:
    told = Told()
    told.subscribe("a", Filter(kinds=frozenset({"started"})))
    for kind in ("started", "finished", "started"):
        told.happens(kind)
        told.feed.flush()
    assert told.numbers("a") == [0, 1]


def test_those_who_want_the_same_share_their_notes_and_numbers() -> None:
    told = Told()
    told.subscribe("first", Filter(kinds=frozenset({"started"})))
    told.happens("started")
    told.subscribe("second", Filter(kinds=frozenset({"started"})))
    told.happens("started")
    told.feed.flush()
    assert told.by["first"][1] is told.by["second"][0]
    assert (told.numbers("first"), told.numbers("second")) == ([0, 1], [1])


def test_a_subscriber_is_not_told_what_happened_before_it_came() -> None:
    told = Told()
    told.subscribe("early")
    told.happens("started")
    told.subscribe("late")
    assert (told.kinds("early"), told.kinds("late")) == (["started"], [])


def test_ending_tells_what_happened_up_to_then_and_dropping_does_not() -> None:
    told = Told()
    ended, dropped = told.subscribe("ended"), told.subscribe("dropped")
    told.happens("started")
    dropped.drop()
    ended.end()
    told.happens("finished")
    told.feed.flush()
    assert (told.kinds("ended"), told.kinds("dropped")) == (["started"], [])
    assert (ended.delivered, dropped.delivered) == (1, 0)
    assert (told.feed.active, told.feed.subscribers) == (False, 0)


@pytest.mark.parametrize("how", ["end", "drop"])
def test_ending_twice_is_ending_once(how: str) -> None:
    told = Told()
    first, second = told.subscribe("first"), told.subscribe("second")
    for _ in range(2):
        getattr(first, how)()
    assert (told.feed.subscribers, told.feed.active) == (1, True)
    second.end()
    assert (told.feed.subscribers, told.feed.active) == (0, False)


def test_who_ends_while_he_is_told_is_told_no_more() -> None:
    told = Told()
    kinds: list[str] = []
    subscription: Subscription | None = None

    def tell(notes: Notes) -> None:
        kinds.extend(note.kind for note in notes.notes)
        assert subscription is not None
        subscription.end()

    subscription = told.feed.subscribe(ALL, tell)
    told.subscribe("other")
    told.happens("started")
    told.feed.flush()
    told.happens("finished")
    told.feed.flush()
    assert (kinds, told.kinds("other")) == (["started"], ["started", "finished"])


def test_what_happens_while_somebody_is_told_is_told_next_and_once() -> None:
    told = Told()

    def tell(notes: Notes) -> None:
        if notes.notes[0].kind == "started":
            told.happens("finished")

    told.feed.subscribe(ALL, tell)
    told.subscribe("other")
    told.happens("started")
    told.clock.run_out()
    assert told.kinds("other") == ["started"]
    told.clock.run_out()
    assert told.kinds("other") == ["started", "finished"]


def test_who_comes_while_others_are_told_is_told_only_what_happens_then() -> None:
    told = Told()

    def tell(notes: Notes) -> None:
        if "late" not in told.by:
            told.subscribe("late", Filter(kinds=frozenset({"started", "finished"})))

    told.feed.subscribe(ALL, tell)
    told.happens("started")
    told.feed.flush()
    told.happens("finished")
    told.feed.flush()
    assert told.kinds("late") == ["finished"]


def test_many_happenings_are_told_at_once_and_nothing_of_them_is_kept() -> None:
    told = Told()
    told.subscribe("a")
    for _ in range(2500):
        told.happens("started")
    assert [len(notes.notes) for notes in told.by["a"]] == [1000, 1000]
    told.clock.run_out()
    assert told.numbers("a") == list(range(2500))


def test_much_output_is_told_at_once() -> None:
    told = Told()
    told.subscribe("a")
    told.happens("output", output=bytes(40_000))
    assert told.by["a"] == []
    told.happens("output", output=bytes(40_000))
    assert told.kinds("a") == ["output", "output"]
    told.happens("output", output=bytes(40_000))
    assert len(told.by["a"]) == 1, "what was told counts no more"


def test_output_is_wanted_only_by_those_whom_it_concerns() -> None:
    told = Told()
    assert not told.feed.wants_output("t-1", "legacy", "startup")
    quiet = told.subscribe("quiet", Filter(kinds=frozenset({"finished"})))
    assert not told.feed.wants_output("t-1", "legacy", "startup")
    told.subscribe("loud", Filter(kinds=frozenset({"output"}), run="t-1"))
    assert told.feed.wants_output("t-1", "legacy", "startup")
    assert not told.feed.wants_output("t-2", "legacy", "startup")
    quiet.end()
    assert told.feed.wants_output("t-1", "other", "monitor")


def test_notes_that_were_told_are_kept_by_nobody() -> None:
    told = Told()
    seen: list[weakref.ref[Notes]] = []
    told.feed.subscribe(ALL, lambda notes: seen.append(weakref.ref(notes)))
    told.happens("started")
    told.feed.flush()
    gc.collect()
    assert [notes() for notes in seen] == [None]


def test_a_thousand_streams_leave_no_channel_behind() -> None:
    told = Told()
    for number in range(1000):
        told.subscribe("a", Filter(kinds=frozenset(KINDS), run=f"t-{number}")).end()
    assert (told.feed._channels, told.feed.active) == ({}, False)


def test_ending_twice_does_not_end_a_newcomer_with_the_same_filter() -> None:
    feed = Feed(lambda seconds, callback: None)
    wanted = Filter(kinds=frozenset(KINDS))
    told: list[Notes] = []
    first = feed.subscribe(wanted, told.append)
    first.end()
    feed.subscribe(wanted, told.append)
    first.end()
    first.drop()
    assert (feed.active, feed.subscribers) == (True, 1)
    feed.publish("started", None, None, None, (), {})
    feed.flush()
    assert len(told) == 1


def test_who_is_ended_by_what_another_is_told_is_told_nothing_more() -> None:
    feed = Feed(lambda seconds, callback: None)
    wanted = Filter(kinds=frozenset(KINDS))
    told: list[Notes] = []
    others: list[Subscription] = []
    feed.subscribe(wanted, lambda notes: others[0].end())
    others.append(feed.subscribe(wanted, told.append))
    feed.publish("started", None, None, None, (), {})
    feed.flush()
    assert (told, feed.subscribers) == ([], 1)


def test_long_arguments_are_told_at_once() -> None:
    feed = Feed(lambda seconds, callback: None)
    told: list[Notes] = []
    feed.subscribe(Filter(kinds=frozenset(KINDS)), told.append)
    for _ in range(16):
        feed.publish("started", "x-1", "legacy", "startup", ("x" * 70_000,), {})
    assert told == []
    feed.publish("started", "x-1", "legacy", "startup", ("x" * 70_000,), {})
    assert len(told) == 1
    (args,) = {note.data["args"] for note in told[0].notes}
    assert [(len(arg), arg[-3:]) for arg in args] == [(4091, "...")]


class Kinds(frozenset[str]):
    """Counts how often a filter is looked at."""

    looks = 0

    def __contains__(self, kind: object) -> bool:
        Kinds.looks += 1
        return super().__contains__(kind)

    def __hash__(self) -> int:
        Kinds.looks += 1
        return super().__hash__()


def test_what_others_want_to_know_costs_nothing() -> None:
    def looks(others: int) -> int:
        told = Told()
        Kinds.looks = 0
        subscriptions = [told.subscribe("x", Filter(kinds=Kinds(KINDS), run=f"t-{number}")) for number in range(others)]
        for number in range(others):
            told.happens("started", run=f"t-{number}")
            told.feed.flush()
        for subscription in subscriptions:
            subscription.end()
        assert (told.feed._channels, told.feed.subscribers, told.feed.active) == ({}, 0, False)
        assert len(told.by["x"]) == others
        return Kinds.looks

    assert looks(2000) <= 2.2 * looks(1000)


@pytest.mark.parametrize("run", [None, "t-1", "t-2"])
@pytest.mark.parametrize("component", [None, "legacy", "other"])
@pytest.mark.parametrize("event", [None, "startup", "monitor"])
def test_what_is_told_is_what_the_filter_says(run: str | None, component: str | None, event: str | None) -> None:
    told = Told()
    told.subscribe("a", Filter(kinds=frozenset(["started"]), run=run, component=component, event=event))
    happened = [(a, b) for a in ("t-1", "t-2", None) for b in ("legacy", "other", None)]
    for its_run, its_component in happened:
        told.happens("started", run=its_run, component=its_component)
        told.happens("finished", run=its_run, component=its_component)
    told.feed.flush()
    assert [(note.data["run"], note.data["component"]) for notes in told.by["a"] for note in notes.notes] == [
        (a, b) for a, b in happened if run in (None, a) and component in (None, b) and event in (None, "startup")
    ]


def test_the_library_knows_every_kind() -> None:
    assert get_args(Kind) == KINDS
