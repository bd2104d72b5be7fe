"""Stores every run: the event loop puts records into a queue, a thread writes them in batches.

The event loop never waits: neither a slow disk nor a full one delays an event. The thread writes records that arrive
within a short time in one transaction, so that a failover of a hundred addresses needs only a few transactions.

While nothing can be written (disk full, file locked), records stay queued, up to a bound, and writing is retried.
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

from ctdb_eventd.environment import leave_signals_to_main_thread
from ctdb_eventd.history.records import Bounds, Record, RunFilter

__all__ = ["History", "ReadDone"]

_log = logging.getLogger(__name__)

_PAUSE = 0.2
"""Seconds for which records are collected before they are written."""
_MANY = 20
"""If as many arrive within that time, collecting continues: during a failover events need the processors."""
_LONGEST_PAUSE = 1.0
"""Maximum time for which records are collected, in seconds."""
_RETRY = 5.0
"""Seconds until a failed write is retried."""
_MOST_WAITING = 20_000
"""Records that are kept while nothing can be written."""
_MOST_AT_ONCE = 200
"""Records in one transaction."""
_CLOSE_TIMEOUT = 5.0
"""Seconds that the daemon waits for the last write when it stops."""
_READ_TIMEOUT = 5.0
"""Timeout of a search in the history, in seconds: other searches are queued behind it."""

ReadDone = Callable[[Any, str | None], None]
"""Called once with the result, or with the reason why the history can't be read."""
_Question = tuple[str, RunFilter, str | None, int, ReadDone, asyncio.AbstractEventLoop]


