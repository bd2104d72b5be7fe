"""The model of a chart: rows of bars, independent of the output format. Pure. Texts are not escaped yet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import attrs

from ctdb_event.commands.results import output_lines, script_outcome
from ctdb_event.commands.screen import arguments_shown
from ctdb_event.commands.times import at, clock, lasting
from ctdb_event.past import PastRun, Wait
from ctdb_event.results import Script

__all__ = ["Bar", "Chart", "Kind", "Node", "Row", "draw", "ticks"]

Kind = Literal["ok", "failed", "stopped", "going-on", "wait"]
"""`stopped`: cancelled or interrupted."""

_KINDS: dict[str | None, Kind] = {
    **{"success": "ok", "failed": "failed", "timed-out": "failed", "cancelled": "stopped", "interrupted": "stopped"},
    None: "going-on",
}
_STARTED_LATE = 0.001
"""Seconds between request and start that are shown as a wait; less isn't."""
_LINES = 25
"""Lines of a script's output that are shown: the last ones."""
_SHORTEST = 0.001
"""Minimum duration of a chart in seconds."""
_DAY = 86400
_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14400, 21600, 43200, _DAY),
)


@attrs.frozen(kw_only=True)
class Bar:
    """A period in a row."""

    kind: Kind
    begin: float
    """Seconds since the epoch."""
    end: float
    text: str
    """A short text: the event, why a script failed, what it waited for; may be empty."""
    detail: str
    """The full description, in lines."""


@attrs.frozen(kw_only=True)
class Row:
    """A row of bars; a bar that begins before the end of the previous one is drawn inside it."""

    label: str
    is_script: bool
    """Whether it belongs to the next row above that is not a script's."""
    bars: tuple[Bar, ...]


@attrs.frozen(kw_only=True)
class Node:
    """The rows of one node."""

    name: str
    rows: tuple[Row, ...]


@attrs.frozen(kw_only=True)
class Chart:
    """A whole chart."""

    begin: float
    """Seconds since the epoch."""
    end: float
    """Always later than `begin`."""
    nodes: tuple[Node, ...]


def draw(runs: Iterable[tuple[str, PastRun]]) -> Chart:
    """Creates a chart.

    Args:
        runs: At least one: the name of its node, and the run. Duplicates are drawn once.
    """
    by_node: dict[str, dict[str, PastRun]] = {}
    for node, run in runs:
        by_node.setdefault(node, {})[run.run] = run
    every = [run for found in by_node.values() for run in found.values()]
    begin = min(run.queued for run in every)
    end = max(begin + _SHORTEST, *(_end(run) for run in every))
    nodes = (Node(name=name, rows=tuple(_rows(found.values(), end))) for name, found in by_node.items())
    return Chart(begin=begin, end=end, nodes=tuple(nodes))


def _end(run: PastRun) -> float:
    return run.queued + (run.waited or 0.0) + (run.seconds or 0.0)


def _rows(runs: Iterable[PastRun], end: float) -> Iterator[Row]:
    """Yields a node's rows: for each address, or event without an address, its runs and below them their scripts."""
    groups: dict[tuple[str, str], list[PastRun]] = {}
    for run in sorted(runs, key=lambda run: run.queued):
        groups.setdefault((run.component, run.address or run.event), []).append(run)
    for (component, name), group in groups.items():
        label = name if group[0].address else f"{component} {name}"
        yield from _lanes(label, False, [_run_bars(run, end) for run in group])
        scripts: dict[str, list[list[Bar]]] = {}
        for run in group:
            for script in run.scripts:
                if bars := _script_bars(run, script):
                    scripts.setdefault(script.name, []).append(bars)
        for script_name in sorted(scripts):
            yield from _lanes(script_name, True, scripts[script_name])


def _lanes(label: str, is_script: bool, units: list[list[Bar]]) -> Iterator[Row]:
    """Yields as many rows as necessary so that units don't overlap; the bars of a unit stay together."""
    lanes: list[list[Bar]] = []
    ends: list[float] = []
    for begin, end, unit in sorted(map(_with_extent, units), key=lambda one: one[0]):
        number = next((number for number, former in enumerate(ends) if former <= begin), len(ends))
        if number == len(ends):
            lanes.append([])
            ends.append(end)
        lanes[number] += unit
        ends[number] = end
    for lane in lanes:
        yield Row(label=label, is_script=is_script, bars=tuple(lane))


