"""Reads the history's file, whether a daemon writes to it or not.

Runs have the form that the native protocol gives them, with who asked for them besides.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from typing import Any

import attrs

from ctdb_eventd.history.records import storable

__all__ = ["NO_FILE", "Unreadable", "Wanted", "read_run", "read_runs", "read_slow"]

NO_FILE = "there is none"
_BUSY_PATIENCE = 5.0
_RUN = "run, component, event, args, address, uid, pid, program, queued, waited, seconds, outcome, summary, ended_by"


class Unreadable(Exception):
    """The history can't be read; the text says why."""


@attrs.frozen(kw_only=True)
class Wanted:
    """Which runs. None, and False, is no restriction."""

    component: str | None = None
    event: str | None = None
    address: str | None = None
    failed: bool = False
    """Only those that did not end well."""
    since: float | None = None
    """Seconds since the epoch: those that were not over then."""
    until: float | None = None
    """Those that were asked for before."""
    slower: float | None = None
    """Those that waited and ran for more seconds than this."""
    uid: int | None = None
    """Those that this user asked for."""
    by_ctdbd: bool | None = None
    """Those that ctdbd asked for, or those that it did not."""
    limit: int = 50
    """The latest so many."""


@contextlib.contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    if not os.path.exists(path):
        raise Unreadable(f"{path}: {NO_FILE}: no run has been written to it yet, or [history] days is 0")
    try:
        connection = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=_BUSY_PATIENCE)
        try:
            connection.row_factory = sqlite3.Row
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unreadable(f"{path}: {error}") from error


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def read_runs(path: str, wanted: Wanted) -> list[dict[str, Any]]:
    """Returns the latest runs that are wanted, the oldest first, without their scripts.

    Raises:
        Unreadable: The file can't be read.
    """
    conditions, values = _conditions(wanted)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    with _opened(path) as connection:
        found = connection.execute(
            f"SELECT {_RUN}, (SELECT group_concat(name, ' ') FROM script s WHERE s.number = r.number AND"
            f" s.state IN ('failed', 'killed', 'timed-out', 'not-started')) AS bad_scripts"
            f" FROM run r {where} ORDER BY number DESC LIMIT ?",
            (*values, wanted.limit),
        ).fetchall()
    return [_run(row) for row in reversed(found)]


def _conditions(wanted: Wanted) -> tuple[list[str], list[object]]:
    conditions = ["(outcome IS NULL OR outcome != 'success')"] if wanted.failed else []
    values: list[object] = []
    for condition, value in (
        ("component = ?", None if wanted.component is None else storable(wanted.component)),
        ("event = ?", None if wanted.event is None else storable(wanted.event)),
        ("address = ?", None if wanted.address is None else storable(wanted.address)),
        ("uid = ?", wanted.uid),
        ("r.queued + coalesce(r.waited, 0) + coalesce(r.seconds, 0) >= ?", wanted.since),
        ("queued < ?", wanted.until),
        ("coalesce(r.waited, 0) + coalesce(r.seconds, 0) > ?", wanted.slower),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if wanted.by_ctdbd is not None:
        conditions.append("program = 'ctdbd'" if wanted.by_ctdbd else "program IS NOT 'ctdbd'")
    return conditions, values


def _run(row: sqlite3.Row) -> dict[str, Any]:
    run = dict(row)
    run["args"] = json.loads(run["args"])
    if "bad_scripts" in run:
        run["bad_scripts"] = (run["bad_scripts"] or "").split()
    return run


def read_run(path: str, run: str | None, *, failed: bool = False) -> dict[str, Any] | None:
    """Returns one run with its scripts and what it waited for; None if there is no such run.

    Args:
        path: The file.
        run: Its id; None for the latest one that is over.
        failed: The latest one that did not end well.

    Raises:
        Unreadable: The file can't be read.
    """
    which = "outcome IS NOT NULL AND outcome != 'success'" if failed else "outcome IS NOT NULL"
    with _opened(path) as connection:
        row = connection.execute(
            f"SELECT number, {_RUN} FROM run WHERE {'run = ?' if run is not None else which}"
            " ORDER BY number DESC LIMIT 1",
            () if run is None else (storable(run),),
        ).fetchone()
        if row is None:
            return None
        found = _run(row)
        number = found.pop("number")
        found["scripts"] = [
            dict(script)
            for script in connection.execute(
                "SELECT name, state, result, began AS started, seconds, output FROM script"
                " WHERE number = ? ORDER BY position",
                (number,),
            )
        ]
        found["waits"] = [
            dict(wait)
            for wait in connection.execute(
                "SELECT what, holder, script, began, seconds FROM wait WHERE number = ? ORDER BY position", (number,)
            )
        ]
    return found


def read_slow(path: str, wanted: Wanted) -> list[dict[str, Any]]:
    """Returns how long scripts ran and what was waited for, what took most in all first.

    Each has `kind` (`script` or `wait`), `name`, `event` (None for a wait), `count`, `total`, `median`, `most95` (95 %
    took no longer) and `longest`, in seconds.

    Raises:
        Unreadable: The file can't be read.
    """
    conditions, values = _conditions(wanted)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    times: dict[tuple[str, str, str | None], list[float]] = {}
    with _opened(path) as connection:
        for kind, name, event, seconds in connection.execute(
            "SELECT 'script', s.name, event, s.seconds FROM run r JOIN script s USING (number)"
            f" {where} {'AND' if where else 'WHERE'} s.began IS NOT NULL"
            f" UNION ALL SELECT 'wait', w.what, NULL, w.seconds FROM run r JOIN wait w USING (number) {where}",
            (*values, *values),
        ):
            times.setdefault((kind, name, event), []).append(seconds)
    found: list[dict[str, Any]] = []
    for (kind, name, event), each in times.items():
        each.sort()
        found.append(
            {
                **{"kind": kind, "name": name, "event": event, "count": len(each), "total": sum(each)},
                **{"median": each[(len(each) - 1) // 2], "most95": each[(len(each) * 95 + 99) // 100 - 1]},
                "longest": each[-1],
            }
        )
    return sorted(found, key=lambda one: -one["total"])[: wanted.limit]
