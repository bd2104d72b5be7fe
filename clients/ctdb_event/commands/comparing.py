"""`ctdb-event diff`: compares two runs."""

from __future__ import annotations

import difflib

from ctdb_event.commands.lists import event_shown, print_list, state_style
from ctdb_event.commands.past import last_good_before, one_run, reads_history
from ctdb_event.commands.results import output_lines, script_outcome
from ctdb_event.commands.times import at, lasting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ctdb_event.commands.session import Session

__all__ = ["diff"]

_COMPARED = ("state", "result", "output")


@reads_history
def diff(session: Session) -> int:
    """Compares two runs."""
    given, given_other = session.arguments.operands
    run = one_run(session, given)
    other = last_good_before(session, run) if given_other == "good" else one_run(session, given_other)
    items = list(_compared(run, other))
    heads = ("", "NAME", *(session.screen.safe(one["run"]) for one in (run, other)), "TOOK ", "TOOK ", "MORE ")
    print_list(session, items, items, heads, _row, "")
    if not (session.json or session.is_plain):
        for item in items:
            _print_output(session, item, run, other)
    return 0


def _compared(run: dict[str, Any], other: dict[str, Any]) -> Iterator[dict[str, Any]]:
    events = dict.fromkeys(event_shown(one) for one in (run, other))
    yield _item("run", " / ".join(events), _whole(run), _whole(other))
    for kind, one, another in (
        ("script", _scripts(run), _scripts(other)),
        ("wait", _waits(run), _waits(other)),
    ):
        for name in sorted(one.keys() | another.keys()):
            yield _item(kind, name, one.get(name, {}), another.get(name, {}))


def _item(kind: str, name: str, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {"kind": kind, "name": name}
    for key in ("seconds", *_COMPARED):
        item |= {key: one.get(key), f"other_{key}": other.get(key)}
    in_one_only = not (one and other)
    return {**item, "differs": in_one_only or any(item[key] != item[f"other_{key}"] for key in _COMPARED)}


def _whole(run: dict[str, Any]) -> dict[str, Any]:
    state = run["outcome"] or "running"
    return {"state": state, "result": run["summary"], "seconds": run["seconds"]}


def _scripts(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {script["name"]: script for script in run["scripts"]}


def _waits(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for wait in run["waits"]:
        name = f"{wait['script']}: {wait['what']}" if wait["script"] else wait["what"]
        found.setdefault(name, {"seconds": 0.0})["seconds"] += wait["seconds"]
    return found


def _row(item: dict[str, Any]) -> list[str | tuple[str, str]]:
    seconds, other_seconds = item["seconds"], item["other_seconds"]
    more = "" if seconds is None or other_seconds is None else f"{seconds - other_seconds:+.1f}s"
    return [
        *(item["kind"], item["name"], _state(item, ""), _state(item, "other_")),
        *(lasting(seconds), lasting(other_seconds), more),
    ]


def _state(item: dict[str, Any], prefix: str) -> tuple[str, str]:
    state = item[f"{prefix}state"]
    if state is None:
        return ("-" if item["kind"] == "script" else "", "dim")
    shown = script_outcome({"state": state, "result": item[f"{prefix}result"]}) if item["kind"] == "script" else state
    return (shown, state_style(state) if item["differs"] else "dim")


def _print_output(session: Session, item: dict[str, Any], run: dict[str, Any], other: dict[str, Any]) -> None:
    """Prints the differences between a script's outputs in the two runs."""
    printed, other_printed = item["output"] or b"", item["other_output"] or b""
    name, other_name = (f"{item['name']}, {one['run']}, requested {at(one['queued'])}" for one in (run, other))
    # usually the other run is the earlier one
    lines = difflib.unified_diff(output_lines(other_printed), output_lines(printed), other_name, name, lineterm="")
    for position, line in enumerate(lines):
        if position == 0:
            session.screen.write("\n")
        style = {"-": "bad", "+": "good"}.get(line[0], "") if position > 1 else "head"
        session.screen.write(session.screen.paint(session.screen.safe(line, "\t"), style) + "\n")
