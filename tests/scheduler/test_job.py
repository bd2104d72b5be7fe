"""A job between whoever asked and the run: what is answered, and what those who watch are told."""

from __future__ import annotations

import errno
import time
from typing import Any

import pytest
from run_records import spec_of
from scheduling import REPORT, SchedulerNode, end_run

from ctdb_eventd.errors import NoSuchComponent, RequestError
from ctdb_eventd.events import plan
from ctdb_eventd.model import EventOutcome, EventReport, EventSpec, RunRecord, ScriptReport
from ctdb_eventd.runs import Job, RunResult, make_record

FAILED = EventReport(summary=3, scripts=(ScriptReport(name="10.x", begin=1, end=2, result=3),))
TAKE, RELEASE = "legacy takeip eth0 10.0.0.1 24", "legacy releaseip eth0 10.0.0.1 24"

Answer = tuple[int, RunRecord | RequestError | None]


class Node(SchedulerNode):
    """A scheduler, what it answers, and what it publishes."""

    def __init__(self, *, watched: bool = True) -> None:
        super().__init__(watched=watched)
        self.answers: dict[str, list[Answer]] = {}

    def job(self, text: str, run: str = "") -> Job:
        answers = self.answers.setdefault(text, [])
        made = self.scheduler.submit(spec_of(text), lambda result, details: answers.append((result, details)), run=run)
        assert made is not None
        return made

    def calls(self, job: Job) -> list[str]:
        return self.run_of(job).calls

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [data for its_kind, data in self.feed.published if its_kind == kind]


# ---------------------------------------------------------------------- the answer


@pytest.mark.parametrize(
    ("result", "report", "outcome"),
    [
        (0, REPORT, EventOutcome.SUCCESS),
        (errno.ENOEXEC, FAILED, EventOutcome.FAILED),
        (errno.ETIMEDOUT, FAILED, EventOutcome.TIMED_OUT),
    ],
)
def test_a_run_is_answered_with_its_record_which_is_stored(
    result: int, report: EventReport, outcome: EventOutcome
) -> None:
    node = Node()
    before = time.time()
    job = node.job(TAKE, "t-7")
    end_run(node.scheduler, job, RunResult(result, report))
    ((number, record),) = node.answers[TAKE]
    assert isinstance(record, RunRecord)
    assert number == result
    assert (record.run, record.spec, record.address) == ("t-7", spec_of(TAKE), "10.0.0.1")
    assert (record.outcome, record.report) == (outcome, report)
    assert before <= record.queued <= time.time()
    assert record.waited >= 0 <= record.seconds
    assert [stored for stored, _ in node.records] == [record]
    assert node.scheduler.outcomes == {outcome: 1}


def test_a_cancelled_run_is_answered_and_counted_but_not_stored() -> None:
    node = Node()
    end_run(node.scheduler, node.job("legacy startup"), RunResult(errno.ECANCELED, FAILED, final=False))
    ((number, record),) = node.answers["legacy startup"]
    assert isinstance(record, RunRecord)
    assert (number, record.outcome, record.report) == (errno.ECANCELED, EventOutcome.CANCELLED, FAILED)
    assert node.records == []
    assert node.scheduler.outcomes == {EventOutcome.CANCELLED: 1}


def test_a_run_that_could_not_start_is_answered_with_the_reason() -> None:
    node = Node()
    refusal = NoSuchComponent("legacy", "/e/legacy")
    end_run(node.scheduler, node.job("legacy startup"), RunResult(errno.ENOENT, refusal=refusal))
    assert node.answers["legacy startup"] == [(errno.ENOENT, refusal)]
    assert (node.records, node.scheduler.outcomes) == ([], {})


def test_whoever_has_gone_is_not_answered_but_what_ended_by_itself_is_stored() -> None:
    node = Node()
    job = node.job("legacy startup")
    node.scheduler.cancel(job)
    assert node.calls(job) == ["cancel"]
    end_run(node.scheduler, job, RunResult(0, REPORT))
    assert node.answers["legacy startup"] == []
    assert len(node.records) == 1


def test_everybody_is_answered_once() -> None:
    node = Node()
    job = node.job("legacy startup")
    end_run(node.scheduler, job, RunResult(0, REPORT))
    node.scheduler.reported(job, RunResult(errno.EIO))
    node.scheduler.cancel(job)
    assert len(node.answers["legacy startup"]) == 1


def test_a_run_has_an_id_of_its_own_unless_it_is_given_one() -> None:
    node = Node()
    first, second, third = node.job("a startup"), node.job("b startup"), node.job("c startup", "t-7")
    assert first.run != second.run
    assert third.run == "t-7"
    assert node.scheduler.find("t-7") is third


