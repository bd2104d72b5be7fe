"""Whether each component is healthy: what its latest monitor event says, and since when. Pure."""

from __future__ import annotations

import attrs

from ctdb_eventd.model import EventOutcome, RunRecord

__all__ = ["ComponentHealth", "Health"]

_MOST_COMPONENTS = 1000


@attrs.frozen(kw_only=True)
class ComponentHealth:
    """One component's health."""

    component: str
    healthy: bool
    """Its latest monitor event succeeded."""
    since: float
    """Since when it has been so: seconds since the epoch."""
    script: str | None
    """The script that failed; None if it is healthy."""
    result: int
    """That script's result, 0 if it is healthy."""


class Health:
    """Follows the monitor events."""

    def __init__(self) -> None:
        """Starts with nothing known."""
        self._known: dict[str, ComponentHealth] = {}

    @property
    def components(self) -> tuple[ComponentHealth, ...]:
        """Every component whose health is known."""
        return tuple(self._known.values())

    def note(self, record: RunRecord) -> ComponentHealth | None:
        """Takes a run that came to an end of its own; returns the component's health if that changes it."""
        if record.spec.event != "monitor":
            return None
        new = _health(record)
        known = self._known.get(new.component)
        if known is not None and known.healthy == new.healthy:
            new = attrs.evolve(new, since=known.since)
        self._known[new.component] = new
        if len(self._known) > _MOST_COMPONENTS:
            del self._known[next(iter(self._known))]
        return new if known is None or known.healthy != new.healthy else None


def _health(record: RunRecord) -> ComponentHealth:
    failed = next((script for script in reversed(record.report.scripts) if script.failed), None)
    return ComponentHealth(
        component=record.spec.component,
        healthy=record.outcome is EventOutcome.SUCCESS,
        since=record.queued + record.waited + record.seconds,
        script=None if failed is None else failed.name,
        result=record.report.summary,
    )
