"""Whatever was told as queued or started is told as finished, however it ends; and what is over is not found again."""

from __future__ import annotations

import errno

import pytest
from nodes import until
from run_records import spec_of
from scheduling import REPORT, SchedulerNode

from ctdb_eventd.errors import AddressHeld, NoSuchComponent, QueueTimeout, RequestError
from ctdb_eventd.model import EventSpec, RunRecord
from ctdb_eventd.runs import Job, RunResult
from ctdb_eventd.scheduler.snapshot import snapshot_jobs

CANCELLED = RunResult(errno.ECANCELED, REPORT, final=False)
TAKE, RELEASE = "legacy takeip eth0 10.0.0.1 24", "legacy releaseip eth0 10.0.0.1 24"


class Node(SchedulerNode):
    """A scheduler, what it published and what it answered."""

    def __init__(self, trivial: RunResult | None = None) -> None:
        super().__init__(trivial_result=lambda spec: trivial)
        self.answers: dict[str, tuple[int, RunRecord | RequestError | None]] = {}

    def submit(self, text: str) -> Job | None:
        spec: EventSpec = spec_of(text)

        def done(result: int, details: RunRecord | RequestError | None) -> None:
            self.answers[text] = result, details

        return self.scheduler.submit(spec, done)

    def job(self, text: str) -> Job:
        made = self.submit(text)
        assert made is not None
        return made

    @property
    def finished(self) -> list[tuple[str, str]]:
        """Event and outcome of each run that was told as finished."""
        return [(data["event"], data["outcome"]) for kind, data in self.feed.published if kind == "finished"]


def test_a_queued_run_whose_client_goes_is_told_and_counted() -> None:
    node = Node()
    node.job("legacy startup")
    node.scheduler.cancel(node.job("legacy recovered"))
    assert node.finished == [("recovered", "cancelled")]
    assert sum(node.scheduler.outcomes.values()) == 1
    assert node.answers == {}


async def test_a_run_that_waited_too_long_is_told_and_answered_with_what_kept_it() -> None:
    node = Node()
    node.scheduler.queue_timers.limit = 0.01
    node.job("legacy startup")
    node.job("legacy recovered")
    await until(lambda: node.answers, "the end of the wait")
    result, details = node.answers["legacy recovered"]
    assert (result, type(details)) == (errno.EBUSY, QueueTimeout)
    assert node.finished == [("recovered", "cancelled")]


def test_who_waits_for_an_address_that_nobody_can_free_is_told_and_answered() -> None:
    node = Node()
    first = node.job(TAKE)
    node.job(RELEASE)
    node.scheduler.reported(first, RunResult(errno.ETIMEDOUT, REPORT))
    node.scheduler.stuck(first)
    result, details = node.answers[RELEASE]
    assert (result, type(details)) == (errno.EBUSY, AddressHeld)
    assert node.finished == [("takeip", "timed-out"), ("releaseip", "cancelled")]


def test_a_run_that_could_not_start_after_all_is_told() -> None:
    node = Node()
    refusal = NoSuchComponent("legacy", "/e/legacy")
    node.scheduler.reported(node.job("legacy startup"), RunResult(errno.ENOENT, refusal=refusal))
    assert node.answers["legacy startup"] == (errno.ENOENT, refusal)
    assert node.finished == [("startup", "failed")]


def test_a_run_without_scripts_is_told_too() -> None:
    node = Node(trivial=RunResult(0, REPORT))
    assert node.submit("legacy startup") is None
    assert node.feed.kinds == ["started", "finished"]
    result, record = node.answers["legacy startup"]
    assert isinstance(record, RunRecord)
    assert (result, {data["run"] for _, data in node.feed.published}) == (0, {record.run})


@pytest.mark.parametrize("told", [True, False])
def test_a_run_whose_result_is_known_is_ending_and_can_not_be_cancelled_again(told: bool) -> None:
    node = Node()
    job = node.job("legacy startup")
    assert node.scheduler.revoke(job)
    assert node.scheduler.find(job.run) is job, "its end has yet to come"
    if told:
        node.scheduler.reported(job, CANCELLED)
    assert [shown.state for shown in snapshot_jobs(node.core)[0]] == ["ending" if told else "running"]
    assert (node.scheduler.find(job.run) is None) == told
