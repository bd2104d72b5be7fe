"""The interface of a dialect, and its implementation for the native one. Sans-IO and cheap to import.

A dialect encodes requests, and decodes the broker's bytes into messages about requests. The CTDB dialect is in
`ctdb.py`.
"""

from __future__ import annotations

from ctdb_event.framing import Splitter
from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.packet import DEFAULT_MAX_REPLY
from ctdb_eventd.text import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Protocol

    Incoming = tuple[str, Any, Any, Any]
    """`("note", kind, number, data)`, `("result", value, None, None)` or `("error", code, message, data)`."""

    class Dialect(Protocol):
        """One connection's encoder and decoder."""

        name: str
        """`native` or `ctdb`."""
        greeting: bytes
        """Bytes to send before the first request."""
        cancels: bool
        """A pending request can be cancelled."""

        def encode(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
            """Encodes a request.

            Raises:
                NotSupported, InvalidRequest, LocalProtocolError: It can't be encoded; nothing is to be sent.
            """

        def receive_data(self, data: bytes, send: Callable[[bytes], None]) -> Iterator[tuple[int, Incoming]]:
            """Decodes the next bytes from the broker, and yields request ids with their messages.

            Args:
                data: The received bytes.
                send: Called with bytes that have to be sent before a request can be answered.

            Raises:
                RemoteProtocolError: They are invalid in this dialect; the rest of the stream can't be decoded.
            """

        def receive_eof(self) -> Iterable[tuple[int, Incoming]]:
            """Handles the end of the connection; returns messages about requests that can be answered nevertheless."""


__all__ = ["NativeDialect", "read_frame"]


class NativeDialect:
    """One connection in the native dialect."""

    name = "native"
    greeting = frames.PREFACE
    cancels = True

    def __init__(self) -> None:
        self._frames = Splitter(frames.frame_length, DEFAULT_MAX_REPLY)

    def encode(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
        """Encodes a request; params may be whatever msgpack can encode."""
        return frames.request(request_id, method, params)

    def receive_data(self, data: bytes, send: Callable[[bytes], None]) -> Iterator[tuple[int, Incoming]]:
        """Yields messages; never calls `send`."""
        self._frames.receive_data(data)
        while (frame := self._frames.next()) is not None:
            yield read_frame(frame)

    def receive_eof(self) -> Iterable[tuple[int, Incoming]]:
        """Returns nothing: results of unanswered requests are unknown."""
        return ()


def read_frame(frame: bytes) -> tuple[int, Incoming]:
    """Decodes one frame from the broker: a request id, and a message about that request.

    Raises:
        RemoteProtocolError: It is no reply, error or note.
    """
    request_id, content = frames.unpack(frame)
    incoming: Incoming
    if "note" in content:
        incoming = ("note", content["note"], content.get("number"), content.get("data"))
        right = isinstance(incoming[1], str) and isinstance(incoming[2], int) and isinstance(incoming[3], dict)
    elif "error" in content:
        error = content["error"] if isinstance(content["error"], dict) else {}
        incoming = ("error", error.get("code"), error.get("message"), error.get("data") or {})
        right = isinstance(incoming[1], str) and isinstance(incoming[2], str) and isinstance(incoming[3], dict)
    else:
        incoming, right = ("result", content.get("result"), None, None), "result" in content
    if not right:
        raise RemoteProtocolError(f"frame {shown(content)} is no reply, error or note")
    return request_id, incoming
