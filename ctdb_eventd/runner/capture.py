"""Keeps the head and the tail of a script's output, and how much lies between. Pure."""

from __future__ import annotations

__all__ = ["Capture"]


class Capture:
    """Output of one script, bounded: the first half of the limit and the last half of it are kept.

    The head says how it began, the tail how it ended; what a script that loops says a million times is in the middle.
    """

    __slots__ = ("_dropped", "_half", "_head", "_tail")

    def __init__(self, limit: int) -> None:
        """Keeps at most `limit` bytes, the line about what is missing not counted."""
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        """Takes what the script has just printed."""
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail += data
        # Cutting at twice the size and not at every call keeps the cost per byte constant.
        if len(self._tail) > 2 * self._half:
            self._cut()

    def result(self) -> bytes:
        """Returns what was kept; where something is missing, a line says how much."""
        if len(self._tail) > self._half:
            self._cut()
        if not self._dropped:
            return bytes(self._head + self._tail)
        gap = f"\n[ctdb-eventd: {self._dropped} bytes of output left out here]\n"
        return bytes(self._head) + gap.encode() + bytes(self._tail)

    def _cut(self) -> None:
        excess = len(self._tail) - self._half
        del self._tail[:excess]
        self._dropped += excess