class History:
    """Writes records to a file. Its methods are called from one thread, the event loop's, and don't block."""

    def __init__(self, path: str, bounds: Bounds, goes_on: bool = False) -> None:
        """Prepares: nothing is written before `startup`.

        Args:
            path: The file; in a directory that nobody else may write to.
            bounds: How much is kept.
            goes_on: Whether a previous program of this process has written to the file.
        """
        self.path = path
        self._goes_on = goes_on
        self.bounds = bounds
        self._queue: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._put = 0
        """Number of queued records since the start."""
        self._settled = threading.Condition()
        self._done = 0
        """Number of them that were written or lost."""
        self._trouble = ""
        """The reason why writing fails now; empty if it doesn't."""
        self._hurry = threading.Event()
        """Set while a caller waits until the queue is written."""
        self._writer: threading.Thread | None = None
        self._questions: queue.SimpleQueue[_Question] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None

    def startup(self) -> None:
        """Starts the thread; records that are queued already are written too. Idempotent."""
        if self._writer is not None:
            return
        self._writer = threading.Thread(target=self._write_all, name="history", daemon=True)
        self._writer.start()

    def record(self, record: Record) -> None:
        """Queues a record."""
        self._put += 1
        self._queue.put(record)

    def close(self) -> None:
        """Writes the queued records; waits at most `_CLOSE_TIMEOUT`."""
        if self._writer is None and not self._queue.empty():
            self.startup()
        if self._writer is not None:
            self._hurry.set()
            self._queue.put(None)
            self._writer.join(_CLOSE_TIMEOUT)

    def flush(self, timeout: float) -> bool:
        """Waits until all records queued so far have been written; blocks, and may be called in any thread.

        Args:
            timeout: Maximum time in seconds; it doesn't wait while the file can't be written.

        Returns:
            Whether they have been written.
        """
        put = self._put
        if self._done < put:
            self.startup()
        return self._has_written(put, timeout)

    def read(self, view: str, wanted: RunFilter, run: str | None, done: ReadDone) -> None:
        """Reads the file in another thread, one request after the other; see `reader.read`."""
        if self._reader is None:
            self._reader = threading.Thread(target=self._read_all, name="history reader", daemon=True)
            self._reader.start()
        self._questions.put((view, wanted, run, self._put, done, asyncio.get_running_loop()))

    # ------------------------------------------------------------------ in the threads

    def _read_all(self) -> None:
        leave_signals_to_main_thread()
        from ctdb_eventd.history import reader  # here, as in `_write_all`

        while True:
            view, wanted, run, put, done, loop = self._questions.get()
            found, error = None, None
            try:
                if view == "ended" and not self._has_written(put, _READ_TIMEOUT):
                    why = self._trouble or "it takes long"
                    raise reader.Unreadable(f"{self.path}: the latest runs aren't in it yet: {why}")
                found = reader.read(self.path, view, wanted, run, _READ_TIMEOUT)
            except reader.NothingWritten:
                found = None if view in ("run", "ended") else []
            except reader.Unreadable as unreadable:
                error = str(unreadable)
            except Exception:
                _log.exception("the history can't be read: this is a bug in ctdb-eventd, please report it")
                error = f"{self.path}: this is a bug in ctdb-eventd"
            with contextlib.suppress(RuntimeError):  # the daemon has ended meanwhile
                loop.call_soon_threadsafe(done, found, error)

    def _has_written(self, put: int, timeout: float) -> bool:
        """Waits until the first `put` records have been written; returns whether they have."""
        with self._settled:
            if self._done < put:
                self._hurry.set()
                self._settled.wait_for(lambda: self._done >= put or self._trouble, timeout)
                self._hurry.clear()
            return self._done >= put

    def _settle(self, records: int, trouble: str) -> None:
        with self._settled:
            self._done += records
            self._trouble = trouble
            self._settled.notify_all()

    def _write_all(self) -> None:
        leave_signals_to_main_thread()
        # here, as SQLite would slow the daemon's start
        from ctdb_eventd.history.file import HistoryFile, WriteError

        file = HistoryFile(self.path, self._goes_on)
        waiting: list[Record] = []
        lost = 0
        trouble = ""
        closing = False
        while not closing or waiting:
            if not closing:
                closing = self._gather(waiting, _RETRY if trouble else None)
            lost += self._drop_excess(waiting)
            try:
                while waiting:
                    file.write(waiting[:_MOST_AT_ONCE], self.bounds)
                    self._drop_first(waiting)
            except WriteError as error:
                if not trouble:
                    _log.error(
                        "can't write the history %s: %s; events continue, and records are queued", self.path, error
                    )
                trouble = str(error)
                self._settle(0, trouble)
                if closing:
                    lost += len(waiting)
                    break
            except Exception:
                # no record may stop those after it
                _log.exception("records of the history are lost: this is a bug in ctdb-eventd, please report it")
                self._drop_first(waiting)
            else:
                if trouble:
                    _log.warning("the history %s can be written again; %d records were lost", self.path, lost)
                trouble, lost = "", 0
        if lost:
            _log.error("%d records of the history are lost: %s", lost, trouble)
        file.close()

    def _drop_first(self, waiting: list[Record]) -> None:
        """Removes the records of one transaction: they have been written, or can never be."""
        records = len(waiting[:_MOST_AT_ONCE])
        del waiting[:_MOST_AT_ONCE]
        self._settle(records, "")

    def _drop_excess(self, waiting: list[Record]) -> int:
        excess = max(0, len(waiting) - _MOST_WAITING)
        del waiting[:excess]
        if excess:
            self._settle(excess, self._trouble)
        return excess

    def _gather(self, waiting: list[Record], timeout: float | None) -> bool:
        """Collects records that arrive within a short time; returns whether there will be no more.

        Args:
            waiting: They are appended to it.
            timeout: Seconds to wait for the first one; None is without limit.
        """
        with contextlib.suppress(queue.Empty):
            record = self._queue.get(timeout=timeout)
            if record is None:
                return True
            waiting.append(record)
            end = time.monotonic() + _LONGEST_PAUSE
            while True:
                hurried, before = self._hurry.wait(_PAUSE), len(waiting)
                if self._take_all(waiting):
                    return True
                if hurried or len(waiting) - before < _MANY or time.monotonic() >= end:
                    break
        return False

    def _take_all(self, waiting: list[Record]) -> bool:
        """Appends the queued records; returns whether there will be no more."""
        with contextlib.suppress(queue.Empty):
            while True:
                record = self._queue.get_nowait()
                if record is None:
                    return True
                waiting.append(record)
        return False