def _with_extent(unit: list[Bar]) -> tuple[float, float, list[Bar]]:
    return min(bar.begin for bar in unit), max(bar.end for bar in unit), unit


def _run_bars(run: PastRun, end: float) -> list[Bar]:
    kind = _KINDS.get(run.outcome, "stopped")
    started = run.queued + (run.waited or 0.0)
    its_end = end if run.outcome is None else _end(run)
    text = run.event if run.outcome == "success" else f"{run.event} {run.outcome or 'running'}"
    detail = "\n".join(_run_lines(run))
    bars = []
    if started - run.queued >= _STARTED_LATE:
        reasons = " ".join(dict.fromkeys(wait.what for wait in run.waits if wait.script is None))
        bars.append(Bar(kind="wait", begin=run.queued, end=started, text=reasons, detail=detail))
    return [*bars, Bar(kind=kind, begin=started, end=its_end, text=text, detail=detail)]


def _run_lines(run: PastRun) -> Iterator[str]:
    took = "" if run.seconds is None else f" after {lasting(run.seconds)}"
    yield f"{_event(run)}: {run.outcome or 'running'}{took}"
    by = f" by {run.program}" if run.program else ""
    yield f"run {run.run}, requested at {at(run.queued)[:10]} {clock(run.queued)}{by}"
    if run.ended_by:
        yield f"ended: {run.ended_by}"
    for wait in run.waits:
        yield _wait_shown(wait)


def _event(run: PastRun) -> str:
    return arguments_shown([run.component, run.event, *run.args])


def _wait_shown(wait: Wait) -> str:
    who = f"{wait.script} waited" if wait.script else "waited"
    behind = f", held by {wait.holder}" if wait.holder else ""
    return f"{who} {lasting(wait.seconds)} for {wait.what}{behind}"


def _script_bars(run: PastRun, script: Script) -> list[Bar]:
    """Returns the bars of a script that ran or should have run: its own, and its waits before or within that."""
    begin, end = script.started, _end(run)
    if begin is not None:
        end = begin + script.seconds
    elif script.state == "not-started":
        begin = end
    bars = []
    if begin is not None:
        is_good = script.state == "ok"
        kind: Kind = "ok" if is_good else "stopped" if run.outcome == "cancelled" else "failed"
        outcome = script_outcome({"state": script.state, "result": script.result})
        lines = [f"{script.name} of {_event(run)}: {outcome} after {lasting(script.seconds)}"]
        lines += [f"run {run.run}, from {clock(begin)}", *_output_lines(script)]
        text = "" if is_good else outcome
        bars.append(Bar(kind=kind, begin=begin, end=end, text=text, detail="\n".join(lines)))
    for wait in run.waits:
        if wait.script == script.name:
            bars.append(_wait_bar(wait, begin, end))
    return bars


def _output_lines(script: Script) -> list[str]:
    lines = output_lines(script.output)
    return lines if len(lines) <= _LINES else ["...", *lines[-_LINES:]]


def _wait_bar(wait: Wait, script_begin: float | None, script_end: float) -> Bar:
    """Returns a wait's bar, limited by the script's begin or end: clocks may differ slightly."""
    begin, end = wait.began, wait.began + wait.seconds
    if script_begin is not None:
        is_before = begin < script_begin
        begin = begin if is_before else min(begin, script_end)
        end = min(end, script_begin if is_before else script_end)
    detail = f"{_wait_shown(wait)}\nfrom {clock(wait.began)}"
    return Bar(kind="wait", begin=begin, end=max(begin, end), text=wait.what, detail=detail)


def ticks(chart: Chart, most: int) -> list[tuple[float, str]]:
    """Returns the ticks of the axis: seconds from the chart's begin, and the label.

    Args:
        chart: The chart.
        most: Maximum number of ticks, at least two.
    """
    span = chart.end - chart.begin
    step = next((step for step in _STEPS if span / step <= most), math.ceil(span / (most * _DAY)) * _DAY)
    return [(number * step, _tick(number * step, step)) for number in range(int(span / step) + 1)]


def _tick(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.{3 if step < 0.01 else 2 if step < 0.1 else 1}f}s"
    if step < 60:
        return f"{seconds:.0f}s" if seconds < 60 else f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
    if step >= _DAY:
        return f"{seconds / _DAY:.0f}d"
    return f"{seconds // 3600:.0f}:{seconds % 3600 // 60:02.0f}h"
