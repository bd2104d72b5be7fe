"""The health of each component, by its latest monitor event, and since when it has been so. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ctdb_eventd.model import ComponentHealth, EventOutcome, RunRecord

__all__ = ["Health"]

_MOST_COMPONENTS = 1000


class Health:
    """Evaluates monitor events.

    Attributes:
        components: All components whose health is known; the same object until something changes.
    """

    def __init__(self) -> None:
        """Starts with no components."""
        self._known: dict[str, ComponentHealth] = {}
        self.components: tuple[ComponentHealth, ...] = ()

    def restore(self, components: Iterable[ComponentHealth]) -> None:
        """Restores the `components` of a previous program."""
        self._known = {health.component: health for health in components}
        self.components = tuple(self._known.values())

    def note(self, record: RunRecord) -> ComponentHealth | None:
        """Evaluates a run that wasn't cancelled; returns the component's health if it has changed."""
        if record.spec.event != "monitor":
            return None
        new = _health(record)
        known = self._known.get(new.component)
        changed = known is None or known.healthy != new.healthy
        if known is not None and not changed:
            new = attrs.evolve(new, since=known.since)
            if new == known:
                return None
        self._known.pop(new.component, None)
        self._known[new.component] = new
        if len(self._known) > _MOST_COMPONENTS:
            del self._known[next(iter(self._known))]
        self.components = tuple(self._known.values())
        return new if changed else None


def _health(record: RunRecord) -> ComponentHealth:
    failed = record.report.failed
    return ComponentHealth(
        component=record.spec.component,
        healthy=record.outcome is EventOutcome.SUCCESS,
        since=record.queued + record.waited + record.seconds,
        script=None if failed is None else failed.name,
        result=record.report.summary,
    )
