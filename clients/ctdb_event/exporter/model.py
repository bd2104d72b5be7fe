"""The exporter's counters: a model that is updated by notifications of the daemon. Pure.

All label combinations are limited: clients can request arbitrary names of events, scripts and locks, and a monitoring
system stores each combination for weeks.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TypeAlias

import attrs

from ctdb_event.broker import Stats
from ctdb_event.results import Overview
from ctdb_event.updates import Finished, Gap, LockAcquired, ScriptFinished, Update
from ctdb_eventd.events import CATALOGUE, plan

__all__ = ["BOUNDS", "OTHER", "Answers", "Counts", "Durations", "Metrics", "Spread"]

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper limits of a histogram's buckets, in seconds; the last bucket has no limit."""
OTHER = "other"
"""The label of unknown events, and of combinations beyond the limit."""

_MOST_ROWS = 500
"""Maximum number of label combinations of a metric; others are counted together. CTDB's scripts need about 100."""
_ADDRESS = "address:"
_RAN = frozenset({"ok", "failed", "killed", "timed-out"})
_FAILED = frozenset({"failed", "killed", "timed-out", "not-started"})

Labels: TypeAlias = tuple[str, ...]


@attrs.frozen
class Answers:
    """The daemon's replies."""

    stats: Stats
    overview: Overview
    components: tuple[str, ...]


class Counts:
    """Counters by labels.

    Attributes:
        rows: The counts.
    """

    def __init__(self) -> None:
        self.rows: dict[Labels, int] = {}

    def add(self, *labels: str) -> None:
        """Increments a counter."""
        labels = _bounded(self.rows, labels)
        self.rows[labels] = self.rows.get(labels, 0) + 1


class Spread:
    """A histogram of durations.

    Attributes:
        counts: The number of durations in each bucket of BOUNDS, and beyond.
        seconds: The sum of durations.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Adds a duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Durations:
    """Histograms by labels.

    Attributes:
        rows: The histograms.
    """

    def __init__(self) -> None:
        self.rows: dict[Labels, Spread] = {}

    def add(self, seconds: float, *labels: str) -> None:
        """Adds a duration."""
        self.rows.setdefault(_bounded(self.rows, labels), Spread()).add(seconds)


def _bounded(rows: dict[Labels, int] | dict[Labels, Spread], labels: Labels) -> Labels:
    return labels if labels in rows or len(rows) < _MOST_ROWS else (OTHER,) * len(labels)


class Metrics:
    """The counters since the exporter's start.

    Attributes:
        runs: Durations of runs, by component and event.
        waits: Waits of runs before their start, by the same labels.
        outcomes: Numbers of runs by component, event and outcome.
        scripts: Durations of scripts, by component, event and script.
        script_failures: Numbers of failed scripts, by component, event, script and state.
        lock_waits: Waits for locks, by lock; those of addresses are counted together.
        updates_lost: Number of updates that the daemon dropped.
        addresses: Component and address of each public address that the node has.
    """

    def __init__(self) -> None:
        self.runs = Durations()
        self.waits = Durations()
        self.outcomes = Counts()
        self.scripts = Durations()
        self.script_failures = Counts()
        self.lock_waits = Durations()
        self.updates_lost = 0
        self.addresses: set[tuple[str, str]] = set()

    def know_addresses(self, results: Overview, since: float) -> None:
        """Derives the current addresses from the latest results of address events that were requested after `since`."""
        self.addresses.clear()
        for run in sorted(results.results, key=lambda run: (run.queued or 0.0) + (run.waited or 0.0)):
            if run.address is not None and run.outcome == "success" and (run.queued or 0.0) >= since:
                self._moved(run.component, run.event, run.address)

    def apply(self, update: Update) -> None:
        """Counts an update."""
        component, event = update.component or "", update.event or ""
        known = event if event in CATALOGUE else OTHER
        if isinstance(update, Finished):
            self.outcomes.add(component, known, update.outcome)
            self.waits.add(update.waited, component, known)
            if update.seconds > 0:  # it started
                self.runs.add(update.seconds, component, known)
            if update.outcome == "success":
                for lock in plan(event, update.args).resources:
                    self._moved(component, event, lock.removeprefix(_ADDRESS))
        elif isinstance(update, ScriptFinished):
            if update.state in _RAN:
                self.scripts.add(update.seconds, component, known, update.script)
            if update.state in _FAILED:
                self.script_failures.add(component, known, update.script, update.state)
        elif isinstance(update, LockAcquired):
            for lock in update.locks:
                self.lock_waits.add(update.seconds, "address" if lock.startswith(_ADDRESS) else lock)
        elif isinstance(update, Gap):
            self.updates_lost += update.lost

    def _moved(self, component: str, event: str, address: str) -> None:
        if event == "takeip":
            self.addresses.add((component, address))
        elif event == "releaseip":
            self.addresses.discard((component, address))
