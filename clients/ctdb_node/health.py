"""Decides by the results of monitor events whether a node is healthy. No I/O."""

from __future__ import annotations

import attrs

__all__ = ["Health", "Result", "after"]


@attrs.frozen
class Result:
    """The result of an event."""

    outcome: str
    """`success`, `failed`, `timed-out`, or `cancelled` if another event was more important."""
    reason: str = ""
    """Unless it succeeded: the script that failed, and its output."""


@attrs.frozen
class Health:
    """A node's health; it isn't healthy until its first monitor event has succeeded."""

    healthy: bool = False
    reason: str = "no monitor event has succeeded yet"
    timeouts: int = 0
    """How many consecutive monitor events have timed out."""


def after(health: Health, result: Result, most_timeouts: int) -> Health:
    """Returns the health after another monitor event.

    Args:
        health: The health before it.
        result: Its result.
        most_timeouts: MonitorTimeoutCount: so many consecutive timeouts make a node unhealthy, fewer change nothing.
    """
    if result.outcome == "success":
        return Health(healthy=True, reason="")
    if result.outcome == "cancelled":
        return health
    if result.outcome == "timed-out":
        timeouts = health.timeouts + 1
        if timeouts < most_timeouts:
            return attrs.evolve(health, timeouts=timeouts)
        return Health(healthy=False, reason=result.reason, timeouts=timeouts)
    return Health(healthy=False, reason=result.reason)
