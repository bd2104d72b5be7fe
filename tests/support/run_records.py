"""What tests of the inside need again and again: records of runs, and a feed that keeps what is published."""

from __future__ import annotations

from typing import Any

from ctdb_eventd.feed import Feed
from ctdb_eventd.model import EventOutcome, EventReport, EventSpec, RunRecord

__all__ = ["RecordingFeed", "record_of", "spec_of"]


def spec_of(text: str, *, timeout: int = 30) -> EventSpec:
    """Returns what `text` says: component, event, arguments."""
    component, event, *args = text.split()
    return EventSpec(component=component, event=event, args=tuple(args), timeout=timeout, run_all=False)


def record_of(
    text: str,
    report: EventReport,
    *,
    run: str = "t-1",
    outcome: EventOutcome | None = None,
    address: str | None = None,
) -> RunRecord:
    """Returns the record of a run: half a second before its start, then one second, of which a script waited 0.25."""
    if outcome is None:
        outcome = EventOutcome.FAILED if report.summary else EventOutcome.SUCCESS
    return RunRecord(
        run=run,
        spec=spec_of(text),
        address=address,
        outcome=outcome,
        queued=1_700_000_000.0,
        waited=0.5,
        seconds=1.0,
        script_waits=0.25,
        report=report,
    )


class RecordingFeed(Feed):
    """Keeps what is published.

    Attributes:
        active: As a real one: whether there are subscribers.
        published: Kind and data of each.
    """

    def __init__(self, *, active: bool = True) -> None:
        """Starts with nothing."""
        super().__init__(lambda seconds, call: None)
        self.active = active
        self.published: list[tuple[str, dict[str, Any]]] = []

    @property
    def kinds(self) -> list[str]:
        """The kinds of what was published."""
        return [kind for kind, _ in self.published]

    def wants_output(self, run: str, component: str, event: str) -> bool:
        """Somebody wants it if there is somebody."""
        return self.active

    def publish(
        self,
        kind: str,
        run: str | None,
        component: str | None,
        event: str | None,
        args: tuple[str, ...],
        data: dict[str, Any],
        *,
        address: str | None = None,
        record: RunRecord | None = None,
    ) -> None:
        """Keeps it."""
        self.published.append((kind, {**data, "run": run, "component": component, "event": event, "args": args}))
