"""The health of each component, by its latest monitor event, and since when it has been so. Pure."""

from __future__ import annotations

from collections.abc import Iterable

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
        component, report = record.spec.component, record.report
        failed = report.failed
        script, result = None if failed is None else failed.name, report.summary
        healthy = record.outcome is EventOutcome.SUCCESS
        known = self._known.get(component)
        changed = known is None or known.healthy != healthy
        if known is None or changed:
            since = record.queued + record.waited + record.seconds
        elif (known.script, known.result) == (script, result):
            return None
        else:
            since = known.since
        self._known.pop(component, None)
        self._known[component] = new = ComponentHealth(
            component=component, healthy=healthy, since=since, script=script, result=result
        )
        if len(self._known) > _MOST_COMPONENTS:
            del self._known[next(iter(self._known))]
        self.components = tuple(self._known.values())
        return new if changed else None
