"""Results by address: the latest of each event for each, within bounds of number and of output."""

from __future__ import annotations

import pytest
from run_records import record_of

from ctdb_eventd.history import latest
from ctdb_eventd.history.latest import LatestResults
from ctdb_eventd.model import EventReport, RunRecord, ScriptReport


def takeip(number: int, *, result: int = 0, output: bytes = b"", run: str = "t-1", event: str = "takeip") -> RunRecord:
    scripts = (
        ScriptReport(name="10.first", begin=1, end=2, result=0, output=output),
        ScriptReport(name="20.second", begin=1, end=2, result=result),
    )
    text = f"legacy {event} eth0 10.0.0.{number} 24"
    return record_of(text, EventReport(summary=result, scripts=scripts), run=run, address=f"10.0.0.{number}")


def results_of(*records: RunRecord) -> LatestResults:
    results = LatestResults()
    for record in records:
        results.record(record, 1)
    return results


def outputs(results: LatestResults) -> dict[str | None, bytes]:
    return {record.address: record.report.scripts[0].output for record in results.by_address()}


def test_there_are_none_at_first() -> None:
    assert list(LatestResults().by_address()) == []


def test_events_without_an_address_have_none() -> None:
    results = results_of(record_of("legacy startup", EventReport(summary=0, scripts=())))
    assert list(results.by_address()) == []
    assert [record.spec.event for record in results.all()] == ["startup"]


def test_each_address_has_its_own_whatever_the_worst_of_the_batch_is() -> None:
    first, second, third = takeip(1), takeip(2, result=5), takeip(3)
    results = results_of(first, second, third)
    assert list(results.by_address()) == [first, second, third]
    assert [record.run for record in results.all()] == ["t-1"]
    assert results.get("legacy", "takeip") is second


def test_the_latest_of_an_address_replaces_the_former_and_goes_to_the_end() -> None:
    first, second, again = takeip(1, result=5), takeip(2), takeip(1, run="t-2")
    assert list(results_of(first, second, again).by_address()) == [second, again]


def test_events_and_components_are_apart() -> None:
    take, release = takeip(1), takeip(1, event="releaseip")
    other = record_of("other takeip eth0 10.0.0.1 24", take.report, address="10.0.0.1")
    assert list(results_of(take, release, other).by_address()) == [take, release, other]


def test_results_beyond_the_limit_are_forgotten_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "_MOST_ADDRESSES", 3)
    results = results_of(*(takeip(number, output=b"xx") for number in (1, 2, 3)))
    results.record(takeip(1, output=b"x"), 1)
    results.record(takeip(4), 1)
    assert outputs(results) == {"10.0.0.3": b"xx", "10.0.0.1": b"x", "10.0.0.4": b""}
    assert (results._addresses._size, len(results._addresses._sizes)) == (3, 2)


def test_of_much_output_that_of_the_oldest_is_forgotten_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "_MOST_ADDRESS_OUTPUT", 10)
    results = results_of(*(takeip(number, result=5, output=b"four") for number in (1, 2)))
    assert outputs(results) == {"10.0.0.1": b"four", "10.0.0.2": b"four"}
    results.record(takeip(3, output=b"four"), 1)
    assert outputs(results) == {"10.0.0.1": b"", "10.0.0.2": b"four", "10.0.0.3": b"four"}
    oldest = next(results.by_address())
    assert (oldest.address, oldest.report.summary, len(oldest.report.scripts)) == ("10.0.0.1", 5, 2)
    assert oldest.report.scripts[1].result == 5


def test_the_event_itself_keeps_the_output_that_its_address_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "_MOST_ADDRESS_OUTPUT", 10)
    results = results_of(takeip(1, result=5, output=b"why it failed"))
    assert outputs(results) == {"10.0.0.1": b"why it failed"}, "the very latest keeps it"
    results.record(takeip(2, output=b"x"), 1)
    assert outputs(results) == {"10.0.0.1": b"", "10.0.0.2": b"x"}
    assert results.get("legacy", "takeip").report.scripts[0].output == b"why it failed"


def test_output_that_was_replaced_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "_MOST_ADDRESS_OUTPUT", 10)
    results = LatestResults()
    for _ in range(100):
        results.record(takeip(1, output=b"nine.char"), 1)
    results.record(takeip(2, output=b"x"), 1)
    assert outputs(results) == {"10.0.0.1": b"nine.char", "10.0.0.2": b"x"}


def test_a_script_that_was_not_reached_keeps_nothing_from_before_by_address() -> None:
    # what the event keeps may be of another address
    broken = takeip(1, result=5)
    results = results_of(takeip(1, output=b"fine"), broken)
    assert list(results.by_address()) == [broken]
