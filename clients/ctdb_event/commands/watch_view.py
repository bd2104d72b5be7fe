"""Renders the model of `ctdb-event watch` for rich. Everything is escaped before it is passed to rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ctdb_event.commands.lists import event_shown, lock_lines, state_style, waited_shown, waits_shown
from ctdb_event.commands.results import failed_scripts
from ctdb_event.commands.times import at, at_today, clock, lasting
from ctdb_eventd.text import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctdb_event.commands.watch_keys import View
    from ctdb_event.commands.watch_model import Model

__all__ = ["draw", "fit"]

_STYLES = {"good": "green", "bad": "red", "busy": "cyan", "dim": "dim", "": ""}
_FEWEST = 2
"""Minimum lines of a section on a small screen: one row, and the number of further ones."""

_Row = list[tuple[str, str]]


@attrs.frozen(kw_only=True)
class _Section:
    """A part of the screen."""

    title: str
    """Its first line; also the head of its first column."""
    heads: tuple[str, ...]
    """Heads of the other columns."""
    rows: list[_Row]
    """Cells: text and style."""
    more: int = 0
    """Number of further rows that are not in `rows`."""

    @property
    def lines(self) -> int:
        """The number of lines that it needs below its title."""
        return len(self.rows) + bool(self.more)


def draw(model: Model, view: View, height: int, now: float, only_ascii: bool = False) -> Group:
    """Draws the whole screen.

    Args:
        model: The data to show.
        view: Filter and scroll position.
        height: The number of lines of the screen.
        now: The current time, in seconds since the epoch.
        only_ascii: Whether the terminal may not support UTF-8.
    """
    sections = [section for section in _filtered(_sections(model, now), view) if section.rows]
    shown = fit([section.lines for section in sections], height - 4 - 2 * len(sections))
    parts: list[Text | Table] = [_head(model, now)]
    for section, rows in zip(sections, shown, strict=True):
        parts += [Text(""), _table(section, rows, view.skipped, only_ascii)]
    keys = Text(escaped(view.line, "", only_ascii), style="dim", no_wrap=True, overflow="ellipsis")
    return Group(*parts, keys)


def _filtered(sections: list[_Section], view: View) -> list[_Section]:
    return [
        attrs.evolve(section, rows=[row for row in section.rows if view.shows([text for text, _ in row])])
        for section in sections
    ]


def _head(model: Model, now: float) -> Text:
    head = Text(f"{escaped(model.server)}  {at(now)}", style="bold", no_wrap=True, overflow="ellipsis")
    if model.trouble:
        head.append(f"\n{escaped(model.trouble)}", style="red")
    return head


def fit(rows: Sequence[int], room: int) -> list[int]:
    """Distributes lines among sections: the longest are shortened first.

    Args:
        rows: How many lines each section needs.
        room: How many lines are available.

    Returns:
        How many lines each section gets: at least two, or what it needs.
    """
    shares = list(rows)
    while shares and sum(shares) > room:
        longest = max(range(len(shares)), key=shares.__getitem__)
        if shares[longest] <= _FEWEST:
            break
        shares[longest] -= 1
    return shares


def _table(section: _Section, lines: int, skipped: int, only_ascii: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    last = len(section.heads)
    for number, head in enumerate((section.title, *section.heads)):
        # Rich takes width from columns that may be wrapped first: the names in the first one and the words in the
        # last one, not the short ones between. The cells themselves are cut, never wrapped.
        title = Text(head, no_wrap=True, overflow="ellipsis")
        table.add_column(title, no_wrap=number not in (0, last), overflow="ellipsis")
    whole = lines >= section.lines
    first = min(skipped, len(section.rows) - lines + 1)
    rows = section.rows if whole else section.rows[first : first + lines - 1]
    for row in rows:
        table.add_row(
            *(
                Text(escaped(text, "", only_ascii), style=_STYLES[style], no_wrap=True, overflow="ellipsis")
                for text, style in row
            )
        )
    if more := len(section.rows) - len(rows) + section.more:
        table.add_row(Text(f"and {more} more", style="dim"))
    return table


def _sections(model: Model, now: float) -> list[_Section]:
    if model.snapshot is None:
        return []
    running = [_job(job) for job in model.jobs("running", "ending")]
    queued = [_queued(job) for job in model.jobs("queued")]
    locks = [_lock(line) for line in lock_lines(model.locks())]
    heads = ("OUTCOME", "STARTED", "TOOK", "WAITED", "FAILED")
    lately = [[(clock(time), "dim"), (words, style)] for time, words, style in reversed(model.lately)]
    return [
        _Section(title="COMPONENT", heads=("SCRIPTS", "HEALTH"), rows=_components(model)),
        _Section(title="PROBLEMS", heads=heads, rows=_results(model.results(good=False), now)),
        _Section(title="LOCK", heads=("ROLE", "SINCE", "OWNER"), rows=locks),
        _Section(
            title="RUNNING",
            heads=("TIME", "WAITED", "LEFT", "SCRIPT", "SINCE", "WAITS FOR"),
            rows=running,
            more=model.left_out("running"),
        ),
        _Section(title="QUEUED", heads=("AGE", "WAITS FOR"), rows=queued, more=model.left_out("queued")),
        _Section(title="LAST RESULT", heads=heads, rows=_results(model.results(good=True), now)),
        _Section(title="RECENT", heads=("",), rows=lately),
    ]


def _components(model: Model) -> list[_Row]:
    assert model.snapshot is not None
    health = model.health()
    rows = []
    for item in model.snapshot.components:
        scripts = item["error"] or f"{item['enabled']} of {item['scripts']} enabled"
        rows.append([(item["name"], ""), (scripts, "bad" if item["error"] else ""), _health(health.get(item["name"]))])
    return rows


def _health(item: dict[str, Any] | None) -> tuple[str, str]:
    if item is None:
        return "not known: no monitor event has run", "dim"
    if item["healthy"]:
        return f"healthy since {at(item['since'])}", "good"
    return f"not healthy since {at(item['since'])}: {item['script'] or 'monitor'} failed", "bad"


def _job(job: dict[str, Any]) -> _Row:
    left = lasting(job["left"]) if job["timeout"] else "no limit"
    late = job["timeout"] and job["left"] is not None and job["left"] < job["timeout"] / 5
    return [
        (event_shown(job), "busy" if job["state"] == "running" else "dim"),
        (lasting(job["running"]), ""),
        (waited_shown(job), ""),
        (left, "bad" if late else ""),
        (job["script"] or "", ""),
        (lasting(job["script_seconds"]), ""),
        (waits_shown(job), "dim"),
    ]


def _queued(job: dict[str, Any]) -> _Row:
    return [(event_shown(job), ""), (lasting(job["age"]), ""), (waits_shown(job), "dim")]


def _lock(line: dict[str, Any]) -> _Row:
    style = "busy" if line["role"] == "holder" else "dim"
    return [(line["name"], ""), (line["role"], style), (lasting(line["seconds"]), ""), (line["text"], "")]


def _results(runs: list[dict[str, Any]], now: float) -> list[_Row]:
    rows = []
    for run in runs:
        started = at_today(run["queued"] + run["waited"], now)
        outcome = (run["outcome"], state_style(run["outcome"]))
        times = [(text, "") for text in (started, lasting(run["seconds"]), waited_shown(run))]
        rows.append([(event_shown(run), ""), outcome, *times, (failed_scripts(run), "bad")])
    return rows
