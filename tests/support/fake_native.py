"""A broker that speaks the native dialect and answers what the test wants: for what a real one can't be made to do."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from threaded_listener import ThreadedListener

from ctdb_eventd.protocol import frames

Handler = Callable[["Peer", dict[str, Any]], Any]


class Refused(Exception):
    """What a handler raises to answer with an error."""

    def __init__(self, code: str, message: str, **data: Any) -> None:
        super().__init__(code, message, data)
        self.frame_content = (code, message, data)


class Peer:
    """A client's connection."""

    def __init__(self, connection: socket.socket, broker: FakeBroker) -> None:
        self.connection = connection
        self.broker = broker
        self.request = 0
        self._number = 40
        self._read = connection.makefile("rb")

    def note(self, kind: str, **data: Any) -> None:
        """Sends a note about the request in hand."""
        self._number += 1
        self.connection.sendall(frames.note(self.request, kind, self._number, data))

    def receive(self) -> tuple[str, dict[str, Any]] | None:
        """Waits for the next request and returns its method and parameters; None at the end."""
        head = self._read.read(4)
        if len(head) < 4:
            return None
        self.request, content = frames.unpack(head + self._read.read(int.from_bytes(head, "big")))
        return content["method"], content.get("params", {})

    def serve(self) -> None:
        """Answers until the client or the test has had enough."""
        with self._read, contextlib.suppress(OSError, ValueError):
            if self._read.read(8) != frames.PREFACE or self.broker.old:
                return
            while (received := self.receive()) is not None:
                self.broker.requests.append(received)
                answer = self.answer(*received)
                if answer is None:
                    return
                self.connection.sendall(answer)

    def answer(self, method: str, params: dict[str, Any]) -> bytes | None:
        """Returns the reply to a request; None to hang up."""
        handler = self.broker.handlers.get(method)
        if handler is None:
            return frames.error(self.request, "ENOSYS", f"no method {method}", {"kind": "NoSuchMethod"})
        request = self.request
        try:
            value = handler(self, params)
        except Refused as refused:
            return frames.error(request, *refused.frame_content)
        except HungUp:
            return None
        except Later:
            return b""
        return frames.result(request, frames.packed(value))


class HungUp(Exception):
    """What a handler raises to close the connection without an answer."""


class Later(Exception):
    """What a handler raises to leave a request without an answer."""


class FakeBroker:
    """Listens, and gives each client a thread.

    Attributes:
        handlers: Method → what answers it.
        requests: What was asked, in order.
        old: It is CTDB's own daemon, which closes the connection at the preface.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handlers: dict[str, Handler] = {"ping": lambda peer, params: {}}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.old = False
        self._listener = ThreadedListener(path, lambda connection: Peer(connection, self).serve())
        self.hang_up = self._listener.hang_up
        self.close = self._listener.close

    def reply(self, method: str, value: Any) -> None:
        """Answers every such request with this value."""
        self.handlers[method] = lambda peer, params: value

    def refuse(self, method: str, code: str, message: str, **data: Any) -> None:
        """Refuses every such request."""

        def handler(peer: Peer, params: dict[str, Any]) -> Any:
            raise Refused(code, message, **data)

        self.handlers[method] = handler

    def asked(self, method: str) -> dict[str, Any]:
        """Returns the parameters of the last such request."""
        return next(params for name, params in reversed(self.requests) if name == method)
