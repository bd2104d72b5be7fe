"""Exports a chart as SVG, alone or in an HTML page: one file that loads no other and contains no scripts.

Output of scripts may be in it: every text is escaped twice, so that it contains no control characters, which XML
forbids, and no markup.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from html import escape

import attrs

from ctdb_event.commands.times import at, clock, lasting
from ctdb_event.timeline.model import Bar, Chart, Kind, Row, ticks
from ctdb_eventd.text import escaped

__all__ = ["page", "picture"]

_LEFT = 220
"""Width of the labels at the left, in pixels."""
_PLOT = 1000
_RIGHT = 20
_HEAD = 62
_NODE_HEIGHT = 26
_RUN_HEIGHT = 20
_GAP = 4
"""Space above a run, in pixels."""
_SCRIPT_HEIGHT = 15
_CHARACTER = 6.3
"""Average width in pixels of a character of 11 pixels."""
_LONGEST_LABEL = 32
_TICKS = 10
_NARROWEST = 1.5
_INSTANT = 1e-6
"""Minimum duration of a bar in seconds."""
_LEGEND: tuple[tuple[str, str], ...] = (
    ("run ok", "run succeeded"),
    ("script ok", "script succeeded"),
    ("failed", "✗ failed or timed out"),
    ("stopped", "cancelled or interrupted"),
    ("going-on", "running"),
    ("wait", "waited"),
)
# colours by Okabe and Ito, which colour-blind people can distinguish
_STYLE = """
.timeline { --ground: #ffffff; --ink: #1b1b1f; --soft: #6b6b76; --line: #e2e2e8; --shade: #c9c9d2; }
@media (prefers-color-scheme: dark) {
  .timeline { --ground: #16161a; --ink: #ececf1; --soft: #9c9ca8; --line: #303038; --shade: #55555f; }
}
.timeline { background: var(--ground); font: 11px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
.timeline text { fill: var(--ink); dominant-baseline: central; }
.timeline text.soft { fill: var(--soft); }
.timeline text.head { font-size: 14px; font-weight: 600; }
.timeline text.end { text-anchor: end; }
.timeline text.middle { text-anchor: middle; }
.timeline line { stroke: var(--line); }
.timeline rect { rx: 2px; }
.timeline .ground { fill: var(--ground); }
.timeline .ok rect { fill: #56b4e9; }
.timeline .run.ok rect { fill: #0072b2; }
.timeline .failed rect { fill: #d55e00; }
.timeline .stopped rect { fill: #cc79a7; }
.timeline .going-on rect { fill: #f0e442; }
.timeline .wait rect { fill: url(#waiting); stroke: var(--soft); stroke-width: 0.5px; }
.timeline text.inside { fill: #000000; }
.timeline .run.ok text.inside { fill: #ffffff; }
.timeline .wait text.inside { fill: var(--ink); paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
.timeline .failed text { font-weight: 600; }
.timeline g.bar:hover rect { stroke: var(--ink); stroke-width: 1.5px; }
"""
_PATTERN = (
    '<defs><pattern id="waiting" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0H6V6H0Z" fill="var(--ground)"/><path d="M0 0H3V6H0Z" fill="var(--shade)"/></pattern></defs>'
)
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 12px; font: 14px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
svg {{ width: 100%; min-width: 900px; height: auto; }}
pre {{ margin: 4px 0 16px; padding: 8px; border-left: 3px solid #d55e00; white-space: pre-wrap; }}
h2 {{ font-size: 16px; }}
</style>
</head>
<body>
{picture}{failures}</body>
</html>
"""


def page(chart: Chart) -> str:
    """Returns an HTML file with the chart, and below it the failures with output."""
    failures = [
        f"<pre>{_safe(node.name)}: {_safe(bar.detail)}</pre>\n"
        for node in chart.nodes
        for row in node.rows
        for bar in row.bars
        if bar.kind == "failed" and row.is_script
    ]
    below = "<h2>Scripts that failed</h2>\n" + "".join(failures) if failures else ""
    return _PAGE.format(title=_safe(_title(chart)), picture=picture(chart), failures=below)


def picture(chart: Chart) -> str:
    """Returns an SVG file."""
    width, height = _LEFT + _PLOT + _RIGHT, _HEAD + 12
    height += sum(_NODE_HEIGHT + sum(_gap(row) + _height(row) for row in node.rows) for node in chart.nodes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="timeline" viewBox="0 0 {width} {height}" width="{width}"',
        f' height="{height}" role="img"><style>{_STYLE}</style>{_PATTERN}\n',
        f'<rect class="ground" width="{width}" height="{height}"/>\n',
        _text(12, 18, _title(chart), "head"),
        *_legend(),
        *_axis(chart, height),
    ]
    top = _HEAD
    for node in chart.nodes:
        parts.append(_text(12, top + _NODE_HEIGHT / 2, node.name, "head"))
        top += _NODE_HEIGHT
        for row in node.rows:
            top += _gap(row)
            parts += _row(chart, row, top)
            top += _height(row)
    return "".join([*parts, "</svg>\n"])


def _title(chart: Chart) -> str:
    return f"{at(chart.begin)[:10]} {clock(chart.begin)} to {clock(chart.end)}, {lasting(chart.end - chart.begin)}"


def _height(row: Row) -> int:
    return _SCRIPT_HEIGHT if row.is_script else _RUN_HEIGHT


def _gap(row: Row) -> int:
    return 0 if row.is_script else _GAP


def _legend() -> Iterator[str]:
    x = float(_LEFT + _PLOT)
    for classes, words in reversed(_LEGEND):
        x -= len(words) * _CHARACTER + 26
        yield f'<g class="{classes}"><rect x="{x:.1f}" y="12" width="14" height="11"/>'
        yield _text(x + 18, 18, words) + "</g>\n"


def _axis(chart: Chart, height: int) -> Iterator[str]:
    for offset, words in ticks(chart, _TICKS):
        x = _x(chart, chart.begin + offset)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 8}" y2="{height - 8}"/>'
        yield _text(x, _HEAD - 16, words, "soft middle")


def _x(chart: Chart, moment: float) -> float:
    part = (moment - chart.begin) / (chart.end - chart.begin)
    return _LEFT + min(max(part, 0.0), 1.0) * _PLOT


def _row(chart: Chart, row: Row, top: int) -> Iterator[str]:
    middle = top + _height(row) / 2
    label = row.label if len(row.label) <= _LONGEST_LABEL else row.label[: _LONGEST_LABEL - 1] + "…"
    classes = "soft end" if row.is_script else "end"
    yield f"<g><title>{_safe(row.label)}</title>{_text(_LEFT - 8, middle, label, classes)}</g>\n"
    begins, ends = sorted(bar.begin for bar in row.bars), sorted(_last(bar) for bar in row.bars)
    free_from = float(_LEFT)
    for bar in sorted(row.bars, key=lambda bar: (bar.begin, -bar.end)):
        before, behind = bisect_right(ends, bar.begin), bisect_left(begins, _last(bar))
        free_from = max(free_from, _x(chart, ends[before - 1]) if before else _LEFT)
        free_until = _x(chart, begins[behind]) if behind < len(begins) else _LEFT + _PLOT + _RIGHT
        left = _x(chart, bar.begin)
        right = max(_x(chart, bar.end), left + _NARROWEST)
        words = _place(bar, left, right, free_from, free_until)
        yield f'<g class="bar {_classes(bar.kind, row)}"><title>{_safe(bar.detail)}</title>'
        where = f'x="{left:.1f}" y="{top + 1.5}" width="{right - left:.1f}" height="{_height(row) - 3}"'
        yield f"<rect {where}/>"
        if words is not None:
            yield _text(words.x, middle, words.text, words.classes)
            free_from = max(free_from, words.end)
        yield "</g>\n"


def _last(bar: Bar) -> float:
    return max(bar.end, bar.begin + _INSTANT)  # later than its begin, so that it is not taken for its own neighbour


@attrs.frozen
class _Words:
    """The position of a bar's text."""

    text: str
    x: float
    end: float
    """Its right end."""
    classes: str


def _place(bar: Bar, left: float, right: float, free_from: float, free_until: float) -> _Words | None:
    """Returns a free position for a bar's text: in, after or before the bar; for a failure at least a cross."""
    text = f"✗ {bar.text}".rstrip() if bar.kind == "failed" else bar.text
    wide = len(text) * _CHARACTER
    if text and wide + 8 <= right - left:
        return _Words(text, left + 4, right, "inside")
    if text and right + wide + 8 <= free_until:
        return _Words(text, right + 4, right + wide + 8, "")
    if text and free_from <= left - wide - 8:
        return _Words(text, left - 4, left, "end")
    return _Words("✗", right + 2, right + _CHARACTER + 6, "") if bar.kind == "failed" else None


def _classes(kind: Kind, row: Row) -> str:
    return f"{'script' if row.is_script else 'run'} {kind}"


def _text(x: float, y: float, words: str, classes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}">{_safe(words)}</text>'


def _safe(text: str) -> str:
    return escape(escaped(text, "\t\n"))
