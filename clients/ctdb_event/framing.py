"""What both clients share of the stream: cutting it into whole frames or packets, and what a native frame says.

Sans-IO and cheap to import: no more than the grammar of the protocol.
"""

from __future__ import annotations

from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.protocol import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Splitter", "read_frame"]


class Splitter:
    """Cuts a stream into whole frames or packets, whatever pieces it comes in."""

    __slots__ = ("_data", "_length_of", "_limit")

    def __init__(self, length_of: Callable[[bytearray, int], int], limit: int) -> None:
        """Starts at the beginning of a stream.

        Args:
            length_of: Reads a whole length from the first bytes, 0 if there are too few; raises over the limit.
            limit: Most bytes of one whole.
        """
        self._length_of = length_of
        self._limit = limit
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Takes the next bytes; call `next` until it returns None."""
        self._data += data

    def next(self) -> bytes | None:
        """Returns the next whole frame, None if more bytes are needed first.

        Raises:
            RemoteProtocolError: Its length can't be; the stream can't be read on.
        """
        length = self._length_of(self._data, self._limit)
        if not length or len(self._data) < length:
            return None
        whole = bytes(memoryview(self._data)[:length])
        del self._data[:length]
        return whole


def read_frame(whole: bytes) -> tuple[int, tuple[str, Any, Any, Any]]:
    """Reads what a broker says in one frame.

    Returns:
        The request's id, and one of `("note", kind, number, data)`, `("result", value, None, None)` and
        `("error", code, message, data)`.

    Raises:
        RemoteProtocolError: It says none of these.
    """
    request_id, content = frames.unpack(whole)
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
        raise RemoteProtocolError(f"frame {content!r:.300} is no reply, error or note")
    return request_id, said
