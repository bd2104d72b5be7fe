"""Which notice is next."""

from __future__ import annotations

import attrs

from ctdb_eventd.notify.notices import _MOST_WAITING, Notice, Notices

FAILED = Notice(
    kind="failed", summary="a", time=1.0, run="r-1", component="legacy", event="monitor", arguments=(), address=None,
    script="10.a", status=1, outcome="failed", seconds=2.0,
)  # fmt: skip
ILL = attrs.evolve(FAILED, kind="health", outcome="unhealthy")
WELL = attrs.evolve(ILL, outcome="healthy", script=None, status=None)


def test_the_first_is_due_at_once_and_further_ones_once_a_minute_the_latest_with_their_number() -> None:
    notices = Notices()
    notices.put(FAILED, 100.0)
    assert notices.take(100.0) == (FAILED, 1)
    assert notices.due is None
    last = attrs.evolve(FAILED, run="r-3", address="10.0.0.3")
    for notice, now in ((FAILED, 101.0), (FAILED, 120.0), (last, 159.0)):
        notices.put(notice, now)
        assert notices.take(now) is None
    assert notices.due == 160.0
    assert notices.take(160.0) == (last, 3)
    notices.put(FAILED, 220.0)
    assert notices.take(220.0) == (FAILED, 1)


def test_another_script_event_or_kind_is_another_thing() -> None:
    notices = Notices()
    others = [FAILED, attrs.evolve(FAILED, script="20.b"), attrs.evolve(FAILED, event="takeip"), ILL]
    for notice in others:
        notices.put(notice, 0.0)
    assert [notices.take(0.0) for _ in others] == [(notice, 1) for notice in others]


def test_the_last_that_is_told_of_a_components_health_is_how_it_is() -> None:
    notices = Notices()
    notices.put(WELL, 0.0)
    assert notices.take(0.0) == (WELL, 1)
    notices.put(ILL, 10.0)
    notices.put(WELL, 20.0)
    notices.put(ILL, 30.0)
    assert notices.take(60.0) == (ILL, 3)
    assert not notices


def test_of_too_many_the_new_ones_are_dropped_and_counted() -> None:
    notices = Notices()
    for number in range(_MOST_WAITING + 2):
        notices.put(attrs.evolve(FAILED, event=f"e{number}"), 0.0)
    notices.put(attrs.evolve(FAILED, event="e0"), 0.0)
    assert notices.dropped == 2
    assert len(notices) == _MOST_WAITING + 1
