"""Exports a chart as a trace for Perfetto (ui.perfetto.dev) and Chrome: a node is a process, a row a thread."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ctdb_event.timeline.model import Bar, Chart
from ctdb_eventd.text import escaped

__all__ = ["trace"]


def trace(chart: Chart) -> str:
    """Returns the content of the trace file. Times are microseconds since the epoch."""
    described: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    row_number = 0
    for pid, node in enumerate(chart.nodes, 1):
        described.append(_meta("process_name", pid, 0, name=escaped(node.name)))
        for row in node.rows:
            row_number += 1  # a thread's number is unique among all processes
            described.append(_meta("thread_name", pid, row_number, name=escaped(row.label)))
            described.append(_meta("thread_sort_index", pid, row_number, sort_index=row_number))
            events += _events(row.label, row.bars, pid, row_number)
    events.sort(key=lambda event: (event["ts"], -event["dur"]))
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": [*described, *events]}) + "\n"


def _meta(kind: str, pid: int, tid: int, /, **args: Any) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": args}


def _events(label: str, bars: tuple[Bar, ...], pid: int, tid: int) -> Iterator[dict[str, Any]]:
    for bar in bars:
        begin, end = (round(moment * 1e6) for moment in (bar.begin, bar.end))
        name = f"waits for {bar.text}" if bar.kind == "wait" and bar.text else bar.text or label
        yield {
            **{"ph": "X", "name": escaped(name), "cat": bar.kind, "ts": begin, "dur": end - begin},
            **{"pid": pid, "tid": tid, "args": {"detail": escaped(bar.detail, "\t\n")}},
        }
