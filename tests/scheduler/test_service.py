"""The scheduler's shell: it starts, answers and ends what the core says, and keeps the time."""

from __future__ import annotations

import errno
import gc
import logging
import weakref
from collections.abc import Callable

import anyio
import pytest
from nodes import until
from scheduling import REPORT, HeldRun, SchedulerNode, end_run, parents_of

from ctdb_eventd.errors import QueueTimeout, WouldDeadlock
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.model import EventReport, EventSpec
from ctdb_eventd.runs import Job, RunHandle, RunListener, RunResult
from ctdb_eventd.scheduler.admission import Load
from ctdb_eventd.scheduler.client_locks import ClientLock
from ctdb_eventd.scheduler.core import Core


class Node(SchedulerNode):
    """A scheduler and the answers that it gave."""

    def __init__(
        self,
        *,
        processors: int = 1,
        limit: int = 256,
        queue_timeout: float | None = None,
        start: Callable[[Job, RunListener], RunHandle | None] | None = None,
        trivial_result: Callable[[EventSpec], RunResult | None] | None = None,
    ) -> None:
        super().__init__(
            processors=processors,
            limit=limit,
            queue_timeout=queue_timeout,
            start=start,
            trivial_result=trivial_result,
        )
        self.answers: list[tuple[str, int]] = []
        self.load = Load(100)

    @property
    def stored(self) -> list[tuple[str, str, EventReport, int | None]]:
        """Component, event, report and batch of each record."""
        return [(record.spec.component, record.spec.event, record.report, batch) for record, batch in self.records]

    def submit(self, text: str, asker: Job | None = None) -> Job | None:
        """Submits what `text` says: component, event, arguments."""
        component, event, *args = text.split()
        spec = EventSpec(component=component, event=event, args=tuple(args), timeout=30, run_all=False)
        return self.scheduler.submit(spec, lambda result, _: self.answers.append((text, result)), parents_of(asker))

    def job(self, text: str, asker: Job | None = None) -> Job:
        made = self.submit(text, asker)
        assert made is not None
        return made


def take(number: int, component: str = "legacy") -> str:
    return f"{component} takeip eth0 10.0.0.{number} 24"


async def comes(condition: Callable[[], object]) -> None:
    await until(condition, "what a timer brings about")


# ---------------------------------------------------------------------- runs and answers


def test_a_run_is_started_recorded_and_answered() -> None:
    node = Node()
    job = node.job("legacy startup")
    assert node.answers == []
    node.runs["legacy startup"].end(errno.ENOEXEC)
    assert node.answers == [("legacy startup", errno.ENOEXEC)]
    assert node.stored == [("legacy", "startup", REPORT, None)]
    assert (job.handle, node.scheduler.busy) == (None, False)


def test_a_run_without_a_report_is_answered_and_not_recorded() -> None:
    node = Node()
    node.submit("legacy startup")
    node.runs["legacy startup"].end(errno.ECANCELED, None)
    assert (node.answers, node.stored) == ([("legacy startup", errno.ECANCELED)], [])


def test_runs_side_by_side_are_recorded_with_their_batch() -> None:
    node = Node()
    for text in (take(1), take(2), "legacy ipreallocated", take(3)):
        node.submit(text)
    for text in (take(1), take(2), "legacy ipreallocated", take(3)):
        node.runs[text].end()
    assert [batch for *_, batch in node.stored] == [0, 0, None, 1]


def test_the_next_one_starts_when_the_former_is_released() -> None:
    node = Node()
    node.submit("legacy startup")
    node.submit("legacy recovered")
    node.scheduler.released(node.runs["legacy startup"].job)
    assert "legacy recovered" in node.runs


def test_the_same_address_starts_when_nothing_of_the_former_is_left() -> None:
    node = Node()
    node.submit(take(1))
    node.submit("legacy releaseip eth0 10.0.0.1 24")
    run = node.runs[take(1)]
    node.scheduler.reported(run.job, RunResult(errno.ETIMEDOUT, REPORT))
    node.scheduler.released(run.job)
    assert len(node.runs) == 1
    node.scheduler.gone(run.job)
    assert len(node.runs) == 2


def test_a_run_that_is_over_at_once_is_answered_within_the_call() -> None:
    def start(job: Job, listener: RunListener) -> None:
        end_run(listener, job, RunResult(0, REPORT))

    node = Node(start=start)
    node.submit("legacy startup")
    assert node.answers == [("legacy startup", 0)]
    assert not node.scheduler.busy


