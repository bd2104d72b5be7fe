"""A chart as a trace, by the format's rules."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from past_runs import past_run, script, wait

from ctdb_event.timeline.model import draw
from ctdb_event.timeline.perfetto import trace


def events(phase: str) -> list[dict[str, Any]]:
    scripts = (script("10.interface", 1, 2), script("13.route", 5, 4, "failed", b"no \xff\x1bdevice\n"))
    waits = (wait("routes", 3, 2, "13.route"), wait("table", 6, 1, "13.route"))
    run = past_run("a", 0, 1, 9, outcome="failed", scripts=scripts, waits=waits)
    runs = [("node1", run), ("node2", past_run("b", 4, 0, 2)), ("node1", past_run("c", 2, 8, 1))]
    value = json.loads(trace(draw(runs)))
    assert value.keys() == {"displayTimeUnit", "traceEvents"}
    return [event for event in value["traceEvents"] if event["ph"] == phase]


def test_nodes_are_processes_and_rows_are_threads() -> None:
    names = [(event["name"], event["pid"], event["args"].get("name")) for event in events("M")]
    assert [one for one in names if one[0] != "thread_sort_index"] == [
        ("process_name", 1, "node1"),
        *(("thread_name", 1, label) for label in ("10.0.0.1", "10.0.0.1", "10.interface", "13.route")),
        ("process_name", 2, "node2"),
        ("thread_name", 2, "10.0.0.1"),
    ]
    orders = [event["args"]["sort_index"] for event in events("M") if event["name"] == "thread_sort_index"]
    assert orders == [1, 2, 3, 4, 5]


def test_every_bar_is_a_whole_event() -> None:
    found = events("X")
    keys = {"ph", "name", "cat", "ts", "dur", "pid", "tid", "args"}
    assert all(event.keys() == keys for event in found)
    assert all(type(event[key]) is int and event[key] >= 0 for event in found for key in ("ts", "dur", "pid", "tid"))
    assert [event["ts"] for event in found] == sorted(event["ts"] for event in found)
    begin = 1_700_000_000_000_000
    by_name = {event["name"]: event for event in found}
    route = by_name["exit status 3"]
    assert (route["ts"] - begin, route["dur"], route["cat"]) == (5_000_000, 4_000_000, "failed")
    assert route["args"]["detail"].endswith("no \\xff\\x1bdevice")
    assert (by_name["waits for routes"]["ts"] - begin, by_name["waits for routes"]["dur"]) == (3_000_000, 2_000_000)


def test_events_of_a_thread_lie_beside_or_within_one_another() -> None:
    by_thread: dict[int, list[tuple[int, int]]] = {}
    for event in events("X"):
        by_thread.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
    assert len(by_thread) == 5
    for times in by_thread.values():
        assert all(begin >= former_end or end <= former_end for (_, former_end), (begin, end) in pairwise(times))
