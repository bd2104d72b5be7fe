"""The native dialect as the core sees it, and what any dialect has to do. Sans-IO and cheap to import.

A dialect turns a method with its plain params into bytes, and bytes into what came about which request. The CTDB
dialect is in `ctdb.py`.
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
        """What is sent before the first request."""
        cancels: bool
        """A request that is under way can be taken back."""

        def encode(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
            """Encodes a request.

            Raises:
                NotSupported, InvalidRequest, LocalProtocolError: It can't be encoded; nothing is to be sent.
            """

        def receive_data(self, data: bytes, send: Callable[[bytes], None]) -> Iterator[tuple[int, Incoming]]:
            """Takes the next bytes from the broker, and yields what came about which request.

            Args:
                data: What came.
                send: Called with bytes that have to be sent before more is known about a request.

            Raises:
                RemoteProtocolError: They aren't this dialect; the stream can't be read on.
            """

        def receive_eof(self) -> Iterable[tuple[int, Incoming]]:
            """Takes the end of the connection, and returns what is known all the same about which request."""


__all__ = ["NativeDialect", "read_frame"]


class NativeDialect:
    """One connection in the native dialect."""

    name = "native"
    greeting = frames.PREFACE
    cancels = True

    def __init__(self) -> None:
        self._frames = Splitter(frames.frame_length, DEFAULT_MAX_REPLY)

    def encode(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
        """Encodes a request, of whatever msgpack can encode."""
        return frames.request(request_id, method, params)

    def receive_data(self, data: bytes, send: Callable[[bytes], None]) -> Iterator[tuple[int, Incoming]]:
        """Yields what came; never has to send anything for it."""
        self._frames.receive_data(data)
        while (frame := self._frames.next()) is not None:
            yield read_frame(frame)

    def receive_eof(self) -> Iterable[tuple[int, Incoming]]:
        """Returns nothing: what has not been answered is unknown."""
        return ()


def read_frame(frame: bytes) -> tuple[int, Incoming]:
    """Reads one frame of a broker: the id of a request, and what came about it.

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
