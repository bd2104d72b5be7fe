"""Records of runs, and a feed that records what is published, for unit tests of the daemon."""

from __future__ import annotations

from typing import Any

from ctdb_eventd.feed import Feed
from ctdb_eventd.model import EventOutcome, EventReport, EventSpec, RunRecord

__all__ = ["RecordingFeed", "record_of", "spec_of"]


def spec_of(text: str, *, timeout: int = 30) -> EventSpec:
    """Makes a request from its words: component, event, arguments."""
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
    """Returns the record of a run that was queued for 0.5 s and took 1 s, of which a script waited 0.25 s for locks."""
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
    """Records what is published, and sends nothing.

    Attributes:
        active: Whether there are subscribers.
        published: Kind and data of each notification.
    """

    def __init__(self, *, active: bool = True) -> None:
        """Nothing is published yet."""
        super().__init__(lambda seconds, call: None)
        self.active = active
        self.published: list[tuple[str, dict[str, Any]]] = []

    @property
    def kinds(self) -> list[str]:
        """The kinds of the published notifications, in order."""
        return [kind for kind, _ in self.published]

    def wants_output(self, run: str, component: str, event: str) -> bool:
        """Every subscriber wants output."""
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
        """Records it."""
        self.published.append((kind, {**data, "run": run, "component": component, "event": event, "args": args}))
