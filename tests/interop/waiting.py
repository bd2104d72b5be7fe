"""Waiting for a condition: bounded, and with an explanation when it doesn't come true."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

POLL_SECONDS = 0.08


def wait_until(
    condition: Callable[[], object], timeout: float, what: str, explain: Callable[[], str] = lambda: ""
) -> None:
    """Blocks until the condition holds. Other programs' state can't be subscribed to, so it is asked for.

    Args:
        condition: Asked every 80 ms; anything true ends the wait.
        timeout: Seconds; the condition is asked once more when they are over.
        what: What is waited for, for the failure's text.
        explain: Called on failure only; its text, such as the end of a log, is added.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}\n{explain()}")
        time.sleep(POLL_SECONDS)


def has_ended(pidfd: int, timeout: float) -> bool:
    """Waits for the end of the process behind a pidfd; tells whether it came within `timeout` seconds."""
    readable, _, _ = select.select([pidfd], [], [], timeout)
    return bool(readable)


def kill_and_watch(victim: int, watched: int, signal: int, timeout: float) -> bool:
    """Sends a signal to one process and tells whether another one ends within `timeout` seconds."""
    pidfd = os.pidfd_open(watched)
    try:
        os.kill(victim, signal)
        return has_ended(pidfd, timeout)
    finally:
        os.close(pidfd)
