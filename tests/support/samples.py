"""Results of a broker's methods, for tests of the command line."""

from __future__ import annotations

from typing import Any

BEGIN = 1_700_000_000.25
"""2023-11-14 22:13:20 UTC."""


def script(name: str, state: str = "ok", result: int = 0, output: bytes = b"") -> dict[str, Any]:
    """One script of a run."""
    return {"name": name, "state": state, "result": result, "started": BEGIN, "seconds": 0.4, "output": output}


def run(**changes: Any) -> dict[str, Any]:
    """A run."""
    value: dict[str, Any] = {
        **{"run": "mb-1", "component": "legacy", "event": "monitor", "args": [], "address": None, "outcome": "success"},
        **{"summary": 0, "queued": BEGIN, "waited": 0.5, "seconds": 1.25, "scripts": [script("00.ctdb")]},
        "script_waits": 0.25,
    }
    return {**value, **changes}


def job(**changes: Any) -> dict[str, Any]:
    """A run in progress."""
    value: dict[str, Any] = {
        **{"run": "mb-2", "component": "legacy", "event": "takeip", "args": ["eth 0", "10.0.0.1", "24"]},
        **{"address": "10.0.0.1", "state": "running", "queued": BEGIN, "age": 3.25, "started": BEGIN, "running": 3.0},
        **{"timeout": 30, "left": 27.0, "script": "10.interface", "script_seconds": 2.5, "pid": 4711, "waits_for": []},
        **{"waits_for_more": 0, "waited": 0.25, "script_waits": 1.0},
    }
    return {**value, **changes}


def queued(**changes: Any) -> dict[str, Any]:
    """A queued run."""
    empty = {"started": None, "running": None, "left": None, "script": None, "script_seconds": None, "pid": None}
    return job(
        **{
            "run": "mb-3",
            "state": "queued",
            **empty,
            "waited": 3.25,
            "script_waits": 0.0,
            "waits_for": ["mb-2", "address:10.0.0.1"],
            **changes,
        }
    )


def owner(**changes: Any) -> dict[str, Any]:
    """A holder of a lock, or one that waits for it."""
    return {"run": "mb-2", "lock": None, "pid": 12, "text": "legacy takeip", "since": BEGIN, "seconds": 3.0, **changes}


def status(**changes: Any) -> dict[str, Any]:
    """The reply to `status`."""
    return {"results": [], "jobs": [], "more": [], "health": [], **changes}


def note(**changes: Any) -> dict[str, Any]:
    """The data that all notes about a run have."""
    about = {"time": BEGIN, "run": "mb-2", "component": "legacy", "event": "takeip", "args": ["eth0"]}
    about["address"] = "10.0.0.1"
    return {**about, **changes}
