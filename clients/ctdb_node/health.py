"""What the results of monitor events make of a node. No I/O."""

from __future__ import annotations

import attrs

__all__ = ["Health", "Result", "after"]


@attrs.frozen
class Result:
    """How an event went."""

    outcome: str
    """`success`, `failed`, `timed-out`, or `cancelled` if another event was more important."""
    reason: str = ""
    """If it is no success: the script, and what it printed."""


@attrs.frozen
class Health:
    """Of a node, which isn't healthy before its first monitor event has succeeded."""

    healthy: bool = False
    reason: str = "no monitor event has succeeded yet"
    timeouts: int = 0
    """So many monitor events in a row took too long."""


def after(health: Health, result: Result, most_timeouts: int) -> Health:
    """Returns the health after another monitor event.

    Args:
        health: Before it.
        result: How it went.
        most_timeouts: The tunable MonitorTimeoutCount: so many in a row make a node unhealthy, fewer change nothing.
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
