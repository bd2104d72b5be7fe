"""Names for runs that are never used twice, not by the next daemon either."""

from __future__ import annotations

import time
from itertools import count

__all__ = ["RunIds"]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class RunIds:
    """Makes names such as `mb3k9x2f-17`: the milliseconds at which the daemon started, and a number.

    Two daemons of a node can't start in the same millisecond, as the second waits for the first to be gone.
    """

    def __init__(self, started: float | None = None) -> None:
        """Starts counting; `started` is in seconds since the epoch, now by default."""
        self._start = _in_base_36(int((time.time() if started is None else started) * 1000))
        self._numbers = count(1)

    def next(self) -> str:
        """Returns the next name."""
        return f"{self._start}-{next(self._numbers)}"


def _in_base_36(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
        if not number:
            return text
