"""Every run and its scripts, in an SQLite file: written by a thread of its own, many at a time.

The event loop only puts records into a queue. The thread writes what has come within a moment in one transaction, so
that a failover of a hundred addresses costs a few of them, and neither a slow disk nor a full one holds up an event.

What survives: if the daemon is killed, all but the last moment (`_PAUSE`). At a power failure the last seconds may be
missing, as nothing waits for the disk (journal in WAL mode, `synchronous = NORMAL`); the file stays whole. Of a run
that was going on then, the beginning is there: it is marked as interrupted when the file is next opened.

A file that can't be read is kept beside a new one. While nothing can be written (disk full, file locked), records wait,
up to a bound, and are tried again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence

import attrs

from ctdb_eventd.model import ScriptReport

__all__ = ["SCHEMA_VERSION", "Bounds", "Ended", "History", "Started", "Wait"]

_log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""A file of another version is kept beside a new one."""
_PAUSE = 0.2
"""Seconds for which records are gathered before they are written."""
_RETRY = 5.0
"""Seconds until a write is tried again that failed."""
_MOST_WAITING = 20_000
"""Records that are kept while nothing can be written."""
_MOST_AT_ONCE = 1000
"""Records in one transaction."""
_TIDY_EVERY = 500
"""Runs between two looks whether there is too much."""
_PART = 20
"""When the file is too large, one part in so many goes, the oldest, again and again."""
_FULL_ENOUGH = 0.9
"""Until it has this part of the size that it may have."""
_CLOSE_PATIENCE = 5.0
"""Seconds that the end of the daemon waits for the last write."""
_CACHE_KIB = 512
_DAY = 24 * 3600

_SCHEMA = f"""
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    component TEXT NOT NULL,
    event TEXT NOT NULL,
    args TEXT NOT NULL,
    address TEXT,
    uid INTEGER,
    pid INTEGER,
    program TEXT,
    queued REAL NOT NULL,
    waited REAL,
    seconds REAL,
    outcome TEXT,
    summary INTEGER,
    ended_by TEXT
);
CREATE INDEX run_queued ON run (queued);
CREATE INDEX run_address ON run (address, number) WHERE address IS NOT NULL;
CREATE INDEX run_unsuccessful ON run (number) WHERE outcome IS NOT 'success';
CREATE TABLE script (
    number INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    result INTEGER NOT NULL,
    began REAL,
    seconds REAL NOT NULL,
    output BLOB NOT NULL,
    PRIMARY KEY (number, position)
) WITHOUT ROWID;
CREATE TABLE wait (
    number INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    position INTEGER NOT NULL,
    script TEXT,
    what TEXT NOT NULL,
    holder TEXT,
    began REAL NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (number, position)
) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
"""


@attrs.frozen(kw_only=True)
class Bounds:
    """How much is kept; what is older, or more, goes."""

    days: float = 90.0
    runs: int = 1_000_000
    size: int = 256 << 20
    """Bytes of the file."""
    output: int = 16 << 10
    """Bytes of the output of one script; of more its beginning and its end."""


@attrs.frozen(kw_only=True)
class Started:
    """A run was asked for."""

    run: str
    component: str
    event: str
    args: tuple[str, ...]
    address: str | None
    queued: float
    """Seconds since the epoch."""
    uid: int | None = None
    """Who asked; None if that isn't known."""
    pid: int | None = None
    program: str | None = None


@attrs.frozen(kw_only=True)
class Wait:
    """A run waited for something."""

    what: str
    """A lock, or `slot`."""
    holder: str | None
    """Who had it, in words."""
    began: float
    """Seconds since the epoch."""
    seconds: float
    script: str | None = None
    """The script that waited; None if it was the run, before its start."""


@attrs.frozen(kw_only=True)
class Ended:
    """A run is over."""

    run: str
    outcome: str
    summary: int
    waited: float
    """Seconds from the request to the start, or to the end if it never started."""
    seconds: float
    scripts: tuple[ScriptReport, ...] = ()
    waits: Sequence[Wait] = ()
    ended_by: str | None = None
    """Who cancelled it, or what for it gave way."""


class History:
    """Writes records into a file. Its methods are called from one thread, the event loop's, and never wait."""

    def __init__(self, path: str, bounds: Bounds) -> None:
        """Starts the thread.

        Args:
            path: The file; in a directory that nobody else may write to.
            bounds: How much is kept.
        """
        self.path = path
        self.bounds = bounds
        self._queue: queue.SimpleQueue[Started | Ended | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="history", daemon=True)
        self._writer.start()

    def record(self, record: Started | Ended) -> None:
        """Has a record written in a moment."""
        self._queue.put(record)

    def close(self) -> None:
        """Writes what is left, and waits for that for some seconds at the most."""
        self._queue.put(None)
        self._writer.join(_CLOSE_PATIENCE)

    # ------------------------------------------------------------------ in the thread

    def _write_all(self) -> None:
        file = _File(self.path)
        waiting: list[Started | Ended] = []
        lost = 0
        trouble = ""
        closing = False
        while not closing or waiting:
            if not closing:
                closing = self._gather(waiting, _RETRY if trouble else None)
            lost += _drop_excess(waiting)
            try:
                while waiting:
                    file.write(waiting[:_MOST_AT_ONCE], self.bounds)
                    del waiting[:_MOST_AT_ONCE]
            except sqlite3.Error as error:
                if not trouble:
                    _log.error("can't write the history %s: %s; events go on, and records wait", self.path, error)
                trouble = str(error)
                if closing:
                    lost += len(waiting)
                    break
            else:
                if trouble:
                    _log.warning("the history %s can be written again; %d records were lost", self.path, lost)
                trouble, lost = "", 0
        if lost:
            _log.error("%d records of the history are lost: %s", lost, trouble)
        file.close()

    def _gather(self, waiting: list[Started | Ended], patience: float | None) -> bool:
        """Adds what comes within a moment; tells whether that was all there will ever be.

        Args:
            waiting: Is added to.
            patience: Seconds after which it returns even if nothing comes; None is for ever.
        """
        with contextlib.suppress(queue.Empty):
            record = self._queue.get(timeout=patience)
            if record is None:
                return True
            waiting.append(record)
            time.sleep(_PAUSE)
            while True:
                record = self._queue.get_nowait()
                if record is None:
                    return True
                waiting.append(record)
        return False


