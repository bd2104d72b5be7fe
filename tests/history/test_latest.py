"""The latest results: what a new one replaces, and what it leaves of the former."""

from __future__ import annotations

import pytest
from run_records import record_of

from ctdb_eventd.errors import NeverRan
from ctdb_eventd.history import latest
from ctdb_eventd.history.latest import LatestResults
from ctdb_eventd.model import DISABLED, NOT_REACHED, EventReport, LastRun, ScriptReport


def script(name: str, result: int = 0, begin: int = 1) -> ScriptReport:
    if result == NOT_REACHED:
        begin = 0
    return ScriptReport(name=name, begin=begin, end=begin, result=result)


def report(*scripts: ScriptReport) -> EventReport:
    return EventReport(summary=next((one.result for one in scripts if one.failed), 0), scripts=scripts)


def scripts_after(*reports: EventReport) -> tuple[ScriptReport, ...]:
    latest = LatestResults()
    for one in reports:
        latest.record(record_of("legacy monitor", one))
    return latest.get("legacy", "monitor").report.scripts


def test_an_event_that_never_ran_is_an_error() -> None:
    with pytest.raises(NeverRan, match=r"^event monitor has never run in legacy$"):
        LatestResults().get("legacy", "monitor")


def test_components_and_events_are_apart() -> None:
    latest = LatestResults()
    reports = {key: report() for key in [("legacy", "monitor"), ("legacy", "takeip"), ("other", "monitor")]}
    for (component, event), one in reports.items():
        latest.record(record_of(f"{component} {event}", one))
    assert {key: latest.get(*key).report for key in reports} == reports


def test_the_latest_report_replaces_the_former() -> None:
    assert scripts_after(report(script("00.a"), script("10.b")), report(script("00.a", 1, 2))) == (
        script("00.a", 1, 2),
    )


def test_a_script_that_was_not_reached_is_none_that_was() -> None:
    """What an earlier run found of it would look like a finding of this one: it stands beside it."""
    before = report(script("00.a", begin=1), script("10.b", 3, begin=2), script("20.c", begin=3))
    now = report(script("00.a", 1, begin=5), script("10.b", NOT_REACHED), script("20.c", NOT_REACHED))
    first, *others = scripts_after(before, now)
    assert first == now.scripts[0]
    assert [(script.result, script.last) for script in others] == [
        (NOT_REACHED, LastRun(state="failed", ended=before.scripts[1].end / 1e6)),
        (NOT_REACHED, LastRun(state="ok", ended=before.scripts[2].end / 1e6)),
    ]


def test_the_summary_is_that_of_the_latest_run() -> None:
    latest = LatestResults()
    latest.record(record_of("legacy monitor", report(script("00.a"), script("10.b", 3))))
    latest.record(record_of("legacy monitor", report(script("00.a", 1), script("10.b", NOT_REACHED))))
    assert latest.get("legacy", "monitor").report.summary == 1


def test_a_script_that_is_gone_is_forgotten_and_a_disabled_one_is_not_brought_back() -> None:
    before = report(script("00.a"), script("05.gone"), script("10.b"))
    now = report(script("00.a", DISABLED), script("10.b", 2))
    assert scripts_after(before, now) == now.scripts


def test_an_event_without_scripts_has_an_empty_report() -> None:
    assert scripts_after(report(script("00.a")), report()) == ()


def test_recording_the_same_report_again_keeps_it() -> None:
    one = report()
    latest = LatestResults()
    latest.record(record_of("legacy monitor", one))
    latest.record(record_of("legacy monitor", one))
    assert latest.get("legacy", "monitor").report is one


def test_made_up_names_do_not_fill_the_memory_and_what_runs_is_kept() -> None:
    latest = LatestResults()
    for number in range(1500):
        latest.record(record_of("legacy monitor", report()))
        latest.record(record_of(f"legacy made-up-{number}", report()))
        latest.get("legacy", "monitor")
    latest.get("legacy", "made-up-1499")
    with pytest.raises(NeverRan):
        latest.get("legacy", "made-up-0")
    remembered = 0
    for number in range(1500):
        try:
            latest.get("legacy", f"made-up-{number}")
        except NeverRan:
            continue
        remembered += 1
    assert remembered == 999


# ---------------------------------------------------------------------- runs side by side

GOOD = report(script("00.a"), script("10.interface"))
BAD = report(script("00.a"), script("10.interface", 3), script("20.c", NOT_REACHED))
WORSE = report(script("00.a", 5), script("10.interface", NOT_REACHED))


def latest_of(*runs: tuple[EventReport, int | None]) -> EventReport:
    latest = LatestResults()
    for one, batch in runs:
        latest.record(record_of("legacy takeip", one), batch)
    return latest.get("legacy", "takeip").report


@pytest.mark.parametrize("runs", [[(BAD, 7), (GOOD, 7)], [(GOOD, 7), (BAD, 7)], [(BAD, 7), (GOOD, 7), (GOOD, 7)]])
def test_of_runs_side_by_side_a_failed_one_is_the_latest_whichever_came_first(
    runs: list[tuple[EventReport, int | None]],
) -> None:
    kept = latest_of(*runs)
    assert (kept.summary, kept.scripts[1].result) == (3, 3)


def test_of_failures_side_by_side_the_last_one_is_the_latest() -> None:
    assert latest_of((BAD, 7), (WORSE, 7)).summary == 5
    assert latest_of((BAD, 7), (WORSE, 7), (GOOD, 7)).summary == 5


@pytest.mark.parametrize(("before", "now"), [(7, 8), (None, 7), (7, None), (None, None)])
def test_a_failure_before_the_last_barrier_is_replaced(before: int | None, now: int | None) -> None:
    assert latest_of((BAD, before), (GOOD, now)) is GOOD


def test_a_failure_of_the_first_batch_counts_too() -> None:
    assert latest_of((BAD, 0), (GOOD, 0)) is BAD


def test_batches_of_another_event_or_component_do_not_matter() -> None:
    latest = LatestResults()
    latest.record(record_of("legacy takeip", BAD), 7)
    latest.record(record_of("legacy releaseip", GOOD), 7)
    latest.record(record_of("other takeip", GOOD), 7)
    assert latest.get("legacy", "takeip").report is BAD
    assert latest.get("legacy", "releaseip").report is GOOD
    assert latest.get("other", "takeip").report is GOOD


def test_of_much_output_that_of_the_oldest_event_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "_MOST_OUTPUT", 10)
    results = LatestResults()
    for event in ("setup", "startup", "monitor"):
        scripts = (ScriptReport(name="10.first", begin=1, end=2, result=1, output=b"four"),)
        results.record(record_of(f"legacy {event}", EventReport(summary=1, scripts=scripts)))
    kept = {record.spec.event: record.report.scripts[0].output for record in results.all()}
    assert kept == {"setup": b"", "startup": b"four", "monitor": b"four"}
    assert results.get("legacy", "setup").report.summary == 1
