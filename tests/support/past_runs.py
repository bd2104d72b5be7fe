"""Past runs for tests of the timeline, also as lines of an export."""

from __future__ import annotations

import json
from typing import Any

import attrs

from ctdb_event.past import PastRun, Wait
from ctdb_event.results import Script
from ctdb_event.words import ScriptState

__all__ = ["T", "exported_line", "past_run", "script", "wait"]

T = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC."""


def past_run(name: str, begin: float, waited: float | None, seconds: float | None, **more: Any) -> PastRun:
    """Makes a takeip run for 10.0.0.1 that was requested `begin` seconds after `T`."""
    values: dict[str, Any] = {
        **{"component": "legacy", "event": "takeip", "args": ("eth0", "10.0.0.1", "24"), "address": "10.0.0.1"},
        **{"outcome": "success", "summary": 0, "uid": 0, "pid": 4711, "program": "ctdbd", "ended_by": None},
    }
    return PastRun(run=name, queued=T + begin, waited=waited, seconds=seconds, **(values | more))


def script(name: str, begin: float | None, seconds: float, state: ScriptState = "ok", output: bytes = b"") -> Script:
    """Makes a script that started `begin` seconds after `T`."""
    started = None if begin is None else T + begin
    result = 3 if state == "failed" else 0
    return Script(name=name, state=state, result=result, started=started, seconds=seconds, output=output)


def wait(what: str, begin: float, seconds: float, script: str | None = None, holder: str | None = None) -> Wait:
    """Makes a wait that began `begin` seconds after `T`."""
    return Wait(what=what, holder=holder, script=script, began=T + begin, seconds=seconds)


def exported_line(node: str, run: PastRun) -> str:
    """Returns a run as a line of an export."""
    value = {"node": node, **attrs.asdict(run)}
    for one in value["scripts"]:
        one["output"] = one["output"].decode("utf-8", "surrogateescape")
    return json.dumps(value) + "\n"
