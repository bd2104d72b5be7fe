"""The native dialect as the core sees it, and what any dialect has to do. Sans-IO and cheap to import.

A dialect turns a method with its plain params into bytes, and bytes into what they say about which request. The CTDB
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

    Said = tuple[str, Any, Any, Any]
    """`("note", kind, number, data)`, `("result", value, None, None)` or `("error", code, message, data)`."""

    class Dialect(Protocol):
        """One connection's encoder and decoder."""

        name: str
        """`native` or `ctdb`."""
        greeting: bytes
        """What is sent before the first request."""
        cancels: bool
        """A request that is under way can be taken back."""

        def ask(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
            """Encodes a request.

            Raises:
                NotSupported, InvalidRequest, LocalProtocolError: It can't be encoded; nothing is to be sent.
            """

        def receive_data(self, data: bytes, send: Callable[[bytes], None]) -> Iterator[tuple[int, Said]]:
            """Takes the next bytes from the broker, and yields what they say about which request.

            Args:
                data: What came.
                send: Called with bytes that have to be sent before more is known about a request.

            Raises:
                RemoteProtocolError: They aren't this dialect; the stream can't be read on.
            """

        def last_words(self) -> Iterable[tuple[int, Said]]:
            """Takes the end of the connection, and returns what is known all the same about which request."""


__all__ = ["NativeDialect", "read_frame"]


class NativeDialect:
    """One connection in the native dialect."""

    name = "native"
    greeting = frames.PREFACE
    cancels = True

    def __init__(self) -> None:
        self._frames = Splitter(frames.frame_length, DEFAULT_MAX_REPLY)

    def ask(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
        """Encodes a request, of whatever msgpack can encode."""
        return frames.request(request_id, method, params)

    def receive_data(self, data: bytes, send: Callable[[bytes], None]) -> Iterator[tuple[int, Said]]:
        """Yields what came; never has to send anything for it."""
        self._frames.receive_data(data)
        while (frame := self._frames.next()) is not None:
            yield read_frame(frame)

    def last_words(self) -> Iterable[tuple[int, Said]]:
        """Returns nothing: what has not been answered is unknown."""
        return ()


def read_frame(frame: bytes) -> tuple[int, Said]:
    """Reads what a broker says in one frame, and about which request.

    Raises:
        RemoteProtocolError: It is no reply, error or note.
    """
    request_id, content = frames.unpack(frame)
    said: Said
    if "note" in content:
        said = ("note", content["note"], content.get("number"), content.get("data"))
        right = isinstance(said[1], str) and isinstance(said[2], int) and isinstance(said[3], dict)
    elif "error" in content:
        error = content["error"] if isinstance(content["error"], dict) else {}
        said = ("error", error.get("code"), error.get("message"), error.get("data") or {})
        right = isinstance(said[1], str) and isinstance(said[2], str) and isinstance(said[3], dict)
    else:
        said, right = ("result", content.get("result"), None, None), "result" in content
    if not right:
        raise RemoteProtocolError(f"frame {shown(content)} is no reply, error or note")
    return request_id, said