def test_a_thousand_waiting_runs_that_are_over_at_once_do_not_exhaust_the_stack() -> None:
    node = Node()
    node.submit("legacy startup")
    for _ in range(2000):
        node.submit("legacy recovered")

    def start(job: Job, listener: RunListener) -> None:
        end_run(listener, job, RunResult(0))

    node.scheduler._start = start
    node.runs["legacy startup"].end()
    assert len(node.answers) == 2001
    assert not node.scheduler.busy


def test_a_monitor_is_refused_while_something_runs_and_yields_when_something_comes() -> None:
    node = Node()
    node.submit("legacy startup")
    node.submit("legacy monitor")
    assert node.answers == [("legacy monitor", errno.ECANCELED)]
    node.runs["legacy startup"].end()
    node.submit("legacy monitor")
    node.submit(take(1))
    assert node.runs["legacy monitor"].calls == ["yield"]


def test_arguments_that_do_not_fit_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    node = Node()
    node.submit("legacy takeip eth0")
    node.submit(take(1))
    assert len(node.runs) == 1, "it runs alone"
    assert caplog.record_tuples == [
        (
            "ctdb_eventd.scheduler.service",
            logging.WARNING,
            "legacy takeip eth0: 1 arguments instead of 3; "
            "expected: takeip <interface> <address> <netmask bits>. It runs alone",
        )
    ]


def test_a_start_that_fails_is_answered_and_does_not_stop_the_queue(caplog: pytest.LogCaptureFixture) -> None:
    node = Node()

    def start(job: Job, listener: RunListener) -> HeldRun:
        if job.spec.event == "recovered":
            raise RuntimeError("no idea")
        return node.start(job, listener)

    node.scheduler._start = start
    for text in ("legacy startup", "legacy recovered", "legacy setup"):
        node.submit(text)
    node.runs["legacy startup"].end()
    assert node.answers == [("legacy startup", 0), ("legacy recovered", errno.EIO)]
    assert "legacy setup" in node.runs
    (record,) = caplog.records
    assert record.getMessage() == (
        "legacy recovered: could not be started: this is a bug in ctdb-eventd, please report it"
    )
    assert record.exc_info


# ---------------------------------------------------------------------- nothing to do


@pytest.mark.parametrize("report", [REPORT, None])
def test_a_run_for_which_there_is_nothing_to_do_never_becomes_a_job(report: EventReport | None) -> None:
    node = Node(trivial_result=lambda spec: RunResult(0 if report else errno.ENOENT, report))
    assert node.submit("legacy startup") is None
    assert node.answers == [("legacy startup", 0 if report else errno.ENOENT)]
    assert node.stored == ([("legacy", "startup", report, None)] if report else [])
    assert node.runs == {}


def test_a_run_for_which_there_is_nothing_to_do_waits_for_those_before_it() -> None:
    node = Node()
    node.submit("legacy startup")
    node.scheduler._trivial_result = lambda spec: RunResult(0)
    node.submit("legacy recovered")
    assert node.answers == []
    assert node.submit("other startup") is None


# ---------------------------------------------------------------------- cancelling


def test_a_cancelled_run_is_ended_and_not_answered() -> None:
    node = Node()
    node.scheduler.cancel(node.job("legacy startup"))
    run = node.runs["legacy startup"]
    assert run.calls == ["cancel"]
    run.end(errno.ECANCELED, None)
    assert node.answers == []


def test_a_cancelled_request_that_waits_never_runs() -> None:
    node = Node()
    node.submit("legacy startup")
    node.scheduler.cancel(node.job("legacy recovered"))
    node.runs["legacy startup"].end()
    assert list(node.runs) == ["legacy startup"]
    assert node.answers == [("legacy startup", 0)]


def test_what_is_over_may_be_cancelled() -> None:
    node = Node()
    job = node.job("legacy startup")
    run = node.runs["legacy startup"]
    run.end()
    node.scheduler.cancel(job)
    assert run.calls == []


def test_a_run_that_was_cancelled_before_it_could_be_reached_is_over() -> None:
    node = Node()
    jobs: list[Job] = []

    def start(job: Job, listener: RunListener) -> None:
        jobs.append(job)
        node.scheduler.cancel(job)
        end_run(listener, job, RunResult(errno.ECANCELED))

    node.scheduler._start = start
    node.submit("legacy startup")
    assert len(jobs) == 1
    assert node.answers == []
    assert not node.scheduler.busy


