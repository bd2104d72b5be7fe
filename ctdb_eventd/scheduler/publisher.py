"""Publishes what happens to jobs and client locks. Almost free while there are no subscribers."""

from __future__ import annotations

import time
from typing import Any

from ctdb_eventd.feed import Feed
from ctdb_eventd.model import RunRecord, ScriptReport
from ctdb_eventd.runs import Job

__all__ = ["Publisher"]


class Publisher:
    """One method for each kind of notification; docs/protocol.md describes their fields."""

    def __init__(self, feed: Feed) -> None:
        """Publishes to `feed`."""
        self._feed = feed

    def queued(self, job: Job) -> None:
        """A job has to wait."""
        if self._feed.active:
            self._publish("queued", job, holder=_holder(job))

    def lock_waiting(self, job: Job, locks: tuple[str, ...], text: str) -> None:
        """A job has to wait for locks, and for nothing else."""
        if self._feed.active:
            job.wait_published = time.monotonic()
            self._publish("lock-waiting", job, locks=locks, lock=None, text=text, holder=_holder(job))

    def lock_acquired(self, job: Job, locks: tuple[str, ...], text: str) -> None:
        """A job has got its locks after a wait; published only if that wait was published."""
        since, job.wait_published = job.wait_published, 0.0
        if since:
            self._publish("lock-acquired", job, locks=locks, lock=None, text=text, seconds=time.monotonic() - since)

    def client_lock(self, kind: str, names: tuple[str, ...], number: int, text: str, **data: object) -> None:
        """A client has to wait for locks (`lock-waiting`), or has got them after a wait (`lock-acquired`)."""
        if self._feed.active:
            self._feed.publish(kind, None, None, None, (), {"locks": names, "lock": number, "text": text, **data})

    def started(self, job: Job) -> None:
        """A job's run is being started."""
        if self._feed.active and job.started is not None:
            self._publish("started", job, waited=job.started - job.arrived)

    def script_started(self, job: Job, name: str, pid: int) -> None:
        """A script runs."""
        if self._feed.active:
            self._publish("script-started", job, script=name, pid=pid)

    def output(self, job: Job, name: str, data: bytes) -> None:
        """A script has printed something."""
        if self._feed.active and self._feed.wants_output(job.run, job.spec.component, job.spec.event):
            self._publish("output", job, script=name, output=data)

    def script_finished(self, job: Job, report: ScriptReport) -> None:
        """A script has ended, or was not started."""
        if self._feed.active:
            seconds = (report.end - report.begin) / 1e6
            data: dict[str, Any] = {
                "script": report.name,
                "state": report.state,
                "result": report.result,
                "seconds": seconds,
            }
            self._publish("script-finished", job, **data)

    def finished(self, record: RunRecord) -> None:
        """A run has ended, or was never started."""
        if self._feed.active:
            outcome, summary = record.outcome.word, record.report.summary
            times = {"waited": record.waited, "seconds": record.seconds}
            data: dict[str, Any] = {"outcome": outcome, "summary": summary, **times}
            self._publish("finished", record, record=record, **data)

    def trivial(self, record: RunRecord) -> None:
        """A run has ended at once, as there was nothing to run."""
        if self._feed.active:
            self._publish("started", record, waited=0.0)
            self.finished(record)

    def _publish(self, kind: str, about: Job | RunRecord, record: RunRecord | None = None, **data: Any) -> None:
        spec = about.spec
        self._feed.publish(
            *(kind, about.run, spec.component, spec.event, spec.args, data), address=about.address, record=record
        )


def _holder(job: Job) -> str | None:
    """Returns the holder that a job waits for, in words."""
    return None if job.waits_for is None else job.waits_for[1]
