"""Values: results on the wire, what counts as a failure, and how an event is written in the log."""

from __future__ import annotations

import errno

import attrs
import pytest

from ctdb_eventd import model
from ctdb_eventd.model import EventOutcome, EventReport, EventSpec, ScriptReport, shortened


@pytest.mark.parametrize(
    ("result", "number"),
    [
        (model.DISABLED, -8),
        (model.TIMED_OUT, -110),
        (model.SIGNALLED, -4),
        (model.NOT_REACHED, -42),
        (model.CANNOT_EXECUTE, -95),
    ],
)
def test_script_results_are_those_of_the_wire(result: int, number: int) -> None:
    assert result == number


@pytest.mark.parametrize(
    ("outcome", "number"),
    [
        (EventOutcome.SUCCESS, 0),
        (EventOutcome.FAILED, 8),
        (EventOutcome.TIMED_OUT, 110),
        (EventOutcome.CANCELLED, 125),
    ],
)
def test_outcomes_are_those_of_the_wire(outcome: EventOutcome, number: int) -> None:
    assert outcome.errno == number


@pytest.mark.parametrize("result", [0, model.DISABLED, model.NOT_REACHED])
def test_success_disabled_and_not_reached_are_no_failures(result: int) -> None:
    assert not ScriptReport(name="00.ok", begin=0, end=0, result=result).failed


@pytest.mark.parametrize(
    "result", [1, 77, 174, 255, model.TIMED_OUT, model.SIGNALLED, model.CANNOT_EXECUTE, -errno.EACCES]
)
def test_every_other_result_is_a_failure(result: int) -> None:
    assert ScriptReport(name="00.ok", begin=0, end=0, result=result).failed


@pytest.mark.parametrize(
    ("args", "text"), [((), "legacy takeip"), (("eth0", "10.0.0.1", "24"), "legacy takeip eth0 10.0.0.1 24")]
)
def test_an_event_is_written_as_it_was_asked_for(args: tuple[str, ...], text: str) -> None:
    assert str(EventSpec(component="legacy", event="takeip", args=args, timeout=30, run_all=False)) == text


def test_two_reports_are_never_equal() -> None:
    assert EventReport(summary=0, scripts=()) != EventReport(summary=0, scripts=())


def test_values_do_not_change() -> None:
    report = EventReport(summary=0, scripts=())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.summary = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), ()),
        (("eth0", "10.0.0.1", "24"), ("eth0", "10.0.0.1", "24")),
        (("x" * 92,), ("x" * 92,)),
        (("x" * 93,), ("x" * 92 + "...",)),
        (("x" * 50, "y" * 50, "z"), ("x" * 50, "y" * 34 + "...")),
        (("x" * 90, "y", "z"), ("x" * 90, "...")),
        (("",) * 13, (*("",) * 12, "...")),
    ],
)
def test_arguments_are_shortened(args: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert shortened(args, 100) == expected


def test_an_event_is_named_in_a_bounded_number_of_characters() -> None:
    spec = EventSpec(component="legacy", event="x", args=("a b",) * 500_000, timeout=0, run_all=False)
    assert len(str(spec)) < 1200


@pytest.mark.parametrize(
    ("begin", "known_from", "started"), [(1_500_000, None, 1.5), (0, None, None), (1_500_000, "head", None)]
)
def test_when_a_script_was_started(begin: int, known_from: str | None, started: float | None) -> None:
    assert ScriptReport(name="x", begin=begin, end=begin, result=0, known_from=known_from).started == started
