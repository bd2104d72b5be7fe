"""Cuts a stream into whole frames or packets. Sans-IO, and imports nothing: the drop-in commands use it too."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Splitter"]


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

    def receive_data(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._data += data

    def next(self) -> bytes | None:
        """Returns the next whole frame or packet, None if more bytes are needed first.

        Raises:
            RemoteProtocolError: Its length is not possible; the stream can't be read on.
        """
        length = self._length_of(self._data, self._limit)
        if not length or len(self._data) < length:
            return None
        whole = bytes(self._data[:length])
        del self._data[:length]
        return whole
