"""A blocking socket around the core, with plain values: the blocking client and the commands are built on it.

A wait for one request reads for all: what arrives about other requests goes into their mailboxes. One thread at a time.
Cheap to import.
"""

from __future__ import annotations

import socket
from select import POLLIN, POLLOUT, poll

from ctdb_event.core import Core
from ctdb_event.errors import BrokerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ctdb_event.core import Mailbox
    from ctdb_event.dialects import Dialect

__all__ = ["Transport"]

_RECEIVE_SIZE = 1 << 16


class _Whole:
    """Ends the connection if an exception, such as KeyboardInterrupt, leaves its block."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and not isinstance(error, BrokerError):
            self._transport.end("it was interrupted in the middle of a message")


class Transport:
    """A connection to the broker.

    A signal handler may raise (KeyboardInterrupt) while a method runs: that ends the connection.

    Attributes:
        core: The connection's state.
        reason: How the broker ended it, if it did.
    """

    def __init__(self, path: str, dialect: Dialect) -> None:
        """Connects. Whether the daemon knows this dialect is only known when it answers.

        Raises:
            OSError: It can't connect.
        """
        self.core = Core(path, dialect)
        self.reason = "closed by the daemon"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise

    def whole(self) -> _Whole:
        """Returns a context manager for I/O that can't be resumed: an interruption in its block ends the connection."""
        return _Whole(self)

    def start(self, method: str, params: Mapping[str, Any]) -> Mailbox:
        """Sends a request; its mailbox is `lost` at once if the connection has ended.

        Raises:
            NotSupported, InvalidRequest: It can't be encoded.
        """
        with self.whole():
            mailbox = self.core.start(method, params)
            self._send()
            return mailbox

    def wait(self, ready: Callable[[], bool]) -> None:
        """Reads until `ready` returns True. The end of the connection answers every request."""
        with self.whole():
            while not ready():
                self._poll(POLLIN)
                self.receive()

    def receive(self) -> None:
        """Reads what has arrived, without blocking."""
        with self.whole():
            self._receive()
            self._send()

    def abandon(self, mailbox: Mailbox) -> None:
        """Cancels a request, without waiting for an answer."""
        with self.whole():
            self.core.abandon(mailbox)
            self._send()

    def fileno(self) -> int:
        """Returns the socket's descriptor, for polling. Mailboxes may already hold answers that were read before."""
        return self._socket.fileno()

    def hang_up(self) -> None:
        """Shuts the socket down; a thread that waits for an answer finds the connection lost. Idempotent."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended

    def end(self, reason: str) -> None:
        """Ends the connection, and with it all pending requests. Idempotent."""
        self.core.end(reason)
        self._socket.close()

    def close(self) -> None:
        """Closes the connection."""
        self.end("closed by the client")

    def _send(self) -> None:
        """Sends everything that is queued; reads in between, since the peer may block until its own data is read.

        A send error ends only the sending: the next read reports the end, after the last data that the peer sent.
        """
        while left := memoryview(self.core.data_to_send()):
            while left and self.core.ended is None:
                try:
                    left = left[self._socket.send(left, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    if self._poll(POLLIN | POLLOUT) & POLLIN:
                        self._receive()
                except ConnectionError as error:
                    self.reason = error.strerror or self.reason
                    return

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_SIZE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            self.reason = error.strerror or self.reason
            data = b""
        if data:
            self.core.receive_data(data)
        else:
            self.core.receive_eof()

    def _poll(self, events: int) -> int:
        poller = poll()
        poller.register(self._socket, events)
        ready: int = poller.poll()[0][1]
        # the next read reports an error or hang-up
        return ready if ready & (POLLIN | POLLOUT) else POLLIN
