"""Formats a chart as lines of text, with the bars' texts beside them, as there is no hovering in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ctdb_event.commands.screen import width
from ctdb_event.commands.times import at, clock, lasting
from ctdb_event.timeline.model import Bar, Chart, Kind, Row, ticks
from ctdb_eventd.text import escaped

__all__ = ["lines"]

_STYLES: dict[Kind, str] = {"ok": "good", "failed": "bad", "stopped": "dim", "going-on": "busy", "wait": "dim"}
_MARKS: dict[Kind, str] = {"ok": "█", "failed": "█", "stopped": "▒", "going-on": "▓", "wait": "░"}
_ASCII_MARKS: dict[Kind, str] = {"ok": "#", "failed": "#", "stopped": "/", "going-on": ">", "wait": "."}
_WORDS: dict[Kind, str] = {"ok": "ran", "stopped": "cancelled or interrupted", "going-on": "running", "wait": "waited"}
_MOST_LABEL = 30
_MOST_NOTE = 36
_LEAST_PLOT = 20

_Line = list[tuple[str, str]]


def lines(chart: Chart, columns: int, only_ascii: bool) -> Iterator[_Line]:
    """Yields lines, each as pieces with their style, without control characters.

    Args:
        chart: The chart.
        columns: Width of the screen.
        only_ascii: Whether the terminal may not support other characters.
    """
    rows = [row for node in chart.nodes for row in node.rows]
    notes = {id(row): _cut(_note(row), min(_MOST_NOTE, columns // 3), only_ascii) for row in rows}
    labels = {id(row): _cut(_label(row), min(_MOST_LABEL, columns // 4), only_ascii) for row in rows}
    left, right = (max(width(text) for text in texts.values()) for texts in (labels, notes))
    plot = _Plot(chart, max(columns - left - right - 2, _LEAST_PLOT), only_ascii)
    length = lasting(chart.end - chart.begin)
    yield [(f"{at(chart.begin)[:10]} {clock(chart.begin)} to {clock(chart.end)}, {length}", "head")]
    for node in chart.nodes:
        yield [(escaped(node.name, "", only_ascii), "head")]
        for row in node.rows:
            label = labels[id(row)]
            pieces = [(label + " " * (left - width(label) + 1), "dim" if row.is_script else "")]
            yield [*pieces, *plot.pieces(row), (" " + notes[id(row)], "")]
    yield [(" " * (left + 1) + plot.axis(), "dim")]
    yield list(plot.legend())


def _label(row: Row) -> str:
    return f"  {row.label}" if row.is_script else row.label


def _note(row: Row) -> str:
    """Returns the failure in a row, or else its longest wait, or its duration."""
    for bar in row.bars:
        if bar.kind in ("failed", "stopped", "going-on"):
            return f"{bar.text} {_took(bar)}"
    waits = [bar for bar in row.bars if bar.kind == "wait"]
    rest = " ".join(dict.fromkeys(bar.text for bar in row.bars if bar.kind == "ok" and bar.text))
    took = lasting(sum(bar.end - bar.begin for bar in row.bars if bar.kind == "ok"))
    parts = [" ".join(part for part in (rest, took) if part)]
    if waits:
        longest = max(waits, key=lambda bar: bar.end - bar.begin)
        parts.append(f"waited {_took(longest)}" + (f" for {longest.text}" if longest.text else ""))
    return ", ".join(parts)


def _took(bar: Bar) -> str:
    return lasting(bar.end - bar.begin)


def _cut(text: str, most: int, only_ascii: bool) -> str:
    text = escaped(text, "", only_ascii)
    dots = "..." if only_ascii else "…"
    cut = text
    while width(cut) > most:
        text = text[:-1]
        cut = text + dots
    return cut


class _Plot:
    """The part of the lines with the time axis."""

    def __init__(self, chart: Chart, columns: int, only_ascii: bool) -> None:
        self._chart = chart
        self._columns = columns
        self._marks = _ASCII_MARKS if only_ascii else _MARKS
        self._failure = "X" if only_ascii else "✗"

    def _column(self, moment: float) -> int:
        part = (moment - self._chart.begin) / (self._chart.end - self._chart.begin)
        return min(max(int(part * self._columns), 0), self._columns - 1)

    def pieces(self, row: Row) -> Iterator[tuple[str, str]]:
        """Yields a row's bars, and the gaps between them."""
        cells = [(" ", "")] * self._columns
        for bar in row.bars:
            first, last = self._column(bar.begin), self._column(bar.end)
            for column in range(first, max(last, first + 1)):
                cells[column] = (self._marks[bar.kind], _STYLES[bar.kind])
        for bar in row.bars:  # a short bar beside it may have taken its only cell
            if bar.kind == "failed":
                first, last = self._column(bar.begin), self._column(bar.end)
                cells[max(last - 1, first)] = (self._failure, _STYLES["failed"])
        begin = 0
        for column in range(1, self._columns + 1):
            if column == self._columns or cells[column][1] != cells[begin][1]:
                yield "".join(mark for mark, _ in cells[begin:column]), cells[begin][1]
                begin = column

    def axis(self) -> str:
        """Returns the ticks of the axis."""
        line = ""
        for offset, text in ticks(self._chart, max(self._columns // 10, 2)):
            column = self._column(self._chart.begin + offset)
            if column + len(text) <= self._columns:
                line = line.ljust(column) + text
        return line

    def legend(self) -> Iterator[tuple[str, str]]:
        """Yields the legend."""
        for kind, words in _WORDS.items():
            yield self._marks[kind], _STYLES[kind]
            yield f" {words}  ", ""
        yield self._failure, _STYLES["failed"]
        yield " failed", ""
