"""Splits a stream into frames or packets. Sans-IO, and imports nothing: the drop-in commands use it too."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Splitter"]


class Splitter:
    """Splits a stream into frames or packets, however it is fragmented."""

    __slots__ = ("_data", "_length_of", "_limit")

    def __init__(self, length_of: Callable[[bytearray, int], int], limit: int) -> None:
        """Starts at the beginning of a stream.

        Args:
            length_of: Reads a frame's total length from its first bytes, 0 if there are too few; raises over the limit.
            limit: Maximum bytes of one frame.
        """
        self._length_of = length_of
        self._limit = limit
        self._data = bytearray()

    def receive_data(self, data: bytes) -> None:
        """Appends the next bytes."""
        self._data += data

    def next(self) -> bytes | None:
        """Returns the next whole frame or packet, None if more bytes are needed first.

        Raises:
            RemoteProtocolError: Its length is invalid; the rest of the stream can't be decoded.
        """
        length = self._length_of(self._data, self._limit)
        if not length or len(self._data) < length:
            return None
        whole = bytes(self._data[:length])
        del self._data[:length]
        return whole
