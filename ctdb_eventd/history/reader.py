"""Reads the history's file, also while a daemon writes to it.

Runs have the form of the native protocol, with the fields `uid`, `pid` and `program` of the requester added.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from ctdb_eventd.history.records import Wanted, storable

__all__ = [
    "NothingWritten",
    "Unreadable",
    "read",
    "read_ended",
    "read_latest",
    "read_run",
    "read_runs",
    "read_slow",
    "read_whole_runs",
]

_BUSY_TIMEOUT = 5.0
"""Timeout for SQLite's lock of the file, in seconds."""
_MOST_LOOKED_AT = 20_000
_MOST_LATEST = 2000
_STEPS = 10_000
"""Instructions of SQLite between two checks of the timeout."""
_RUN = (
    "run, component, event, args, address, uid, pid, program, queued, waited, seconds, outcome, summary, ended_by,"
    " (SELECT coalesce(sum(w.seconds), 0.0) FROM wait w WHERE w.number = r.number AND w.script IS NOT NULL)"
    " AS script_waits"
)
"""Columns of the table `run r`, and the total of its scripts' waits."""


class Unreadable(Exception):
    """The history can't be read; the text is the reason."""


class NothingWritten(Unreadable):
    """No run has been written yet."""


def read(path: str, view: str, wanted: Wanted, run: str | None, timeout: float | None = None) -> Any:
    """Returns one view of the history.

    Args:
        path: The file.
        view: `runs`, `run`, `slow`, `latest` or `ended`: see `read_runs`, `read_run` and so on.
        wanted: Filters the runs; for `run` only `failed` is used.
        run: A run's id, for the views `run` and `ended`.
        timeout: Seconds until a search is aborted; None is no limit.

    Raises:
        Unreadable: The file can't be read, or the search timed out.
    """
    with _opened(path, timeout) as connection:
        if view == "run":
            return read_run(connection, run, failed=wanted.failed)
        if view == "latest":
            return read_latest(connection)
        if view == "ended":
            return read_ended(connection, run, wanted)
        return read_slow(connection, wanted) if view == "slow" else read_runs(connection, wanted)


