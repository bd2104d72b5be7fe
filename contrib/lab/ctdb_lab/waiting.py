"""Waits for a condition, with a timeout, and an explanation if it fails."""

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
    """Blocks until the condition is true. Polls, since other programs don't notify of their state.

    Args:
        condition: Called repeatedly until it returns something true.
        timeout: Seconds; the condition is checked once more after them.
        what: The expected state, for the error's text.
        explain: Called on failure only; its text, such as the end of a log, is added.
        poll: Seconds between two checks.

    Returns:
        The seconds that it took.

    Raises:
        LabError: The condition timed out.
    """
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > timeout:
            raise LabError(f"waited {timeout:g} s in vain for {what}\n{explain()}")
        time.sleep(poll)
    return time.monotonic() - begin