# ---------------------------------------------------------------------- scripts


def test_a_script_proceeds_when_its_locks_are_free() -> None:
    node = Node()
    node.submit(take(1))
    node.submit(take(2))
    first, second = node.runs[take(1)], node.runs[take(2)]
    assert node.scheduler.want_script(first.job, "00.a", ("iptables",))
    assert not node.scheduler.want_script(second.job, "00.a", ("iptables",))
    node.scheduler.script_over(first.job)
    assert second.calls == ["proceed"]


def test_leave_that_comes_when_the_run_is_over_goes_to_nobody() -> None:
    node = Node()
    first, second = node.job(take(1)), node.job(take(2))
    node.scheduler.want_script(first, "00.a", ("iptables",))
    node.scheduler.want_script(second, "00.a", ("iptables",))
    second.handle = None
    node.scheduler.script_over(first)
    assert node.runs[take(2)].calls == []


def test_a_job_is_found_by_the_process_group_of_its_script() -> None:
    node = Node()
    job = node.job("legacy startup")
    node.submit("legacy recovered")
    node.submit("other startup")
    node.runs["legacy startup"].group = 4711
    node.scheduler.script_started(job, "10.first", 4711)
    assert node.scheduler.job_of({1, 4711}) is job
    assert node.scheduler.job_of({1, 4712}) is None
    node.runs["legacy startup"].group = 4713
    assert node.scheduler.job_of({1, 4711}) is None, "that script is over"


def test_jobs_are_found_without_a_look_at_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    job = node.job("legacy startup")
    node.runs["legacy startup"].group = 4711
    node.scheduler.script_started(job, "10.first", 4711)
    monkeypatch.setattr(Core, "jobs", property(lambda core: pytest.fail("all jobs are looked at")))
    assert (node.scheduler.find(job.run), node.scheduler.job_of({4711})) == (job, job)
    assert (node.scheduler.find("x"), node.scheduler.job_of({1})) == (None, None)


def test_jobs_that_are_gone_are_not_kept_to_be_found() -> None:
    node = Node()
    job = node.job("legacy startup")
    node.scheduler.script_started(job, "10.first", 4711)
    end_run(node.scheduler, job, RunResult(errno.ETIMEDOUT, REPORT))
    node.runs.clear()
    left = weakref.ref(job)
    del job
    gc.collect()
    assert left() is None
    assert (len(node.scheduler._jobs), len(node.scheduler._groups)) == (0, 0)


# ---------------------------------------------------------------------- the load


def crowded(count: int = 19) -> Node:
    """Where all free slots are taken, by takeip 0 to 17, and the others wait for an idle processor."""
    node = Node(processors=1)
    for number in range(count):
        job = node.job(take(number))
        assert node.scheduler.want_script(job, "00.a", ()) == (number < 18)
    return node


async def test_the_load_is_looked_at_while_somebody_waits_for_it_to_fall() -> None:
    node = crowded()
    await comes(lambda: node.looks >= 3)
    assert node.runs[take(18)].calls == []
    node.load = Load(0)
    await comes(lambda: node.runs[take(18)].calls == ["proceed"])


async def test_nobody_looks_at_the_load_when_nobody_waits() -> None:
    node = crowded(18)
    node.scheduler.load.look()
    assert (node.looks, node.scheduler.load.pending) == (0, False)


async def test_looking_ends_with_the_last_one_who_waits() -> None:
    node = crowded(20)
    node.load = Load(0)
    await comes(lambda: node.runs[take(19)].calls)
    assert node.runs[take(18)].calls == ["proceed"]
    await comes(lambda: not node.scheduler.load.pending)
    assert node.looks == 2


async def test_looking_ends_when_those_who_wait_are_cancelled() -> None:
    node = crowded()
    run = node.runs[take(18)]
    node.scheduler.cancel(run.job)
    run.end(errno.ECANCELED, None)
    await comes(lambda: not node.scheduler.load.pending)
    assert node.looks == 0


