"""A component's health: what its latest monitor event says, and since when."""

from __future__ import annotations

import attrs
import pytest
from run_records import record_of

from ctdb_eventd.history.health import Health
from ctdb_eventd.model import (
    DISABLED,
    NOT_REACHED,
    TIMED_OUT,
    ComponentHealth,
    EventOutcome,
    EventReport,
    RunRecord,
    ScriptReport,
)

END = 1_700_000_001.5
"""When a record of `record_of` is over."""


def script(name: str, result: int = 0) -> ScriptReport:
    return ScriptReport(name=name, begin=1, end=2, result=result)


def monitor(*scripts: ScriptReport, component: str = "legacy", later: float = 0.0) -> RunRecord:
    """A monitor event that ended so many seconds after END."""
    summary = next((one.result for one in reversed(scripts) if one.failed), 0)
    record = record_of(f"{component} monitor", EventReport(summary=summary, scripts=scripts))
    return attrs.evolve(record, queued=record.queued + later)


GOOD, BAD = script("10.first"), script("20.second", 7)


def test_nothing_is_known_at_first() -> None:
    assert Health().components == ()


def test_other_events_say_nothing() -> None:
    health = Health()
    assert health.note(record_of("legacy startup", EventReport(summary=1, scripts=(BAD,)))) is None
    assert health.components == ()


def test_the_first_monitor_event_is_a_change() -> None:
    health = Health()
    expected = ComponentHealth(component="legacy", healthy=True, since=END, script=None, result=0)
    assert health.note(monitor(GOOD)) == expected
    assert health.components == (expected,)


def test_who_failed_and_with_what() -> None:
    health = Health()
    changed = health.note(monitor(GOOD, BAD, script("30.third", NOT_REACHED)))
    assert changed == ComponentHealth(component="legacy", healthy=False, since=END, script="20.second", result=7)


def test_of_several_that_failed_the_last_one_as_the_summary_says() -> None:
    health = Health()
    changed = health.note(monitor(BAD, script("30.third", 9), script("40.off", DISABLED)))
    assert changed is not None
    assert (changed.script, changed.result) == ("30.third", 9)


def test_a_timeout_is_no_health() -> None:
    report = EventReport(summary=TIMED_OUT, scripts=(script("10.slow", TIMED_OUT),))
    changed = Health().note(record_of("legacy monitor", report, outcome=EventOutcome.TIMED_OUT))
    assert changed is not None
    assert (changed.healthy, changed.script, changed.result) == (False, "10.slow", TIMED_OUT)


def test_only_a_change_is_told_and_dated() -> None:
    health = Health()
    told = [
        health.note(monitor(*scripts, later=later))
        for later, scripts in enumerate([(GOOD,), (GOOD,), (BAD,), (script("30.third", 9),), (GOOD,), (GOOD,)])
    ]
    assert [one and (one.healthy, one.since) for one in told] == [
        *((True, END), None),
        *((False, END + 2), None),
        *((True, END + 4), None),
    ]
    assert [one.since for one in health.components] == [END + 4]


def test_another_script_that_fails_is_no_change_but_is_known() -> None:
    health = Health()
    health.note(monitor(BAD))
    assert health.note(monitor(script("30.third", 9), later=5)) is None
    (known,) = health.components
    assert (known.script, known.result, known.since) == ("30.third", 9, END)


def test_components_are_apart() -> None:
    health = Health()
    assert health.note(monitor(GOOD)) is not None
    assert health.note(monitor(BAD, component="other")) is not None
    assert health.note(monitor(GOOD)) is None
    assert {one.component: one.healthy for one in health.components} == {"legacy": True, "other": False}


@pytest.mark.parametrize("count", [999, 1000, 5000])
def test_made_up_components_do_not_fill_the_memory(count: int) -> None:
    health = Health()
    for number in range(count):
        health.note(monitor(GOOD, component=f"c{number}"))
    known = [one.component for one in health.components]
    assert known == [f"c{number}" for number in range(count)][-1000:]
