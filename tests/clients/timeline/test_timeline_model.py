"""What there is to draw of runs."""

from __future__ import annotations

from typing import Any

import pytest
from past_runs import T, past_run, script, wait

from ctdb_event.past import PastRun
from ctdb_event.timeline.model import Chart, Row, draw, ticks
from ctdb_event.words import ScriptState


def rows(*runs: PastRun) -> list[Row]:
    (node,) = draw(("node1", run) for run in runs).nodes
    return list(node.rows)


def bars(row: Row) -> list[tuple[str, float, float, str]]:
    return [(bar.kind, round(bar.begin - T, 6), round(bar.end - T, 6), bar.text) for bar in row.bars]


def test_a_run_and_its_scripts_have_a_row_each() -> None:
    found = rows(
        past_run("a", 0, 0.5, 2, scripts=(script("13.route", 1, 1.5), script("10.interface", 0.5, 0.5))),
    )
    assert [(row.label, row.is_script) for row in found] == [
        ("10.0.0.1", False),
        ("10.interface", True),
        ("13.route", True),
    ]
    assert bars(found[0]) == [("wait", 0, 0.5, ""), ("ok", 0.5, 2.5, "takeip")]
    assert bars(found[1]) == [("ok", 0.5, 1, "")]
    assert bars(found[2]) == [("ok", 1, 2.5, "")]


def test_runs_of_one_address_share_rows_and_others_do_not() -> None:
    scripts = [(script("10.interface", begin, 1),) for begin in range(3)]
    monitor = past_run("c", 2, 0, 1, event="monitor", args=(), address=None, scripts=scripts[2])
    release = past_run("a", 0, 0, 1, event="releaseip", scripts=scripts[0])
    found = rows(monitor, past_run("b", 1, 0, 1, scripts=scripts[1]), release)
    assert [(row.label, [bar.text for bar in row.bars]) for row in found] == [
        ("10.0.0.1", ["releaseip", "takeip"]),
        ("10.interface", ["", ""]),
        ("legacy monitor", ["monitor"]),
        ("10.interface", [""]),
    ]


def test_what_overlaps_stands_in_rows_of_its_own() -> None:
    found = rows(
        past_run("a", 0, 0, 2, event="releaseip"),
        past_run("b", 1, 1, 1, waits=(wait("queue", 1, 1, holder="legacy releaseip"),)),
        past_run("c", 3, 0, 1),
    )
    assert [(row.label, bars(row)) for row in found] == [
        ("10.0.0.1", [("ok", 0, 2, "releaseip"), ("ok", 3, 4, "takeip")]),
        ("10.0.0.1", [("wait", 1, 2, "queue"), ("ok", 2, 3, "takeip")]),
    ]


def test_waits_of_a_script_are_before_it_or_within_it() -> None:
    waits = (wait("routes", 1, 1.001, "13.route", "legacy takeip"), wait("table", 3, 9, "13.route"))
    row = rows(past_run("a", 0, 0, 5, scripts=(script("13.route", 2, 3),), waits=waits))[1]
    # a millisecond too long by another clock; one that the script's end ended
    assert bars(row) == [("ok", 2, 5, ""), ("wait", 1, 2, "routes"), ("wait", 3, 5, "table")]
    assert row.bars[1].detail.splitlines()[0] == "13.route waited 1.0s for routes, held by legacy takeip"


@pytest.mark.parametrize(
    ("outcome", "kind", "text"),
    [
        ("failed", "failed", "takeip failed"),
        ("timed-out", "failed", "takeip timed-out"),
        ("cancelled", "stopped", "takeip cancelled"),
        ("something-new", "stopped", "takeip something-new"),
    ],
)
def test_how_a_run_ended_is_seen(outcome: str, kind: str, text: str) -> None:
    assert bars(rows(past_run("a", 0, 0, 1, outcome=outcome))[0]) == [(kind, 0, 1, text)]


def test_a_run_that_goes_on_does_so_until_the_end_of_the_picture() -> None:
    open_end: dict[str, Any] = {"address": "10.0.0.2", "summary": None}
    found = rows(
        past_run("a", 0, 0, 3),
        past_run("b", 1, None, None, outcome=None, **open_end),
    )
    assert bars(found[1]) == [("going-on", 1, 3, "takeip running")]
    interrupted = rows(past_run("b", 1, None, None, outcome="interrupted", **open_end))
    assert bars(interrupted[0]) == [("stopped", 1, 1, "takeip interrupted")]


@pytest.mark.parametrize(
    ("state", "begin", "expected"),
    [
        ("failed", 0, [("failed", 0, 1, "exit status 3")]),
        ("timed-out", 0, [("failed", 0, 1, "timed-out")]),
        ("not-started", None, [("failed", 2, 2, "not-started")]),
        ("not-reached", None, None),
        ("not-handled", None, None),
        ("disabled", None, None),
    ],
)
def test_how_a_script_ended_is_seen(state: ScriptState, begin: float | None, expected: object) -> None:
    found = rows(past_run("a", 0, 0, 2, outcome="failed", scripts=(script("10.a", begin, 1, state),)))
    assert [bars(row) for row in found[1:]] == ([] if expected is None else [expected])


def test_the_script_of_a_run_that_was_cancelled_has_not_failed() -> None:
    found = rows(past_run("a", 0, 0, 1, outcome="cancelled", scripts=(script("10.a", 0, 1, "killed"),)))
    assert bars(found[1]) == [("stopped", 0, 1, "killed")]


def test_what_is_known_of_a_run_and_of_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    output = b"".join(b"line %d\n" % number for number in range(30))
    found = rows(
        past_run(
            *("a", 0, 0.5, 2),
            outcome="cancelled",
            ended_by="uid 0, ctdb-event 99",
            waits=(wait("queue", 0, 0.5),),
            scripts=(script("10.a", 0, 1, output=output),),
        )
    )
    lines = found[0].bars[0].detail.splitlines()
    assert lines[0] == "legacy takeip eth0 10.0.0.1 24: cancelled after 2.0s"
    assert lines[1].startswith("run a, requested at 2023-11-1")
    assert lines[1].endswith(" by ctdbd")
    assert lines[2:] == ["ended: uid 0, ctdb-event 99", "waited 0.5s for queue"]
    lines = found[1].bars[0].detail.splitlines()
    assert (lines[0], lines[2], lines[3], lines[-1]) == (
        "10.a of legacy takeip eth0 10.0.0.1 24: ok after 1.0s",
        "...",
        "line 5",
        "line 29",
    )


def test_nodes_stand_in_the_order_in_which_they_come_and_a_run_once() -> None:
    run = past_run("a", 0, 0, 1)
    chart = draw([("b", run), ("a", run), ("b", run)])
    assert [(node.name, len(node.rows[0].bars)) for node in chart.nodes] == [("b", 1), ("a", 1)]
    assert (chart.begin, chart.end) == (T, T + 1)


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (0.004, ["0.000s", "0.001s", "0.002s", "0.003s", "0.004s"]),
        (1.2, ["0.0s", "0.5s", "1.0s"]),
        (75, ["0s", "15s", "30s", "45s", "1:00", "1:15"]),
        (3600, ["0:00h", "0:15h", "0:30h", "0:45h", "1:00h"]),
        (40 * 86400, ["0d", "8d", "16d", "24d", "32d", "40d"]),
    ],
)
def test_the_axis(span: float, labels: list[str]) -> None:
    assert [text for _, text in ticks(Chart(begin=0, end=span, nodes=()), 5)] == labels
