"""A thin, blocking connection that speaks the native dialect: a plain socket, frames, plain values.

For programs that must start fast: imports socket, select, msgpack and the grammar, nothing else. Whoever has time to
spare uses `Client` or `connect`, which know the CTDB dialect too and return typed results.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from select import POLLIN, POLLOUT, poll

from ctdb_event.framing import Splitter, move, read_frame
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.packet import DEFAULT_MAX_REPLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

__all__ = ["CallFailed", "ConnectionLost", "Line", "NotNative", "Wire", "refuses"]

_RECEIVE_SIZE = 1 << 16
_SOON = 1.0
"""Seconds within which a daemon of either kind answers, or hangs up, unless it is hung itself."""


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
    """The daemon closes connections at the preface: it is CTDB's own, which speaks only the CTDB dialect."""


class ConnectionLost(Exception):
    """The connection ended before the answer; what became of the request is unknown."""


class Line:
    """A blocking socket that sends whole frames, and knows when an interruption has put it out of step.

    A signal handler may raise (KeyboardInterrupt) at any point. What is received is never lost by that. What part of a
    frame was sent can't be known if it happens in the middle; then the line is ended.
    """

    __slots__ = ("_sending", "_socket", "_take_in", "reason")

    def __init__(self, path: str, take_in: Callable[[Iterable[bytes]], bool]) -> None:
        """Connects.

        Args:
            path: Of the socket.
            take_in: Keeps what comes, as `Splitter.take` does.

        Raises:
            OSError: It can't.
        """
        self._take_in = take_in
        self._sending = False
        self.reason = "closed by the daemon"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise

    def send(self, say: Callable[[], bytes]) -> None:
        """Sends all of it, and takes in meanwhile what comes, as the peer may wait for that.

        A peer that has gone is not told here but by `receive`: what it sent before says more.

        Args:
            say: Returns what is to be sent, and forgets it. When it is called, the line counts as sending.

        Raises:
            ConnectionLost: The line was put out of step, or closed.
        """
        self._check()
        self._sending = True
        left = memoryview(say())
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

    def receive(self) -> bool:
        """Waits for bytes and takes them in; False at the end of the connection.

        Raises:
            ConnectionLost: The line was put out of step, or closed.
        """
        self._check()
        self._wait(POLLIN)
        return self._take()

    def fileno(self) -> int:
        """Returns the socket's descriptor."""
        return self._socket.fileno()

    def hang_up(self) -> None:
        """Ends the connection for both sides; a thread that waits for it learns it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended

    def close(self) -> None:
        """Ends the connection. Idempotent."""
        self.reason = "it was closed here"
        self._socket.close()

    def _check(self) -> None:
        if self._sending:
            self.close()
            self.reason = "an interruption put it out of step"
            self._sending = False
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
        try:
            # from the kernel into the keeper's memory in one step, see framing.py
            return self._take_in(map(self._socket.recv, (_RECEIVE_SIZE,), (socket.MSG_DONTWAIT,)))
        except BlockingIOError:
            return True
        except OSError as error:
            self.reason = error.strerror or self.reason
            return False


class Wire:
    """One connection in the native dialect. Not for several threads at a time.

    A signal handler may raise (KeyboardInterrupt) in any method but the constructor, and the connection can be used
    on; only if that falls in the middle of sending a request it is lost.
    """

    __slots__ = ("_fatal", "_frames", "_heard", "_kept", "_last", "_line", "_path")

    def __init__(self, path: str) -> None:
        """Connects and sends the preface. Whether the daemon knows this dialect shows at the first `receive`.

        Raises:
            OSError: It can't connect.
        """
        self._path = path
        self._frames = Splitter(frames.frame_length, DEFAULT_MAX_REPLY, read_frame)
        self._kept: dict[int, deque[tuple[int, tuple[str, Any, Any, Any]]]] = {}
        self._last = 0
        self._heard = False
        self._fatal: CallFailed | None = None
        self._line = Line(path, self._frames.take)
        self._line.send(lambda: frames.PREFACE)

    def start(self, method: str, params: Mapping[str, Any]) -> int:
        """Sends a request, without waiting for its answer.

        Returns:
            Its id, for `receive`.

        Raises:
            LocalProtocolError: `params` can't be said.
            ConnectionLost: This connection was closed.
        """
        request_id = self._last + 1
        data = frames.request(request_id, method, params)
        # before it is sent: interrupted afterwards, the next request must not get this one's answer
        self._last = request_id
        self._kept[request_id] = deque()
        self._line.send(lambda: data)
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
        said = kept[0][1]
        if said[0] == "note":
            del kept[0]  # not by a call, behind which a signal handler could still run
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

    def hang_up(self) -> None:
        """Ends the connection from another thread: whoever waits for an answer gets ConnectionLost. Idempotent."""
        self._heard = True  # it is no daemon that hangs up
        self._line.hang_up()

    def close(self) -> None:
        """Ends the connection, and with it what was asked for. Idempotent."""
        self._line.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read(self) -> None:
        """Waits for the next frame, and keeps what it says if it is about a request that is under way."""
        if self._fatal is not None:
            raise self._fatal
        while (hand := self._frames.next()) is None:
            if not self._line.receive():
                raise self._ended()
        self._heard = True
        request_id, said = hand[0]
        if request_id in self._kept:
            move(hand, self._kept[request_id])
        elif request_id == 0 and said[0] == "error":
            self._fatal = CallFailed(*said[1:])  # about the connection: no request has this id
        hand.clear()

    def _ended(self) -> Exception:
        # Twice: what waits in the queue of a daemon that is being killed ends without a word too, but only once.
        if not self._heard and _hangs_up(self._path) and _hangs_up(self._path):
            from ctdb_event.refusal import NOT_ALLOWED, may_not

            if refuses(self._path):
                text = may_not(f"ask the event daemon at {self._path}")
                return CallFailed("EACCES", text, {"kind": NOT_ALLOWED})
            return NotNative(f"the daemon at {self._path} speaks only the CTDB dialect: it closed the connection")
        return ConnectionLost(f"connection to {self._path} lost: {self._line.reason}")


def _hangs_up(path: str) -> bool:
    """Tells whether who listens there now hangs up on the preface, without a word and at once.

    A connection that ended before the first word does not tell: our own daemon is silent too until it has an answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_SOON)
        try:
            probe.connect(path)
        except OSError:
            return False
        try:
            probe.sendall(frames.PREFACE + frames.request(1, "ping", {}))
            return not probe.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True


def refuses(path: str) -> bool:
    """Tells whether the daemon hangs up on this user whatever it is asked.

    Ours does so on a user who may do nothing, before it is asked; CTDB's own only at bytes that it can't read.
    """
    try:
        allowed = 0, os.stat(path).st_uid  # the socket belongs to the daemon's own user
    except OSError:
        return False
    # twice, as above
    return os.geteuid() not in allowed and _hangs_up_unasked(path) and _hangs_up_unasked(path)


def _hangs_up_unasked(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_SOON)
        try:
            probe.connect(path)
            return not probe.recv(1)
        except ConnectionResetError:
            return True
        except OSError:
            return False