async def test_a_load_that_cannot_be_told_lets_nobody_through_but_a_free_slot_does() -> None:
    node = crowded()
    node.load = None
    await comes(lambda: node.looks >= 2)
    assert node.runs[take(18)].calls == []
    node.scheduler.script_over(node.runs[take(0)].job)
    assert node.runs[take(18)].calls == ["proceed"]
    await comes(lambda: not node.scheduler.load.pending)


async def test_a_script_that_has_started_lets_the_next_one_be_considered_at_once() -> None:
    node = crowded()
    node.load = Load(0)
    node.scheduler.script_started(node.runs[take(17)].job, "00.a", 1)
    assert node.runs[take(18)].calls == ["proceed"]


async def test_looking_ends_at_shutdown() -> None:
    node = crowded()
    node.scheduler.shut_down(lambda: None)
    looks = node.looks
    node.scheduler.load.look_soon()
    await anyio.wait_all_tasks_blocked()
    assert node.looks == looks


# ---------------------------------------------------------------------- waits in the log


def lengthen(job: Job, seconds: float) -> None:
    """Lets the job's wait have begun earlier."""
    assert job.waits_for is not None
    *what, since = job.waits_for
    job.waits_for = (*what, since - seconds)  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("legacy startup", "legacy recovered", "queue"),
        (take(1), "legacy releaseip eth0 10.0.0.1 24", "address:10.0.0.1"),
    ],
)
def test_a_long_wait_for_another_event_is_one_line(
    first: str, second: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node()
    caplog.set_level(NOTICE)
    node.submit(first)
    job = node.job(second)
    lengthen(job, 5)
    node.runs[first].end()
    (record,) = caplog.records
    assert record.levelno == NOTICE
    assert record.getMessage().startswith(f"{second}: waited 5.0")
    assert record.getMessage().endswith(f" s for {what}, held by {first} (ctdb-event show {job.run})")


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_long_wait_for_locks_is_one_line_with_the_script(seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    node = Node()
    caplog.set_level(NOTICE)
    jobs = [node.job(take(1)), node.job(take(2))]
    assert node.scheduler.want_script(jobs[0], "10.x", ("routes",))
    assert not node.scheduler.want_script(jobs[1], "10.x", ("routes", "dns"))
    lengthen(jobs[1], seconds)
    node.scheduler.script_over(jobs[0])
    node.scheduler.got_locks(jobs[1], "10.x", ("routes", "dns"))
    if seconds:
        (text,) = caplog.messages
        assert text.startswith(f"{take(2)}: 10.x waited 5.0")
        assert text.endswith(f" s for routes dns, held by {take(1)} (ctdb-event show {jobs[1].run})")
    else:
        assert caplog.messages == []


# ---------------------------------------------------------------------- the queue's time


async def test_a_request_that_waits_too_long_is_answered_ebusy_and_the_log_says_behind_what(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = Node(queue_timeout=0.02)
    node.submit("legacy startup")
    node.submit("legacy recovered")
    await comes(lambda: node.answers)
    assert node.answers == [("legacy recovered", errno.EBUSY)]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "legacy recovered: not run: waited 0.02 s in the queue behind legacy startup, which arrived 0.0 s ago"
    )
    node.runs["legacy startup"].end()
    assert list(node.runs) == ["legacy startup"]


async def test_the_log_counts_the_others_that_are_in_the_way(caplog: pytest.LogCaptureFixture) -> None:
    node = Node(queue_timeout=0.02)
    for number in range(3):
        node.submit(take(number))
    node.submit("legacy ipreallocated")
    await comes(lambda: node.answers)
    assert f"behind {take(0)}, which arrived" in caplog.text
    assert caplog.messages[0].endswith("s ago and 2 more")


async def test_those_behind_a_request_that_gave_up_may_start() -> None:
    node = Node()
    node.submit(take(1))
    node.scheduler.queue_timers.limit = 0.01
    node.submit("legacy ipreallocated")
    node.scheduler.queue_timers.limit = None
    node.submit(take(2))
    await comes(lambda: take(2) in node.runs)
    assert node.answers == [("legacy ipreallocated", errno.EBUSY)]


async def test_waiting_for_an_address_is_waiting_in_the_queue(caplog: pytest.LogCaptureFixture) -> None:
    node = Node(queue_timeout=0.01)
    node.submit(take(1))
    node.submit("legacy releaseip eth0 10.0.0.1 24")
    await comes(lambda: node.answers)
    assert f"in the queue behind {take(1)}" in caplog.text


async def test_what_has_started_has_no_queue_time() -> None:
    node = Node(queue_timeout=0.01)
    started = node.job("legacy startup")
    waits, refused = node.job("legacy recovered"), node.job("legacy monitor")
    assert not node.scheduler.queue_timers.runs(started)
    assert not node.scheduler.queue_timers.runs(refused)
    assert node.scheduler.queue_timers.runs(waits)
    node.runs["legacy startup"].end()
    assert not node.scheduler.queue_timers.runs(waits)


async def test_a_cancelled_request_does_not_give_up() -> None:
    node = Node(queue_timeout=0.01)
    node.submit("legacy startup")
    waits = node.job("legacy recovered")
    node.scheduler.cancel(waits)
    assert not node.scheduler.queue_timers.runs(waits)
    assert node.answers == []


async def test_a_waiting_monitor_that_is_refused_does_not_give_up_too() -> None:
    node = Node(queue_timeout=0.01)
    node.submit("legacy monitor")
    waits = node.job("legacy monitor")
    assert node.scheduler.queue_timers.runs(waits)
    node.submit("legacy startup")
    assert not node.scheduler.queue_timers.runs(waits)
    assert node.answers == [("legacy monitor", errno.ECANCELED)]


def test_giving_up_in_the_moment_of_the_start_does_nothing() -> None:
    node = Node()
    job = node.job("legacy startup")
    node.scheduler._on_queue_timeout(job, 1.0)
    assert node.answers == []
    assert node.runs["legacy startup"].calls == []


# ---------------------------------------------------------------------- whoever waits for itself


def test_a_script_that_asks_for_what_would_wait_for_it_is_refused_and_nothing_is_queued() -> None:
    node = Node()
    asker = node.job(take(1))
    with pytest.raises(WouldDeadlock) as caught:
        node.submit("legacy ipreallocated", asker)
    assert (caught.value.asked, caught.value.asker) == ("legacy ipreallocated", take(1))
    assert node.core.jobs == (asker,)
    node.submit(take(2), asker)
    assert take(2) in node.runs


def test_a_circle_through_another_component_is_refused() -> None:
    node = Node()
    first, second = node.job("legacy startup"), node.job("other startup")
    node.submit("other recovered", first)
    with pytest.raises(WouldDeadlock):
        node.submit("legacy recovered", second)
    node.submit("third startup", second)
    node.runs["third startup"].end()
    node.runs["other startup"].end()
    node.runs["other recovered"].end()
    node.runs["legacy startup"].end()
    assert not node.scheduler.busy


def test_an_asker_that_is_over_waits_for_nothing() -> None:
    node = Node()
    asker = node.job("legacy startup")
    node.runs["legacy startup"].end()
    node.submit("legacy recovered")
    node.submit("legacy setup", asker)
    assert len(node.core.jobs) == 2


# ---------------------------------------------------------------------- shutdown


def test_a_scheduler_without_jobs_is_idle_at_once() -> None:
    idle: list[bool] = []
    Node().scheduler.shut_down(lambda: idle.append(True))
    assert idle == [True]


async def test_shutting_down_drops_what_waits_and_ends_what_runs() -> None:
    node = Node(queue_timeout=0.01)
    for text in (take(1), take(2), "legacy ipreallocated", take(3), "other startup"):
        node.submit(text)
    running = [*node.runs.values()]
    idle: list[bool] = []
    node.scheduler.shut_down(lambda: idle.append(True))
    assert len(node.runs) == len(running) == 3, "nothing was started only to be ended"
    assert all("cancel" in run.calls for run in running)
    for run in running:
        assert idle == []
        run.end(errno.ECANCELED, None)
    assert idle
    assert node.answers == []


def test_shutting_down_waits_for_what_is_over_but_not_gone() -> None:
    node = Node()
    job = node.job("legacy startup")
    node.scheduler.reported(job, RunResult(errno.ETIMEDOUT, REPORT))
    node.scheduler.released(job)
    idle: list[bool] = []
    node.scheduler.shut_down(lambda: idle.append(True))
    assert idle == []
    node.scheduler.gone(job)
    assert idle == [True]


# ---------------------------------------------------------------------- ids, and taking back by them


def test_a_run_is_found_by_its_id_until_it_is_over() -> None:
    node = Node()
    first, second = node.job("legacy startup"), node.job("legacy recovered")
    assert (node.scheduler.find(first.run), node.scheduler.find(second.run)) == (first, second)
    node.scheduler.reported(first, RunResult(errno.ETIMEDOUT, REPORT))
    node.scheduler.released(first)
    assert node.scheduler.find(first.run) is None, "it is over, though something of it is left"
    node.scheduler.gone(first)
    assert node.scheduler.find(first.run) is None
    assert node.scheduler.find("") is None


def test_ids_are_never_used_twice() -> None:
    node = Node(trivial_result=lambda spec: RunResult(0, REPORT) if spec.event == "nothing" else None)
    ids = [node.scheduler.new_run()]
    for number in range(3):
        ids.append(node.job(f"c{number} startup").run)
        assert node.submit(f"d{number} nothing") is None
        ids.append(node.scheduler.new_run())
    assert len(set(ids)) == len(ids)


def test_revoking_what_waits_answers_it_and_forgets_its_queue_time() -> None:
    node = Node()
    node.submit("legacy startup")
    job = node.job("legacy recovered")
    assert node.scheduler.revoke(job) is False
    assert node.answers == [("legacy recovered", errno.ECANCELED)]
    assert node.scheduler.find(job.run) is None
    assert list(node.runs) == ["legacy startup"]


async def test_what_was_revoked_does_not_give_up_too() -> None:
    node = Node(queue_timeout=0.01)
    node.submit("legacy startup")
    job = node.job("legacy recovered")
    node.scheduler.revoke(job)
    behind = node.job("legacy setup")
    await comes(lambda: len(node.answers) == 2)
    assert not node.scheduler.queue_timers.runs(job)
    assert not node.scheduler.queue_timers.runs(behind)
    assert node.answers == [("legacy recovered", errno.ECANCELED), ("legacy setup", errno.EBUSY)]


def test_revoking_what_runs_ends_it_and_leaves_the_answer_to_it() -> None:
    node = Node()
    job = node.job("legacy startup")
    assert node.scheduler.revoke(job) is True
    assert (node.runs["legacy startup"].calls, node.answers) == (["cancel"], [])


async def test_the_error_of_a_queue_timeout_says_how_long_and_behind_whom() -> None:
    node = Node(queue_timeout=0.01)
    node.submit("legacy startup")
    details: list[object] = []
    spec = EventSpec(component="legacy", event="recovered", args=(), timeout=0, run_all=False)
    node.scheduler.submit(spec, lambda result, more: details.append(more))
    await comes(lambda: details)
    (error,) = details
    assert isinstance(error, QueueTimeout)
    assert (error.asked, error.seconds) == ("legacy recovered", 0.01)
    assert error.blocker.startswith("legacy startup, which arrived ")


def test_runs_are_counted_by_their_outcome_those_without_work_apart() -> None:
    node = Node(trivial_result=lambda spec: RunResult(0, REPORT) if spec.component == "empty" else None)
    node.submit("empty startup")
    for result in (0, errno.ENOEXEC, errno.ETIMEDOUT, errno.ECANCELED, 0):
        node.submit("legacy startup")
        node.runs["legacy startup"].end(result)
    counts = {outcome.word: count for outcome, count in node.scheduler.outcomes.items()}
    assert counts == {"success": 2, "failed": 1, "timed-out": 1, "cancelled": 1}
    assert node.scheduler.trivial_runs == 1


# ---------------------------------------------------------------------- clients' locks


def test_what_a_client_gives_back_starts_the_script_that_waits_and_then_the_next_client() -> None:
    node = Node()
    job = node.job("legacy startup")
    told: list[str] = []
    claims = node.scheduler.client_locks
    first = claims.request(("routes",), None, 1, "first", lambda what: told.append("first"))
    assert not node.scheduler.want_script(job, "10.x", ("routes",))
    claims.request(("routes",), None, 1, "second", lambda what: told.append("second"))
    first.cancel()
    assert (node.runs["legacy startup"].calls, told) == (["proceed"], ["first"])
    node.scheduler.script_over(job)
    assert told == ["first", "second"]


def test_a_client_gets_the_locks_of_a_run_that_is_gone() -> None:
    node = Node()
    job = node.job("legacy startup")
    node.scheduler.want_script(job, "10.x", ("routes",))
    told: list[object] = []
    node.scheduler.client_locks.request(("routes",), None, 1, "client", told.append)
    node.runs["legacy startup"].end(errno.ETIMEDOUT)
    assert len(told) == 1


def test_a_thousand_clients_that_hand_a_lock_on_do_not_exhaust_the_stack() -> None:
    node = Node()
    made: dict[int, ClientLock] = {}
    order: list[int] = []

    def hand_on(number: int) -> Callable[[object], None]:
        def done(what: object) -> None:
            order.append(number)
            made[number].cancel()

        return done

    for number in range(3000):
        done = hand_on(number) if number else (lambda what: None)
        made[number] = node.scheduler.client_locks.request(("routes",), None, 1, "x", done)
    made[0].cancel()
    assert order == list(range(1, 3000))


def test_shutting_down_does_not_wait_for_clients_locks() -> None:
    node = Node()
    node.scheduler.client_locks.request(("routes",), None, 1, "client", lambda what: None)
    idle: list[bool] = []
    node.scheduler.shut_down(lambda: idle.append(True))
    assert idle == [True]


def test_shutting_down_gives_nobody_a_lock_that_becomes_free() -> None:
    """Its holder's connection is closed, but the holder may still be at work."""
    node = Node()
    told: list[object] = []
    held = node.scheduler.client_locks.request(("routes",), None, 1, "holder", told.append)
    job = node.job("legacy startup")
    assert not node.scheduler.want_script(job, "10.s", ("routes",))
    node.scheduler.client_locks.request(("routes",), None, 2, "client", told.append)
    node.scheduler.shut_down(lambda: None)
    held.cancel()
    assert len(told) == 1
    assert "proceed" not in node.runs["legacy startup"].calls
    node.runs["legacy startup"].end(errno.ECANCELED, None)
    assert len(told) == 1


def test_what_was_asked_for_in_vain_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """It waits behind an event that needs a lock of the script which asked for it."""
    node = Node()
    first, asks = node.job("legacy startup"), node.job("other startup")
    assert node.scheduler.want_script(asks, "10.s", ("routes",))
    node.submit("legacy recovered", asks)
    assert not node.scheduler.want_script(first, "10.s", ("routes",))
    assert node.answers == [("legacy recovered", errno.EDEADLK)]
    (message,) = [text for text in caplog.messages if "not run" in text]
    assert message.startswith("legacy recovered: not run: legacy recovered would wait for an event, which now needs a ")


def test_shutting_down_starts_nothing() -> None:
    node = Node()
    node.submit("legacy startup")
    idle: list[bool] = []
    node.scheduler.shut_down(lambda: idle.append(True))
    node.submit("other startup")
    assert (list(node.runs), idle) == (["legacy startup"], [])
    node.runs["legacy startup"].end(errno.ECANCELED, None)
    assert (node.answers, idle) == ([("other startup", errno.ECANCELED)], [True])


# ---------------------------------------------------------------------- what can't be ended


def test_those_who_wait_for_the_address_of_what_can_not_be_ended_are_not_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = Node(queue_timeout=None)
    job = node.job(take(1))
    node.submit("legacy releaseip eth0 10.0.0.1 24")
    node.submit(take(2))
    node.scheduler.reported(job, RunResult(errno.ETIMEDOUT, REPORT))
    node.scheduler.stuck(job)
    assert node.answers == [(take(1), errno.ETIMEDOUT), ("legacy releaseip eth0 10.0.0.1 24", errno.EBUSY)]
    assert "its address is held by a script that can't be ended" in caplog.text
    assert take(2) in node.runs
    node.submit(take(1))
    assert node.answers[-1] == (take(1), errno.EBUSY)


# ---------------------------------------------------------------------- another limit


def test_more_slots_help_those_who_wait_at_once() -> None:
    node = Node(limit=1)
    jobs = [node.job(f"c{number} startup") for number in range(3)]
    assert [node.scheduler.want_script(job, "10.x", ()) for job in jobs] == [True, False, False]
    node.scheduler.set_limit(2)
    assert [len(run.calls) for run in node.runs.values()] == [0, 1, 0]
    node.scheduler.set_limit(3)
    assert [len(run.calls) for run in node.runs.values()] == [0, 1, 1]
    node.scheduler.set_limit(1)
    node.scheduler.script_over(jobs[0])
    assert not node.scheduler.want_script(jobs[0], "20.y", ())