def _drop_excess(waiting: list[Started | Ended]) -> int:
    excess = max(0, len(waiting) - _MOST_WAITING)
    del waiting[:excess]
    return excess


class _File:
    """The file, as the thread uses it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._until_tidy = 0

    def write(self, records: Sequence[Started | Ended], bounds: Bounds) -> None:
        """Writes records in one transaction.

        Raises:
            sqlite3.Error: It can't be done now.
        """
        try:
            connection = self._connection or self._open()
            with connection:
                for record in records:
                    if isinstance(record, Started):
                        _insert_started(connection, record)
                    else:
                        _insert_ended(connection, record, bounds)
            self._until_tidy -= len(records)
            if self._until_tidy <= 0:
                _tidy(connection, bounds)
                self._until_tidy = _TIDY_EVERY
        except sqlite3.Error as error:
            self.close()
            if _is_broken(error):
                self._keep_aside(str(error))
            raise

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=1.0, isolation_level="IMMEDIATE")
        try:
            os.chmod(self._path, 0o600)
            for pragma in (
                f"cache_size = -{_CACHE_KIB}",
                "auto_vacuum = INCREMENTAL",
                "journal_mode = WAL",
                "synchronous = NORMAL",
                "foreign_keys = ON",
            ):
                connection.execute(f"PRAGMA {pragma}")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                connection.close()
                self._keep_aside(f"it has version {version} of the schema, expected {SCHEMA_VERSION}")
                return self._open()
            if version == 0:
                connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            with connection:
                connection.execute("UPDATE run SET outcome = 'interrupted' WHERE outcome IS NULL")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _keep_aside(self, why: str) -> None:
        """Puts a file that can't be used beside the new one. The log that belongs to it goes with it."""
        kept = f"{self._path}.broken-{time.strftime('%Y%m%dT%H%M%S')}"
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.rename(self._path + suffix, kept + suffix)
        _log.error("the history %s can't be used: %s; it is kept as %s, and a new one begun", self._path, why, kept)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _is_broken(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _insert_started(connection: sqlite3.Connection, record: Started) -> None:
    connection.execute(
        "INSERT INTO run (run, component, event, args, address, uid, pid, program, queued)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO NOTHING",
        (
            *(record.run, record.component, record.event, json.dumps(record.args), record.address),
            *(record.uid, record.pid, record.program, record.queued),
        ),
    )


def _insert_ended(connection: sqlite3.Connection, record: Ended, bounds: Bounds) -> None:
    ended = (record.outcome, record.summary, record.waited, record.seconds, record.ended_by, record.run)
    found = connection.execute(
        "UPDATE run SET outcome = ?, summary = ?, waited = ?, seconds = ?, ended_by = ? WHERE run = ? RETURNING number",
        ended,
    ).fetchone()
    if found is None:
        return  # its beginning was lost
    connection.executemany(
        "INSERT OR REPLACE INTO script VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _script_rows(found[0], record.scripts, bounds)
    )
    connection.executemany(
        "INSERT OR REPLACE INTO wait VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (found[0], position, wait.script, wait.what, wait.holder, wait.began, wait.seconds)
            for position, wait in enumerate(record.waits)
        ),
    )


def _script_rows(number: int, scripts: Iterable[ScriptReport], bounds: Bounds) -> Iterable[tuple[object, ...]]:
    for position, script in enumerate(scripts):
        began = script.begin / 1e6 if script.begin else None
        seconds = max(0.0, (script.end - script.begin) / 1e6)
        output = _shortened(script.output, bounds.output)
        yield number, position, script.name, script.state, script.result, began, seconds, output


def _shortened(output: bytes, most: int) -> bytes:
    if len(output) <= most:
        return output
    half = most // 2
    return b"%s\n[%d bytes left out here]\n%s" % (output[:half], len(output) - 2 * half, output[-half:])


def _tidy(connection: sqlite3.Connection, bounds: Bounds) -> None:
    with connection:
        connection.execute("DELETE FROM run WHERE queued < ?", (time.time() - bounds.days * _DAY,))
        [newest] = connection.execute("SELECT max(number) FROM run").fetchone()
        if newest is not None:
            connection.execute("DELETE FROM run WHERE number <= ?", (newest - bounds.runs,))
    if _size(connection) <= bounds.size:
        return
    while _size(connection) > bounds.size * _FULL_ENOUGH:
        with connection:
            gone = connection.execute(
                "DELETE FROM run WHERE number <= (SELECT min(number) + (max(number) - min(number)) / ? FROM run)",
                (_PART,),
            ).rowcount
        if not gone:
            break
    for pragma in ("incremental_vacuum", "wal_checkpoint(TRUNCATE)"):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _size(connection: sqlite3.Connection) -> int:
    pages, free, page = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page)
