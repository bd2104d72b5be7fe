"""Keeps the beginning and the end of a script's output, the number of bytes between, and the times. Pure."""

from __future__ import annotations

import time

__all__ = ["Capture"]


_STEP = 0.01
"""Initial minimum of seconds between two recorded times."""
_MOST_TIMES = 1000


class Capture:
    """The output of one script: the first half of the limit and the last half of it are kept.

    The beginning shows how the script started, the end how it ended; the output of an endless loop is in the middle.
    """

    __slots__ = ("_dropped", "_half", "_head", "_step", "_tail", "_times")

    def __init__(self, limit: int) -> None:
        """Keeps at most `limit` bytes, not counting the line about omitted bytes."""
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._times: list[tuple[int, float]] = []  # position in the whole output, and time
        self._step = _STEP

    def feed(self, data: bytes) -> None:
        """Adds output that was just read."""
        now = time.time()
        if not self._times or abs(now - self._times[-1][1]) >= self._step:
            self._times.append((self._dropped + len(self._head) + len(self._tail), now))
            if len(self._times) > _MOST_TIMES:
                # keep half of them, so that a script that prints for hours needs no more memory than others
                del self._times[1::2]
                self._step = max(self._step, (now - self._times[0][1]) * 2 / _MOST_TIMES)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail += data
        # Cutting only at twice the size keeps the cost per byte constant.
        if len(self._tail) > 2 * self._half:
            self._cut()

    def result(self) -> bytes:
        """Returns the kept output; a line shows how many bytes were omitted."""
        self._cut()
        if not self._dropped:
            return bytes(self._head + self._tail)
        return bytes(self._head) + self._gap() + bytes(self._tail)

    def _gap(self) -> bytes:
        return f"\n[ctdb-eventd: {self._dropped} bytes of output left out here]\n".encode()

    @property
    def came(self) -> list[tuple[int, float]]:
        """Positions in `result`, and when the output from there on was read: epoch seconds, to some 10 ms, in order."""
        self._cut()
        if not self._dropped:
            return list(self._times)
        moved = len(self._gap()) - self._dropped
        return [(at if at < self._half else max(self._half, at + moved), came) for at, came in self._times]

    def _cut(self) -> None:
        excess = max(0, len(self._tail) - self._half)
        del self._tail[:excess]
        self._dropped += excess
