"""The latest result of each event of each component, in memory. Pure."""

from __future__ import annotations

import attrs

from ctdb_eventd.errors import NeverRan
from ctdb_eventd.model import NOT_REACHED, EventReport, ScriptReport

__all__ = ["LatestResults"]

_MOST_EVENTS = 1000
"""Events remembered. There are a dozen; whoever makes up names must not fill the memory with them."""


class LatestResults:
    """Remembers how each event went when it last ran to an end of its own."""

    def __init__(self) -> None:
        """Starts empty."""
        self._reports: dict[tuple[str, str], tuple[EventReport, int | None]] = {}

    def record(self, component: str, event: str, report: EventReport, batch: int | None = None) -> None:
        """Stores a report; a script that wasn't reached this time keeps what is known of it from before.

        Args:
            component: Where it ran.
            event: What ran.
            report: How it went.
            batch: Runs with the same number went side by side. Of them the worst is the event's latest result: a
                failed address must not be hidden by the next one that went well.
        """
        key = component, event
        former, former_batch = self._reports.pop(key, (None, None))
        if former is not None and former is not report:
            if batch is not None and batch == former_batch and former.summary and not report.summary:
                report = former
            else:
                report = _merge(report, former)
        self._reports[key] = report, batch
        if len(self._reports) > _MOST_EVENTS:
            del self._reports[next(iter(self._reports))]

    def get(self, component: str, event: str) -> EventReport:
        """Returns the latest report.

        Raises:
            NeverRan: There is none.
        """
        try:
            return self._reports[component, event][0]
        except KeyError:
            raise NeverRan(component, event) from None


def _merge(report: EventReport, former: EventReport) -> EventReport:
    if not report.scripts or report.scripts[-1].result != NOT_REACHED:
        return report
    known: dict[str, ScriptReport] = {script.name: script for script in former.scripts}
    scripts = (known.get(new.name, new) if new.result == NOT_REACHED else new for new in report.scripts)
    return attrs.evolve(report, scripts=tuple(scripts))