def test_the_address_is_in_canonical_form_and_of_address_events_only() -> None:
    node = Node()
    assert node.job("legacy takeip eth0 2001:DB8:0::1 64").address == "2001:db8::1"
    assert node.job("other startup").address is None
    assert node.job("third takeip eth0").address is None, "its arguments don't fit"


# ---------------------------------------------------------------------- revoking


def test_a_run_that_waits_is_revoked_and_answered_at_once() -> None:
    node = Node()
    node.job("legacy startup")
    job = node.job("legacy recovered")
    assert node.scheduler.revoke(job) is False
    ((number, record),) = node.answers["legacy recovered"]
    assert isinstance(record, RunRecord)
    assert (number, record.outcome) == (errno.ECANCELED, EventOutcome.CANCELLED)
    assert (record.report.scripts, record.seconds, record.run) == ((), 0, job.run)
    assert record.waited >= 0
    assert node.scheduler.find(job.run) is None
    assert node.records == []
    assert node.scheduler.outcomes == {EventOutcome.CANCELLED: 1}


def test_a_run_that_waits_for_its_address_is_revoked_too() -> None:
    node = Node()
    holder, job = node.job(TAKE), node.job(RELEASE)
    assert node.scheduler.revoke(job) is False
    assert [number for number, _ in node.answers[RELEASE]] == [errno.ECANCELED]
    end_run(node.scheduler, holder, RunResult(0, REPORT))
    assert node.core.jobs == ()
    assert node.core.state.addresses == ()


def test_a_run_that_runs_is_revoked_and_answered_when_it_says_so() -> None:
    node = Node()
    job = node.job("legacy startup")
    assert node.scheduler.revoke(job) is True
    assert (node.calls(job), node.answers["legacy startup"]) == (["cancel"], [])
    assert node.scheduler.revoke(job) is True
    assert node.calls(job) == ["cancel"], "it was told already"
    end_run(node.scheduler, job, RunResult(errno.ECANCELED, FAILED, final=False))
    assert [number for number, _ in node.answers["legacy startup"]] == [errno.ECANCELED]


def test_those_behind_a_revoked_run_may_go() -> None:
    node = Node()
    first, middle, last = node.job(TAKE), node.job("legacy ipreallocated"), node.job("legacy takeip eth0 10.0.0.2 24")
    assert node.core.waits(last)
    node.scheduler.revoke(middle)
    assert not node.core.waits(last)
    assert not node.core.waits(first)


# ---------------------------------------------------------------------- what is told


def test_a_run_that_starts_at_once_is_not_told_as_queued() -> None:
    node = Node()
    job = node.job("legacy startup a b", "t-7")
    end_run(node.scheduler, job, RunResult(errno.ENOEXEC, FAILED))
    assert node.feed.kinds == ["started", "finished"]
    who = {"run": "t-7", "component": "legacy", "event": "startup", "args": ("a", "b")}
    for _, data in node.feed.published:
        assert who.items() <= data.items()
    (started,), (finished,) = node.told("started"), node.told("finished")
    assert started.keys() == {*who, "waited"}
    assert finished.keys() == {*who, "outcome", "summary", "waited", "seconds"}
    assert (finished["outcome"], finished["summary"]) == ("failed", 3)


def test_a_run_that_waits_is_told_as_queued_before_anything_else() -> None:
    node = Node()
    first = node.job("legacy startup")
    node.feed.published.clear()
    second = node.job("legacy recovered")
    assert node.feed.kinds == ["queued"]
    assert node.feed.published[0][1]["holder"] == "legacy startup"
    end_run(node.scheduler, first, RunResult(0, REPORT))
    assert node.feed.kinds == ["queued", "finished", "started"]
    assert [data["run"] for _, data in node.feed.published] == [second.run, first.run, second.run]


def test_a_wait_for_an_address_is_told_with_its_end() -> None:
    node = Node()
    holder, job = node.job(TAKE), node.job(RELEASE)
    ((kind, waiting),) = [(kind, data) for kind, data in node.feed.published if kind.startswith("lock-")]
    assert kind == "lock-waiting"
    assert (waiting["locks"], waiting["lock"], waiting["text"]) == (("address:10.0.0.1",), None, RELEASE)
    assert waiting["run"] == job.run
    assert waiting.pop("holder") == TAKE
    end_run(node.scheduler, holder, RunResult(0, REPORT))
    (acquired,) = node.told("lock-acquired")
    assert acquired.pop("seconds") >= 0
    assert acquired == waiting
    assert node.feed.kinds[-2:] == ["lock-acquired", "started"]