def read_whole_runs(path: str, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Yields the latest matching runs, the oldest first, each with its scripts and waits.

    Args:
        path: The file.
        wanted: Filters the runs.

    Raises:
        Unreadable: The file can't be read.
    """
    with _opened(path, None) as connection:
        for run in read_runs(connection, wanted):
            whole = read_run(connection, run["run"])
            if whole is not None:  # the daemon may have deleted it meanwhile
                yield whole


@contextlib.contextmanager
def _opened(path: str, timeout: float | None) -> Iterator[sqlite3.Connection]:
    if not os.path.exists(path):
        raise NothingWritten(f"{path}: it does not exist: no run has been recorded yet, or [history] days is 0")
    try:
        connection = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                raise NothingWritten(f"{path}: no run has been recorded yet")
            connection.row_factory = sqlite3.Row
            if timeout is not None:
                end = time.monotonic() + timeout
                connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        text = (
            f"not found within {timeout:g} s: use a shorter time range" if str(error) == "interrupted" else str(error)
        )
        raise Unreadable(f"{path}: {text}") from error


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def read_runs(connection: sqlite3.Connection, wanted: Wanted) -> list[dict[str, Any]]:
    """Returns the latest matching runs, the oldest first, without their scripts."""
    where, values = _where(wanted)
    found = connection.execute(
        f"SELECT {_RUN}, (SELECT group_concat(name, ' ') FROM script s WHERE s.number = r.number AND"
        f" s.state IN ('failed', 'killed', 'timed-out', 'not-started')) AS bad_scripts"
        f" FROM run r WHERE {where} ORDER BY number DESC LIMIT ?",
        (*values, wanted.limit),
    ).fetchall()
    return [_run(row) for row in reversed(found)]


def _where(wanted: Wanted) -> tuple[str, list[object]]:
    """Returns an SQL condition, and the values of its parameters."""
    conditions = ["outcome IS NOT 'success'" if wanted.failed else "TRUE"]
    values: list[object] = []
    for condition, value in (
        ("component = ?", storable(wanted.component)),
        ("event = ?", storable(wanted.event)),
        ("address = ?", storable(wanted.address)),
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
    return " AND ".join(conditions), values


def _run(row: sqlite3.Row) -> dict[str, Any]:
    run = dict(row)
    run["args"] = json.loads(run["args"])
    if "bad_scripts" in run:
        run["bad_scripts"] = (run["bad_scripts"] or "").split()
    return run


def read_run(connection: sqlite3.Connection, run: str | None, *, failed: bool = False) -> dict[str, Any] | None:
    """Returns one run with its scripts and waits; None if there is no such run.

    Args:
        connection: The file.
        run: Its id; None for the latest one that has ended.
        failed: If `run` is None: the latest one that has ended without success.
    """
    which = "outcome IS NOT NULL AND outcome != 'success'" if failed else "outcome IS NOT NULL"
    which = which if run is None else "run = ?"
    row = connection.execute(
        f"SELECT number, {_RUN} FROM run r WHERE {which} ORDER BY number DESC LIMIT 1",
        () if run is None else (storable(run),),
    ).fetchone()
    if row is None:
        return None
    found = _run(row)
    number = found.pop("number")
    found["scripts"] = [
        _script(row)
        for row in connection.execute(
            "SELECT name, state, result, began AS started, seconds, output, known_from, hung FROM script"
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


def _script(row: sqlite3.Row) -> dict[str, Any]:
    script = dict(row)
    script["hung"] = None if script["hung"] is None else json.loads(script["hung"])
    return script


def read_ended(connection: sqlite3.Connection, run: str | None, wanted: Wanted) -> list[dict[str, Any]] | None:
    """Returns the first runs that ended after the given one, in that order, with scripts; None if it is unknown."""
    last = connection.execute("SELECT ended FROM run WHERE run = ?", (storable(run),)).fetchone()
    if last is None or last["ended"] is None:
        return None
    where, values = _where(wanted)
    found = connection.execute(
        f"SELECT run FROM run r WHERE ended > ? AND {where} ORDER BY ended LIMIT ?",
        (last["ended"], *values, wanted.limit),
    ).fetchall()
    runs = (read_run(connection, row["run"]) for row in found)
    return [run for run in runs if run is not None]


def read_latest(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Returns the latest run of each event for each address that wasn't interrupted or cancelled, the oldest first.

    Searches the latest 20,000 runs, and returns at most 2,000.
    """
    found = connection.execute(
        "SELECT run, max(number) AS latest FROM run WHERE number > (SELECT max(number) FROM run) - ?"
        " AND outcome IN ('success', 'failed', 'timed-out') GROUP BY component, event, address"
        " ORDER BY latest DESC LIMIT ?",
        (_MOST_LOOKED_AT, _MOST_LATEST),
    ).fetchall()
    runs = (read_run(connection, row["run"]) for row in reversed(found))
    return [run for run in runs if run is not None]


def read_slow(connection: sqlite3.Connection, wanted: Wanted) -> list[dict[str, Any]]:
    """Returns statistics of the durations of scripts and waits, ordered by the total, the largest first.

    Each has `kind` (`script` or `wait`), `name`, `event` (None for a wait), `count`, `total`, `median`, `most95` (95 %
    took no longer) and `longest`, in seconds.
    """
    where, values = _where(wanted)
    times: dict[tuple[str, str, str | None], list[float]] = {}
    for kind, name, event, seconds in connection.execute(
        "SELECT 'script', s.name, event, s.seconds FROM run r JOIN script s USING (number)"
        f" WHERE {where} AND s.began IS NOT NULL"
        f" UNION ALL SELECT 'wait', w.what, NULL, w.seconds FROM run r JOIN wait w USING (number) WHERE {where}",
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
