"""The history's file: an SQLite database with one row for each run, each of its scripts, and each of its waits.

Durability: if the daemon is killed, nothing that was written is lost. A power failure may lose the last seconds, as
nothing waits for the disk (journal in WAL mode, `synchronous = NORMAL`), but doesn't corrupt the file. A run that was
not over then is marked as interrupted when the file is next opened.

A file that can't be read, or of a later version, is renamed, and a new one is made.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence

from ctdb_eventd.history.records import Bounds, Ended, Examined, Record, Started, storable
from ctdb_eventd.model import ScriptReport, Wait

__all__ = ["SCHEMA_VERSION", "HistoryFile", "WriteError"]

_log = logging.getLogger(__name__)

WriteError = sqlite3.Error
"""Writing has failed."""
SCHEMA_VERSION = 3
"""A file of a later version is renamed and replaced; one of an earlier version is migrated."""
_UPGRADES = {
    1: "ALTER TABLE script ADD COLUMN known_from TEXT; ALTER TABLE script ADD COLUMN hung TEXT;",
    2: "ALTER TABLE run ADD COLUMN ended INTEGER; UPDATE run SET ended = number WHERE outcome IS NOT NULL;"
    " CREATE INDEX run_ended ON run (ended);",
}
"""Statements that migrate from a version to the next."""
_TIDY_EVERY = 500
"""Number of records between two checks of the bounds."""
_PART = 20
"""When the file is too large, the oldest 1/20 of the runs is deleted, repeatedly."""
_FULL_ENOUGH = 0.9
"""Deletion stops at this fraction of the maximum size."""
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
    ended_by TEXT,
    ended INTEGER
);
CREATE INDEX run_queued ON run (queued);
CREATE INDEX run_address ON run (address, number) WHERE address IS NOT NULL;
CREATE INDEX run_ended ON run (ended);
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
    known_from TEXT,
    hung TEXT,
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


class HistoryFile:
    """Writes to the file. Created and used by one thread; opens the file at the first write."""

    def __init__(self, path: str, goes_on: bool = False) -> None:
        """Opens nothing yet.

        Args:
            path: The file.
            goes_on: Whether a previous program of this process has written to it: then its unfinished runs continue.
        """
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._was_open = goes_on
        self._until_tidy = 0

    def write(self, records: Sequence[Record], bounds: Bounds) -> None:
        """Writes records in one transaction.

        Raises:
            sqlite3.Error: Writing is impossible now.
        """
        try:
            self._write(records, bounds)
        except sqlite3.Error as error:
            self.close()
            if not _is_broken(error):
                raise
            self._keep_aside(str(error))
            self._write(records, bounds)

    def _write(self, records: Sequence[Record], bounds: Bounds) -> None:
        connection = self._connection or self._open()
        with connection:
            _insert(connection, records, bounds)
        self._until_tidy -= len(records)
        if self._until_tidy <= 0:
            _tidy(connection, bounds)
            self._until_tidy = _TIDY_EVERY

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
            while version in _UPGRADES:
                connection.executescript(f"BEGIN; {_UPGRADES[version]} PRAGMA user_version = {version + 1}; COMMIT;")
                version += 1
            if version not in (0, SCHEMA_VERSION):
                connection.close()
                self._keep_aside(f"it has version {version} of the schema, expected {SCHEMA_VERSION}")
                return self._open()
            if version == 0:
                connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            if not self._was_open:  # when it is reopened, unfinished runs belong to this daemon
                _mark_interrupted(connection)
                self._was_open = True
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _keep_aside(self, why: str) -> None:
        """Renames a file that can't be used, together with its write-ahead log."""
        kept = f"{self._path}.broken-{time.strftime('%Y%m%dT%H%M%S')}"
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.rename(self._path + suffix, kept + suffix)
        _log.error("the history %s can't be used: %s; it is kept as %s, and a new one started", self._path, why, kept)

    def close(self) -> None:
        """Closes the file. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _is_broken(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _insert(connection: sqlite3.Connection, records: Sequence[Record], bounds: Bounds) -> None:
    """Inserts records by few statements, each for many rows.

    Within a statement SQLite releases the interpreter lock, so the event loop can run. Most runs have ended when their
    beginning is written, and need one row only.
    """
    begun = [record for record in records if isinstance(record, Started)]
    over = [record for record in records if isinstance(record, Ended)]
    latest = _greatest(connection, "number")
    numbers = {record.run: number for number, record in enumerate(begun, latest + 1)}
    ends = {record.run: (order, record) for order, record in enumerate(over, _greatest(connection, "ended") + 1)}
    connection.executemany(
        f"INSERT OR REPLACE INTO run VALUES ({_places(16)})",
        [(numbers[record.run], *_beginning(record), *_end(*ends.get(record.run, (None, None)))) for record in begun],
    )
    for order, record in ends.values():
        if record.run not in numbers:
            found = connection.execute(
                "UPDATE run SET waited = ?, seconds = ?, outcome = ?, summary = ?, ended_by = ?, ended = ?"
                " WHERE run = ? RETURNING number",
                (*_end(order, record), record.run),
            ).fetchone()
            if found is not None:  # else its beginning was lost
                numbers[record.run] = found[0]
    known = [(numbers[record.run], record) for record in over if record.run in numbers]
    connection.executemany(
        f"INSERT OR REPLACE INTO script VALUES ({_places(9)}, NULL)",
        [row for number, record in known for row in _script_rows(number, record.scripts, bounds)],
    )
    connection.executemany(
        f"INSERT OR REPLACE INTO wait VALUES ({_places(7)})",
        [row for number, record in known for row in _wait_rows(number, record.waits)],
    )
    for examined in records:
        if isinstance(examined, Examined):
            _add_examined(connection, examined)


def _places(columns: int) -> str:
    return ", ".join("?" * columns)


def _greatest(connection: sqlite3.Connection, column: str) -> int:
    """Returns the greatest `number` of a run, or `ended`: numbers in the order in which runs ended, with gaps."""
    return int(connection.execute(f"SELECT coalesce(max({column}), 0) FROM run").fetchone()[0])


def _beginning(record: Started) -> tuple[object, ...]:
    return (
        *(record.run, storable(record.component), storable(record.event), json.dumps(record.args), record.address),
        *(record.uid, record.pid, storable(record.program or None), record.queued),
    )


def _end(order: int | None, record: Ended | None) -> tuple[object, ...]:
    if record is None:
        return (None,) * 6
    return record.waited, record.seconds, record.outcome, record.summary, record.ended_by, order


def _mark_interrupted(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute(
            "UPDATE run SET outcome = 'interrupted', ended = number + ? WHERE outcome IS NULL",
            (_greatest(connection, "ended"),),
        )


def _script_rows(number: int, scripts: Iterable[ScriptReport], bounds: Bounds) -> Iterable[tuple[object, ...]]:
    for position, script in enumerate(scripts):
        seconds = max(0.0, (script.end - script.begin) / 1e6)
        output = _shortened(script.output, bounds.output)
        begin = number, position, storable(script.name), script.state, script.result, script.started
        yield *begin, seconds, output, script.known_from


def _wait_rows(number: int, waits: Iterable[Wait]) -> Iterable[tuple[object, ...]]:
    for position, wait in enumerate(waits):
        names = storable(wait.script), storable(wait.what), storable(wait.holder)
        yield number, position, *names, wait.began, wait.seconds


def _add_examined(connection: sqlite3.Connection, record: Examined) -> None:
    connection.execute(
        "UPDATE script SET hung = ? WHERE name = ? AND number = (SELECT number FROM run WHERE run = ?)",
        (json.dumps(record.hung), storable(record.script), record.run),
    )


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