def test_a_wait_for_script_locks_is_told_with_its_end() -> None:
    node = Node()
    holder, job = node.job("legacy startup"), node.job("other startup")
    assert node.scheduler.want_script(holder, "10.x", ("routes",))
    node.feed.published.clear()
    assert not node.scheduler.want_script(job, "20.y", ("iptables", "routes"))
    (waiting,) = node.told("lock-waiting")
    assert (waiting["locks"], waiting["text"]) == (("iptables", "routes"), "other startup: 20.y")
    assert waiting.pop("holder") == "legacy startup"
    node.scheduler.script_over(holder)
    assert node.calls(job) == ["proceed"]
    node.scheduler.got_locks(job, "20.y", ("iptables", "routes"))
    (acquired,) = node.told("lock-acquired")
    assert acquired.pop("seconds") >= 0
    assert acquired == waiting


def test_a_wait_for_a_slot_alone_is_not_told() -> None:
    node = Node()
    node.core.admission.set_limit(1)
    holder, job = node.job("legacy startup"), node.job("other startup")
    node.scheduler.want_script(holder, "10.x", ())
    node.feed.published.clear()
    for locks in ((), ("routes",)):
        assert not node.scheduler.want_script(job, "20.y", locks)
        node.scheduler.got_locks(job, "20.y", locks)
        node.scheduler.script_over(job)
    assert node.feed.published == []


def test_what_scripts_do_is_told() -> None:
    node = Node()
    job = node.job("legacy startup")
    node.feed.published.clear()
    node.scheduler.script_started(job, "10.x", 4711)
    node.scheduler.printed(job, "10.x", b"one\xff")
    node.scheduler.script_finished(job, ScriptReport(name="10.x", begin=1_000_000, end=3_500_000, result=3))
    said = [(kind, {key: data[key] for key in data.keys() - WHO}) for kind, data in node.feed.published]
    assert said == [
        ("script-started", {"script": "10.x", "pid": 4711}),
        ("output", {"script": "10.x", "output": b"one\xff"}),
        ("script-finished", {"script": "10.x", "state": "failed", "result": 3, "seconds": 2.5}),
    ]
    assert node.scheduler.scripts_started == 1


WHO = {"run", "component", "event", "args"}


def test_nobody_is_told_when_nobody_watches() -> None:
    node = Node(watched=False)
    holder, job = node.job(TAKE), node.job(RELEASE)
    node.scheduler.script_started(holder, "10.x", 4711)
    node.scheduler.printed(holder, "10.x", b"one")
    node.scheduler.script_finished(holder, ScriptReport(name="10.x", begin=1, end=2, result=0))
    end_run(node.scheduler, holder, RunResult(0, REPORT))
    node.scheduler.revoke(job)
    assert node.feed.published == []
    assert node.scheduler.scripts_started == 1


def test_who_begins_to_watch_during_a_wait_is_not_told_of_its_end() -> None:
    node = Node(watched=False)
    holder, _ = node.job(TAKE), node.job(RELEASE)
    node.feed.active = True
    end_run(node.scheduler, holder, RunResult(0, REPORT))
    assert node.feed.kinds == ["finished", "started"]


@pytest.mark.parametrize("started", [True, False])
def test_a_cancelled_run_is_told_as_finished(started: bool) -> None:
    node = Node()
    first, second = node.job("legacy startup"), node.job("legacy recovered")
    node.feed.published.clear()
    job = first if started else second
    node.scheduler.revoke(job)
    if started:
        end_run(node.scheduler, job, RunResult(errno.ECANCELED, REPORT, final=False))
    finished = node.told("finished")[0]
    assert (finished["run"], finished["outcome"]) == (job.run, "cancelled")


def test_a_refused_monitor_is_told_as_finished() -> None:
    node = Node()
    node.job("legacy startup")
    node.feed.published.clear()
    node.job("legacy monitor", "t-7")
    assert [(kind, data["run"]) for kind, data in node.feed.published] == [("finished", "t-7")]
    assert [number for number, _ in node.answers["legacy monitor"]] == [errno.ECANCELED]


# ---------------------------------------------------------------------- records


def test_a_record_of_what_never_began_has_no_times_but_its_arrival() -> None:
    spec = spec_of(TAKE)
    record = make_record("t-1", spec, plan(spec.event, spec.args), EventOutcome.SUCCESS, REPORT, queued=5.0)
    assert (record.queued, record.waited, record.seconds, record.address) == (5.0, 0.0, 0.0, "10.0.0.1")


def test_of_long_arguments_only_the_first_are_kept() -> None:
    spec = EventSpec(component="legacy", event="x", args=("y" * 50,) * 20_000, timeout=0, run_all=False)
    record = make_record("t-1", spec, plan(spec.event, spec.args), EventOutcome.SUCCESS, REPORT, queued=5.0)
    assert sum(map(len, record.spec.args)) < 4096
    assert record.spec.args[0] == "y" * 50
    assert record.spec.args[-1].endswith("...")
