"""Every run and its scripts: put into a queue by the event loop, written by a thread of its own, many at a time.

The event loop never waits: neither a slow disk nor a full one holds up an event. The thread writes what has come
within a moment in one transaction, so that a failover of a hundred addresses costs a few of them.

While nothing can be written (disk full, file locked), records wait, up to a bound, and are tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from ctdb_eventd.history.records import Bounds, Record, Wanted

__all__ = ["History", "ReadDone"]

_log = logging.getLogger(__name__)

_PAUSE = 0.2
"""Seconds for which records are gathered before they are written."""
_RETRY = 5.0
"""Seconds until a write is tried again that failed."""
_MOST_WAITING = 20_000
"""Records that are kept while nothing can be written."""
_MOST_AT_ONCE = 1000
"""Records in one transaction."""
_CLOSE_PATIENCE = 5.0
"""Seconds that the end of the daemon waits for the last write."""
_READ_PATIENCE = 5.0
"""Seconds after which a search in the history is given up: others wait for theirs."""

ReadDone = Callable[[Any, str | None], None]
"""Called once with what was found, or with why it can't be read."""
_Question = tuple[str, Wanted, str | None, ReadDone, asyncio.AbstractEventLoop]


class History:
    """Writes records into a file. Its methods are called from one thread, the event loop's, and never wait."""

    def __init__(self, path: str, bounds: Bounds, since: float | None = None) -> None:
        """Prepares: nothing is written before `startup`.

        Args:
            path: The file; in a directory that nobody else may write to.
            bounds: How much is kept.
            since: When the daemon was started, in seconds since the epoch; now if None.
        """
        self.path = path
        self._since = time.time() if since is None else since
        self.bounds = bounds
        self._queue: queue.SimpleQueue[Record | threading.Event | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._hurry = threading.Event()
        self._questions: queue.SimpleQueue[_Question] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None

    def startup(self) -> None:
        """Starts the thread; what came before is written too. Idempotent."""
        if self._writer is not None:
            return
        self._writer = threading.Thread(target=self._write_all, name="history", daemon=True)
        self._writer.start()

    def record(self, record: Record) -> None:
        """Has a record written in a moment."""
        self._queue.put(record)

    def close(self) -> None:
        """Writes what is left, and waits for that for some seconds at the most."""
        if self._writer is None and not self._queue.empty():
            self.startup()
        if self._writer is not None:
            self._hurry.set()
            self._queue.put(None)
            self._writer.join(_CLOSE_PATIENCE)

    def flush(self, patience: float) -> bool:
        """Waits until what came before has been written; blocks, and may be called in any thread.

        Args:
            patience: Seconds after which it is given up.

        Returns:
            False if it was given up.
        """
        if self._writer is None:
            if self._queue.empty():
                return True
            self.startup()
        written = threading.Event()
        self._hurry.set()
        self._queue.put(written)
        try:
            return written.wait(patience)
        finally:
            self._hurry.clear()

    def read(self, view: str, wanted: Wanted, run: str | None, done: ReadDone) -> None:
        """Reads the file in another thread, one question after the other; see `reader.read`."""
        if self._reader is None:
            self._reader = threading.Thread(target=self._read_all, name="history reader", daemon=True)
            self._reader.start()
        self._questions.put((view, wanted, run, done, asyncio.get_running_loop()))

    # ------------------------------------------------------------------ in the threads

    def _read_all(self) -> None:
        from ctdb_eventd.history import reader  # here, as in `_write_all`

        while True:
            view, wanted, run, done, loop = self._questions.get()
            found, error = None, None
            try:
                found = reader.read(self.path, view, wanted, run, _READ_PATIENCE)
            except reader.NothingWritten:
                found = None if view == "run" else []
            except reader.Unreadable as unreadable:
                error = str(unreadable)
            except Exception:
                _log.exception("the history can't be read: this is a bug in ctdb-eventd, please report it")
                error = f"{self.path}: this is a bug in ctdb-eventd"
            with contextlib.suppress(RuntimeError):  # the daemon has ended meanwhile
                loop.call_soon_threadsafe(done, found, error)

    def _write_all(self) -> None:
        # here, as SQLite would slow the daemon's start
        from ctdb_eventd.history.file import HistoryFile, WriteError

        file = HistoryFile(self.path, self._since)
        waiting: list[Record] = []
        self._flushed: list[threading.Event] = []
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
            except WriteError as error:
                if not trouble:
                    _log.error("can't write the history %s: %s; events go on, and records wait", self.path, error)
                trouble = str(error)
                if closing:
                    lost += len(waiting)
                    break
            except Exception:
                # no record may stop those after it
                _log.exception("records of the history are lost: this is a bug in ctdb-eventd, please report it")
                del waiting[:_MOST_AT_ONCE]
            else:
                if trouble:
                    _log.warning("the history %s can be written again; %d records were lost", self.path, lost)
                trouble, lost = "", 0
                while self._flushed:
                    self._flushed.pop().set()
        if lost:
            _log.error("%d records of the history are lost: %s", lost, trouble)
        file.close()

    def _gather(self, waiting: list[Record], patience: float | None) -> bool:
        """Adds what comes within a moment; tells whether that was all there will ever be.

        Args:
            waiting: Is added to.
            patience: Seconds after which it returns even if nothing comes; None is for ever.
        """
        with contextlib.suppress(queue.Empty):
            record = self._queue.get(timeout=patience)
            pause = _PAUSE
            while record is not None:
                if isinstance(record, threading.Event):
                    self._flushed.append(record)
                    return False
                waiting.append(record)
                self._hurry.wait(pause)
                pause = 0
                record = self._queue.get_nowait()
            return True
        return False


def _drop_excess(waiting: list[Record]) -> int:
    excess = max(0, len(waiting) - _MOST_WAITING)
    del waiting[:excess]
    return excess
