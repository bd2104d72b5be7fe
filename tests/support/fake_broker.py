"""A broker that the test controls request by request, for behaviour that a real one can't be made to show."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import anyio.to_thread
from nodes import TIMEOUT
from threaded_listener import ThreadedListener

from ctdb_event import Which
from ctdb_eventd.protocol import frames

__all__ = [
    "EVERYTHING",
    "HELLO",
    "SOMETHING",
    "UPGRADED",
    "FakeBroker",
    "ReceivedRequest",
    "run_value",
    "running_broker",
]

HELLO = {
    "version": 1,
    "server": "ctdb-eventd 9.9.9",
    "pid": 42,
    "started": 1.5,
    "methods": ["hello", "ping"],
    "limits": {"packet": 1 << 20, "requests": 16384, "unsent": 1 << 20},
    "of later": True,
}
UPGRADED: dict[str, Any] = {"former": "0.1", "version": "0.2", "waited": 1.5, "seconds": 0.25}
"""A result of `upgrade`."""
EVERYTHING: dict[str, Any] = {
    **dict.fromkeys(("component", "event", "address", "since", "until", "slower", "uid")),
    **{"failed": False, "by_ctdbd": False},
}
"""The parameters of a `history` call without any filter."""
SOMETHING: Which = {
    "component": "c",
    "event": "e",
    "address": "10.0.0.1",
    "failed": True,
    "since": 1.5,
    "until": 2,
    "slower": 0.5,
    "uid": 1000,
    "by_ctdbd": True,
}


def run_value(**changes: Any) -> dict[str, Any]:
    """A run as it comes over the wire."""
    value: dict[str, Any] = {
        "run": "abc-1",
        "component": "legacy",
        "event": "monitor",
        "args": [],
        "address": None,
        "outcome": "success",
        "summary": 0,
        "queued": 1700000000.5,
        "waited": 0.25,
        "seconds": 1.5,
        "scripts": [],
    }
    return {**value, **changes}


class ReceivedRequest:
    """A request, and the connection on which it was received.

    Attributes:
        following: Waits for the next request on the connection, for a rule that handles that too; None at its end.
    """

    def __init__(
        self, connection: socket.socket, content: dict[str, Any], following: Callable[[], ReceivedRequest | None]
    ) -> None:
        self.connection = connection
        self.following = following
        self.id: int = content["id"]
        self.method: str = content["method"]
        self.params: dict[str, Any] = content.get("params", {})
        self._number = 0

    def result(self, value: Any) -> None:
        """Answers it."""
        self.connection.sendall(frames.result(self.id, frames.packed(value)))

    def error(self, code: str, message: str = "it is so", **data: Any) -> None:
        """Refuses it."""
        self.connection.sendall(frames.error(self.id, code, message, data))

    def note(self, kind: str, **data: Any) -> None:
        """Sends a note about it."""
        self._number += 1
        self.connection.sendall(frames.note(self.id, kind, self._number, {"time": 1.0, **data}))

    def raw(self, data: bytes) -> None:
        """Sends any bytes."""
        self.connection.sendall(data)

    def hang_up(self) -> None:
        """Closes the connection."""
        self.connection.shutdown(socket.SHUT_RDWR)


def _read_frame(stream: BinaryIO) -> bytes:
    """Returns the next whole frame; empty if the client closes the connection before its end."""
    head = stream.read(4)
    body = stream.read(int.from_bytes(head, "big"))
    return head + body if len(head) == 4 and len(body) == int.from_bytes(head, "big") else b""


class FakeBroker:
    """Listens on a socket. A request without a rule is queued until the test calls `next`, or is refused.

    Attributes:
        rules: By method, how a request is handled as soon as it is received; `reply` and `refuse` make the usual ones.
        replies: By method, the value given to `reply`.
        requests: Method and parameters of all requests, in order.
        old: Behave like CTDB's own daemon, which closes the connection at the preface.
        stalled: Set when the rule `stall` has stopped reading.
        resume: When set, a stalled broker goes on.
    """

    def __init__(self, path: Path, *, refuses_others: bool = False) -> None:
        """Listens; with `refuses_others` every method without a rule is refused as unknown."""
        self.path = os.fspath(path)
        self.replies: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.old = False
        self._refuses_others = refuses_others
        self.rules: dict[str, Callable[[ReceivedRequest], None]] = {"hello": lambda asked: asked.result(HELLO)}
        self.stalled, self.resume = threading.Event(), threading.Event()
        self._asked: queue.Queue[ReceivedRequest | None] = queue.Queue()
        self._listener = ThreadedListener(path, self._serve)
        self.hang_up = self._listener.hang_up

    def reply(self, method: str, value: Any) -> None:
        """Answers every such request with this value."""
        self.replies[method] = value
        self.rules[method] = lambda asked: asked.result(value)

    def refuse(self, method: str, code: str, message: str, **data: Any) -> None:
        """Refuses every such request."""
        self.rules[method] = lambda asked: asked.error(code, message, **data)

    def asked(self, method: str) -> dict[str, Any]:
        """Returns the parameters of the last such request."""
        return next(params for name, params in reversed(self.requests) if name == method)

    @property
    def connections(self) -> int:
        """How many were accepted so far."""
        return len(self._listener.connections)

    def next(self, method: str) -> ReceivedRequest:
        """Waits for the next request without a rule, which must have this method."""
        asked = self._asked.get(timeout=TIMEOUT)
        assert asked is not None, f"the client closed the connection, {method} was expected"
        assert asked.method == method, f"{asked.method} {asked.params} came, {method} was expected"
        return asked

    def gone(self) -> None:
        """Waits until a client has closed its connection without a further request."""
        asked = self._asked.get(timeout=TIMEOUT)
        assert asked is None, f"{asked.method} {asked.params} came, the end was expected"

    def stall(self, asked: ReceivedRequest) -> None:
        """A rule: stops reading until `resume` is set, and then answers."""
        self.stalled.set()
        assert self.resume.wait(TIMEOUT)
        asked.result({})

    async def next_async(self, method: str) -> ReceivedRequest:
        """As `next`, without blocking the event loop."""
        return await anyio.to_thread.run_sync(self.next, method, abandon_on_cancel=True)

    async def gone_async(self) -> None:
        """As `gone`, without blocking the event loop."""
        await anyio.to_thread.run_sync(self.gone, abandon_on_cancel=True)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("rb") as stream:

            def receive() -> ReceivedRequest | None:
                if not (frame := _read_frame(stream)):
                    return None
                asked = ReceivedRequest(connection, frames.unpack(frame)[1], receive)
                self.requests.append((asked.method, asked.params))
                return asked

            if stream.read(len(frames.PREFACE)) == frames.PREFACE and not self.old:
                while (asked := receive()) is not None:
                    self._handle(asked)
        self._asked.put(None)

    def _handle(self, asked: ReceivedRequest) -> None:
        rule = self.rules.get(asked.method)
        if rule is not None:
            rule(asked)
        elif self._refuses_others:
            asked.error("ENOSYS", f"no method {asked.method}", kind="NoSuchMethod")
        else:
            self._asked.put(asked)

    def close(self) -> None:
        """Stops it and joins its threads."""
        self.resume.set()
        self._listener.close()


@contextlib.contextmanager
def running_broker(path: Path) -> Iterator[FakeBroker]:
    """Runs a fake broker for the time of the block."""
    broker = FakeBroker(path)
    try:
        yield broker
    finally:
        broker.close()
