"""All metrics with their names, descriptions and labels, from the exporter's counters and the daemon's replies.

docs/operations.md lists them; the dashboard and the alerts in contrib use them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from ctdb_event.broker import Stats
from ctdb_event.exporter.model import BOUNDS, Answers, Counts, Durations, Model
from ctdb_event.results import Overview

__all__ = ["families"]

_GAUGES: tuple[tuple[str, str, Callable[[Stats], float]], ...] = (
    ("runs_queued", "Runs that wait to start.", lambda stats: stats.queued),
    ("runs_running", "Runs that run.", lambda stats: stats.running),
    ("scripts_running", "Scripts that run.", lambda stats: stats.slots.running),
    ("scripts_waiting", "Scripts that wait for a slot.", lambda stats: stats.slots.waiting),
    ("scripts_limit", "Scripts that may run at once.", lambda stats: stats.slots.limit),
    ("daemon_clients", "Connections to the daemon.", lambda stats: stats.clients),
    ("daemon_memory_bytes", "Resident memory of the daemon.", lambda stats: stats.memory),
    ("daemon_open_descriptors", "Open files of the daemon.", lambda stats: stats.descriptors),
    ("daemon_start_time_seconds", "When the daemon started, since the epoch.", lambda stats: stats.started),
)
_COUNTERS: tuple[tuple[str, str, Callable[[Stats], float]], ...] = (
    ("scripts_started", "Scripts that the daemon started.", lambda stats: stats.scripts_started),
    ("daemon_cpu_seconds", "Time on processors that the daemon used.", lambda stats: stats.processor_seconds),
    ("daemon_updates_lost", "Updates that the daemon left out for slow readers.", lambda stats: stats.notes_lost),
)


def families(model: Model, answers: Answers | None) -> Iterator[Metric]:
    """Yields all metrics; without replies of the daemon, only those that the exporter counts itself."""
    yield GaugeMetricFamily("ctdb_event_up", "The event daemon answers.", value=float(answers is not None))
    yield from _counted(model)
    if answers is not None:
        yield from _answered(answers)
        held = Counter(component for component, _ in model.addresses)
        yield _gauge(
            "addresses_held",
            "Public addresses that were taken and not released.",
            "component",
            ((component, held[component]) for component in answers.components),
        )


def _counted(model: Model) -> Iterator[Metric]:
    event, script = ("component", "event"), ("component", "event", "script")
    yield _histogram("run_duration_seconds", "How long runs ran.", event, model.runs)
    yield _histogram("run_wait_seconds", "How long runs waited before they started.", event, model.waits)
    yield _histogram("script_duration_seconds", "How long scripts ran.", script, model.scripts)
    yield _histogram("lock_wait_seconds", "How long clients and scripts waited for locks.", ("lock",), model.lock_waits)
    yield _counter("runs", "Runs that ended.", (*event, "outcome"), model.outcomes)
    yield _counter("script_failures", "Scripts that failed.", (*script, "state"), model.script_failures)
    lost = "Updates that the exporter missed; counts and durations lack them."
    yield CounterMetricFamily("ctdb_event_exporter_updates_lost", lost, value=model.updates_lost)


def _answered(answers: Answers) -> Iterator[Metric]:
    stats, overview = answers.stats, answers.overview
    version = GaugeMetricFamily("ctdb_event_daemon_info", "The version of the daemon.", labels=["version"])
    version.add_metric([stats.version], 1)
    yield version
    for name, meaning, value in _GAUGES:
        yield GaugeMetricFamily(f"ctdb_event_{name}", meaning, value=value(stats))
    for name, meaning, value in _COUNTERS:
        yield CounterMetricFamily(f"ctdb_event_{name}", meaning, value=value(stats))
    age = "Age of the oldest request that has not completed; 0 if there is none."
    yield GaugeMetricFamily("ctdb_event_oldest_run_age_seconds", age, value=_oldest(overview))
    health = ((one.component, float(one.healthy)) for one in overview.health)
    yield _gauge("healthy", "No script of the latest monitor event failed.", "component", health)


def _oldest(overview: Overview) -> float:
    ages = [*(job.age for job in overview.jobs), *(time.time() - one.oldest for one in overview.more)]
    return max(ages, default=0.0)


def _gauge(name: str, meaning: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    gauge = GaugeMetricFamily(f"ctdb_event_{name}", meaning, labels=[label])
    for key, value in values:
        gauge.add_metric([key], value)
    return gauge


def _counter(name: str, meaning: str, labels: tuple[str, ...], counts: Counts) -> Metric:
    counter = CounterMetricFamily(f"ctdb_event_{name}", meaning, labels=labels)
    for key, count in counts.rows.items():
        counter.add_metric(key, count)
    return counter


def _histogram(name: str, meaning: str, labels: tuple[str, ...], durations: Durations) -> Metric:
    histogram = HistogramMetricFamily(f"ctdb_event_{name}", meaning, labels=labels)
    for key, spread in durations.rows.items():
        buckets, total = [], 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), spread.counts, strict=True):
            total += count
            buckets.append((bound, total))
        histogram.add_metric(key, buckets, spread.seconds)
    return histogram
