"""Waiting for a condition: bounded, and with an explanation when it doesn't come true."""

from __future__ import annotations

import time
from collections.abc import Callable

from ctdb_lab.errors import LabError

__all__ = ["POLL_SECONDS", "wait_until"]

POLL_SECONDS = 0.1


def wait_until(
    condition: Callable[[], object],
    timeout: float,
    what: str,
    explain: Callable[[], str] = lambda: "",
    *,
    poll: float = POLL_SECONDS,
) -> float:
    """Blocks until the condition holds. Other programs' state can't be subscribed to, so it is asked for.

    Args:
        condition: Asked again and again; anything true ends the wait.
        timeout: Seconds; the condition is asked once more when they are over.
        what: What is waited for, for the failure's text.
        explain: Called on failure only; its text, such as the end of a log, is added.
        poll: Seconds between two questions.

    Returns:
        The seconds that it took.

    Raises:
        LabError: The time was over first.
    """
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > timeout:
            raise LabError(f"waited {timeout:g} s in vain for {what}\n{explain()}")
        time.sleep(poll)
    return time.monotonic() - begin
