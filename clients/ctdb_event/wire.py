"""A thin, blocking connection that speaks the native dialect: a plain socket, frames, plain values.

For programs that must start fast: imports socket, select, msgpack and the grammar, nothing else. Whoever has time to
spare uses `Client` or `connect`, which know the CTDB dialect too and return typed results.
"""

from __future__ import annotations

import socket
from collections import deque
from select import POLLIN, POLLOUT, poll

from ctdb_event.framing import Splitter, read_frame
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.packet import DEFAULT_MAX_REPLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["CallFailed", "ConnectionLost", "Line", "NotNative", "Wire"]

_RECEIVE_SIZE = 1 << 16


class CallFailed(Exception):
    """The broker refused a request.

    Attributes:
        code: Name of an errno.
        message: A sentence for a person.
        data: For a program: `kind` names the error, the rest is what the message is made of.
    """

    def __init__(self, code: str, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        return self.message


class NotNative(Exception):
    """The daemon closed the connection at the preface: it is CTDB's own, which speaks only the CTDB dialect."""


class ConnectionLost(Exception):
    """The connection ended before the answer; what became of the request is unknown."""


class Line:
    """A blocking socket that sends whole frames, and knows when an interruption has put it out of step.

    A signal handler may raise (KeyboardInterrupt) at any point. While the line waits nothing is lost by that. In the
    short moments in which bytes are on their way between the kernel and us they may be lost; then the line is ended.
    """

    __slots__ = ("_received", "_sending", "_socket", "_taking", "reason")

    def __init__(self, path: str) -> None:
        """Connects.

        Raises:
            OSError: It can't.
        """
        self._received = bytearray()
        self._sending = self._taking = False
        self.reason = "closed by the daemon"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes) -> None:
        """Sends all of it, and takes in meanwhile what comes, as the peer may wait for that.

        A peer that has gone is not told here but by `receive`: what it sent before says more.

        Raises:
            ConnectionLost: The line was put out of step, or closed.
        """
        self._check()
        self._sending = True
        left = memoryview(data)
        try:
            while left:
                try:
                    left = left[self._socket.send(left, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    if self._wait(POLLIN | POLLOUT) & POLLIN and not self._take():
                        break
        except ConnectionError as error:
            self.reason = error.strerror or self.reason
        self._sending = False

    def receive(self) -> bytes:
        """Waits for bytes and returns them; none at the end of the connection.

        Raises:
            ConnectionLost: The line was put out of step, or closed.
        """
        self._check()
        if not self._received:
            self._wait(POLLIN)
            self._take()
        data = bytes(self._received)
        self._received.clear()
        return data

    def fileno(self) -> int:
        """Returns the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Ends the connection. Idempotent."""
        self.reason = "it was closed here"
        self._socket.close()

    def _check(self) -> None:
        if self._sending or self._taking:
            self._sending = self._taking = False
            self.close()
            self.reason = "an interruption put it out of step"
        if self.fileno() < 0:
            raise ConnectionLost(f"connection lost: {self.reason}")

    def _wait(self, events: int) -> int:
        poller = poll()
        poller.register(self._socket, events)
        ready: int = poller.poll()[0][1]
        # an error or hang-up is told by the next attempt to read
        return ready if ready & (POLLIN | POLLOUT) else POLLIN

    def _take(self) -> bool:
        """Takes what is there; False at the end of the connection."""
        self._taking = True
        try:
            data = self._socket.recv(_RECEIVE_SIZE, socket.MSG_DONTWAIT)
            self._received += data
        except BlockingIOError:
            data = b"\0"
        except OSError as error:
            self.reason, data = error.strerror or self.reason, b""
        self._taking = False
        return bool(data)


class Wire:
    """One connection in the native dialect. Not for several threads at a time."""

    __slots__ = ("_fatal", "_frames", "_heard", "_kept", "_last", "_line", "_path")

    def __init__(self, path: str) -> None:
        """Connects and sends the preface. Whether the daemon knows this dialect shows at the first `receive`.

        Raises:
            OSError: It can't connect.
        """
        self._path = path
        self._frames = Splitter(frames.frame_length, DEFAULT_MAX_REPLY)
        self._kept: dict[int, deque[tuple[str, Any, Any, Any]]] = {}
        self._last = 0
        self._heard = False
        self._fatal: CallFailed | None = None
        self._line = Line(path)
        self._line.send(frames.PREFACE)

    def start(self, method: str, params: Mapping[str, Any]) -> int:
        """Sends a request, without waiting for its answer.

        Returns:
            Its id, for `receive`.

        Raises:
            LocalProtocolError: `params` can't be said.
            ConnectionLost: This connection was closed.
        """
        request_id = self._last + 1
        self._line.send(frames.request(request_id, method, params))
        self._last = request_id
        self._kept[request_id] = deque()
        return request_id

    def receive(self, request_id: int) -> tuple[str, Any, Any, Any]:
        """Waits for what comes next about a request; what comes about others is kept until it is asked for.

        Returns:
            `("note", kind, number, data)`, and at last `("result", value, None, None)`; ask no more after that.

        Raises:
            CallFailed: It was refused; ask no more.
            NotNative: The daemon doesn't speak this dialect.
            ConnectionLost: The connection ended before.
            RemoteProtocolError: What answers doesn't keep to the dialect.
            KeyError: There is no such request, or it was answered.
        """
        kept = self._kept[request_id]
        while not kept:
            self._read()
        said = kept.popleft()
        if said[0] == "note":
            return said
        del self._kept[request_id]
        if said[0] == "error":
            raise CallFailed(*said[1:])
        return said

    def call(self, method: str, /, **params: Any) -> Any:
        """Sends a request and waits for its result; notes about it are passed over.

        Raises:
            CallFailed, NotNative, ConnectionLost, RemoteProtocolError: As `receive`.
        """
        request_id = self.start(method, params)
        while True:
            what, value, _, _ = self.receive(request_id)
            if what == "result":
                return value

    def fileno(self) -> int:
        """Returns the socket's descriptor, to wait for it. What was read before may hold further answers."""
        return self._line.fileno()

    def close(self) -> None:
        """Ends the connection, and with it what was asked for. Idempotent."""
        self._line.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read(self) -> None:
        """Waits for bytes, and keeps what they say of requests that are under way."""
        if self._fatal is not None:
            raise self._fatal
        data = self._line.receive()
        if not data:
            raise self._ended()
        self._frames.feed(data)
        while (whole := self._frames.next()) is not None:
            request_id, said = read_frame(whole)
            self._heard = True
            if request_id in self._kept:
                self._kept[request_id].append(said)
            elif request_id == 0 and said[0] == "error":
                self._fatal = CallFailed(*said[1:])  # about the connection: no request has this id

    def _ended(self) -> Exception:
        if not self._heard:
            return NotNative(f"the daemon at {self._path} speaks only the CTDB dialect: it closed the connection")
        return ConnectionLost(f"connection to {self._path} lost: {self._line.reason}")
