"""Logging to the systemd journal by its native protocol: each line is an entry with fields.

The event loop never blocks on it: while the socket is full, entries are queued, and a thread sends them. Entries that
don't fit into the queue are counted, like the lines that can't be written to a file.
"""

from __future__ import annotations

import atexit
import errno
import logging
import os
import select
import socket
import syslog
import threading
from collections import deque
from collections.abc import Iterator

from ctdb_eventd.environment import leave_signals_to_main_thread
from ctdb_eventd.log_lines import PROGRAM, LossRecord, known, priority
from ctdb_eventd.private import memory_file

__all__ = ["JournalHandler"]

_MOST_HELD = 4 << 20
"""Bytes of entries that are queued while the socket is full."""
_LAST_WAIT = 1.0
"""Seconds that `drain` waits until the queue is empty."""
_FIELD = "CTDB_EVENT_"
"""Prefix of the fields with metadata: `run` becomes `CTDB_EVENT_RUN`."""


def _field(name: str, value: object) -> bytes:
    """Encodes a field of an entry. Values never contain line breaks."""
    data = str(value).encode("utf-8", "backslashreplace")
    return b"%b=%b\n" % (name.encode(), data)


class JournalHandler(logging.Handler):
    """Sends entries to the journal; survives restarts of the journal."""

    def __init__(self, path: str) -> None:
        """Connects to the journal's socket.

        Raises:
            OSError: The socket doesn't exist, or no process listens on it.
        """
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        super().__init__()
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._lost = 0
        self._why = ""
        self._sender: threading.Thread | None = None
        self._ends = False
        atexit.register(self.drain)

    def emit(self, record: logging.LogRecord) -> None:
        """Sends or queues one entry; `logging` calls this with the handler's lock."""
        if self._lost and self._deliver(self._entry(LossRecord(self._lost, self._why))) is None:
            self._lost = 0
        why = self._deliver(self._entry(record))
        if why is not None:
            self._lose(why)

    def _lose(self, why: str) -> None:
        self._lost += 1
        self._why = why

    def _deliver(self, entry: bytes) -> str | None:
        """Sends or queues an entry; returns None, or the reason if neither is possible."""
        if not self._held:
            try:
                self._send(entry)
                return None
            except BlockingIOError:
                pass
            except OSError as error:
                return error.strerror or str(error)
        # once entries were lost, the queue must be half empty first: otherwise every other line would report losses
        if self._held_bytes + len(entry) > (_MOST_HELD // 2 if self._lost else _MOST_HELD):
            return "the journal takes them too slowly"
        self._held.append(entry)
        self._held_bytes += len(entry)
        if self._sender is None:
            self._sender = threading.Thread(target=self._send_held, name="journal", daemon=True)
            self._sender.start()
        return None

    def close(self) -> None:
        """Closes the socket, as soon as all queued entries have been sent."""
        super().close()
        self.acquire()
        try:
            self._ends = True
            if self._sender is None:
                self._socket.close()
        finally:
            self.release()
        atexit.unregister(self.drain)

    # ------------------------------------------------------------------ an entry

    def _entry(self, record: logging.LogRecord) -> bytes:
        return b"".join(_field(name, value) for name, value in self._fields(record))

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, object]]:
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", priority(record)
        yield "SYSLOG_IDENTIFIER", PROGRAM
        yield "SYSLOG_FACILITY", syslog.LOG_DAEMON >> 3
        for name, value in known(record).items():
            yield _FIELD + name.upper(), " ".join(map(str, value)) if isinstance(value, list) else value

    # ------------------------------------------------------------------ the socket

    def _send(self, entry: bytes) -> None:
        """Sends an entry.

        Raises:
            BlockingIOError: The socket is full.
            OSError: It can't be sent.
        """
        try:
            self._socket.send(entry)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                self._send_file(entry)
            elif error.errno in (errno.ECONNREFUSED, errno.ENOTCONN):
                self._socket.connect(self._path)  # the journal was restarted, with another socket of this name
                self._socket.send(entry)
            else:
                raise

    def _send_file(self, entry: bytes) -> None:
        """Sends an entry that is too large for a datagram, as a sealed memory file."""
        fd = memory_file("journal", entry)
        try:
            socket.send_fds(self._socket, [b""], [fd])
        finally:
            os.close(fd)

    # ------------------------------------------------------------------ the thread

    def _send_held(self) -> None:
        """Sends queued entries, whenever the socket has room, until the queue is empty."""
        leave_signals_to_main_thread()
        room = select.poll()
        room.register(self._socket, select.POLLOUT)
        while True:
            room.poll()
            self.acquire()
            try:
                if not self._held:
                    self._sender = None
                    if self._ends:
                        self._socket.close()
                    return
                self._send_first()
            finally:
                self.release()

    def _send_first(self) -> None:
        try:
            self._send(self._held[0])
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
        self._held_bytes -= len(self._held.popleft())

    def drain(self) -> None:
        """Waits with a timeout until the queue is empty: the thread ends with the program. Not to be called locked."""
        sender = self._sender
        if sender is not None:
            sender.join(_LAST_WAIT)
