"""A scheduler whose runs start no scripts: they record calls, and last until the test ends them."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from run_records import RecordingFeed

from ctdb_eventd.model import EventReport, EventSpec, RunRecord, Wait
from ctdb_eventd.runs import Job, Progress, RunHandle, RunListener, RunResult
from ctdb_eventd.scheduler.admission import Admission, Load
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.service import Scheduler

__all__ = ["REPORT", "HeldRun", "SchedulerNode", "end_run", "parents_of"]

REPORT = EventReport(summary=0, scripts=())


def end_run(listener: RunListener, job: Job, result: RunResult) -> None:
    """Ends a run: notifies the listener of all three stages."""
    listener.reported(job, result)
    listener.released(job)
    listener.gone(job)


def parents_of(asker: Job | None) -> frozenset[Hashable]:
    """Returns the parents of a request by this job's script."""
    return frozenset(() if asker is None else (asker,))


class HeldRun:
    """A run that ends when the test calls `end`.

    Attributes:
        calls: Names of the calls to it, in order.
    """

    def __init__(self, job: Job, listener: RunListener) -> None:
        """Starts without a script."""
        self.job = job
        self.group = 0
        self.progress = Progress(script="10.first", pid=0, since=0.0, left=None)
        self.calls: list[str] = []
        self._listener = listener

    def cancel(self, *, yielding: bool = False) -> None:
        """Records the call."""
        self.calls.append("yield" if yielding else "cancel")

    def proceed(self) -> None:
        """Records the call."""
        self.calls.append("proceed")

    def end(self, result: int = 0, report: EventReport | None = REPORT) -> None:
        """Ends it."""
        end_run(self._listener, self.job, RunResult(result, report))


class SchedulerNode:
    """A scheduler with substitutes for its collaborators.

    Attributes:
        runs: The latest run of each job text (`str(job)`).
        records: The stored records, each with its batch.
        load: The machine's load, as the scheduler reads it.
        looks: How often it was read.
    """

    def __init__(
        self,
        *,
        processors: int = 1,
        limit: int = 256,
        queue_timeout: float | None = None,
        start: Callable[[Job, RunListener], RunHandle | None] | None = None,
        trivial_result: Callable[[EventSpec], RunResult | None] | None = None,
        watched: bool = True,
    ) -> None:
        """Makes an idle one; `watched` means that there is a subscriber to everything."""
        self.runs: dict[str, HeldRun] = {}
        self.records: list[tuple[RunRecord, int | None]] = []
        self.begun: list[str] = []
        self.ended: list[tuple[str, tuple[Wait, ...], str | None]] = []
        self.stuck: list[str] = []
        self.load: Load | None = None
        self.looks = 0
        self.core: Core[Job] = Core(Admission(processors=processors, limit=limit))
        self.feed = RecordingFeed(active=watched)
        self.scheduler = Scheduler(
            core=self.core,
            start=start or self.start,
            trivial_result=trivial_result or (lambda spec: None),
            record=lambda record, batch: self.records.append((record, batch)),
            begun=lambda job: self.begun.append(job.run),
            stuck=lambda job: self.stuck.append(job.run),
            ended=lambda job, record: self.ended.append((job.run, tuple(job.waits), job.ended_by)),
            load=self.look,
            feed=self.feed,
            queue_timeout=queue_timeout,
        )

    def start(self, job: Job, listener: RunListener) -> HeldRun:
        """Starts a run for the scheduler."""
        made = self.runs[str(job)] = HeldRun(job, listener)
        return made

    def look(self) -> Load | None:
        """Returns the load, and counts the call."""
        self.looks += 1
        return self.load

    def run_of(self, job: Job) -> HeldRun:
        """Returns a job's run, which must have been started."""
        assert isinstance(job.handle, HeldRun)
        return job.handle
