"""One component's queue: its rules one by one, then any sequence of arrivals, ends and cancellations."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ctdb_eventd.events import Mode
from ctdb_eventd.scheduler.backlog import Backlog, Decision

EXCLUSIVE, MONITOR = Mode.EXCLUSIVE, Mode.MONITOR
NOTHING: Decision[str] = Decision()


def backlog_of(*jobs: str) -> Backlog[str]:
    """A backlog in which these have arrived; names that begin with m are monitors."""
    backlog: Backlog[str] = Backlog()
    for job in jobs:
        submit(backlog, job)
    return backlog


def submit(backlog: Backlog[str], job: str) -> Decision[str]:
    return backlog.submit(job, MONITOR if job.startswith("m") else EXCLUSIVE)


# ---------------------------------------------------------------------- arrivals


@pytest.mark.parametrize("job", ["takeip", "monitor"])
def test_a_job_starts_when_nothing_is_there(job: str) -> None:
    backlog = backlog_of()
    assert backlog.idle
    assert submit(backlog, job) == Decision(start=(job,))
    assert (backlog.running, backlog.waiting, backlog.idle) == ((job,), (), False)


def test_a_job_waits_for_the_one_that_runs() -> None:
    backlog = backlog_of("first")
    assert submit(backlog, "second") == NOTHING
    assert (backlog.running, backlog.waiting) == (("first",), ("second",))


@pytest.mark.parametrize("there", [("a",), ("a", "b")])
def test_a_monitor_is_refused_while_anything_else_is_there(there: tuple[str, ...]) -> None:
    backlog = backlog_of(*there)
    assert submit(backlog, "monitor") == Decision(refuse=("monitor",))
    assert backlog.running + backlog.waiting == there


@pytest.mark.parametrize("job", ["takeip", "m2"])
def test_whatever_arrives_ends_a_running_monitor_and_runs_after_it(job: str) -> None:
    backlog = backlog_of("m1")
    assert submit(backlog, job) == Decision(end=("m1",))
    assert backlog.finished("m1") == Decision(start=(job,))


def test_a_monitor_is_ended_once() -> None:
    backlog = backlog_of("m1", "a")
    assert submit(backlog, "b") == NOTHING
    assert backlog.waiting == ("a", "b")


@pytest.mark.parametrize("job", ["takeip", "m3"])
def test_whatever_arrives_takes_the_place_of_a_waiting_monitor(job: str) -> None:
    backlog = backlog_of("m1", "m2")
    assert submit(backlog, job) == Decision(refuse=("m2",))
    assert (backlog.running, backlog.waiting) == (("m1",), (job,))


def test_a_monitor_is_refused_while_an_ended_one_makes_way_for_something_else() -> None:
    assert submit(backlog_of("m1", "takeip"), "m2") == Decision(refuse=("m2",))


# ---------------------------------------------------------------------- ends and cancellations


def test_jobs_run_one_by_one_in_order_of_arrival() -> None:
    backlog = backlog_of("a", "b", "c")
    assert backlog.finished("a") == Decision(start=("b",))
    assert backlog.finished("b") == Decision(start=("c",))
    assert backlog.finished("c") == NOTHING
    assert backlog.idle


def test_a_waiting_job_that_is_cancelled_is_forgotten() -> None:
    backlog = backlog_of("a", "b", "c")
    assert backlog.cancel("b") == NOTHING
    assert backlog.finished("a") == Decision(start=("c",))


def test_a_running_job_that_is_cancelled_has_to_be_ended_and_keeps_its_place_until_it_is() -> None:
    backlog = backlog_of("a", "b")
    assert backlog.cancel("a") == Decision(end=("a",))
    assert backlog.running == ("a",)
    assert backlog.cancel("a") == NOTHING
    assert backlog.finished("a") == Decision(start=("b",))


def test_a_cancelled_monitor_is_not_ended_again_by_an_arrival() -> None:
    backlog = backlog_of("m1")
    assert backlog.cancel("m1") == Decision(end=("m1",))
    assert submit(backlog, "takeip") == NOTHING


def test_a_job_that_is_over_may_be_cancelled() -> None:
    backlog = backlog_of("a")
    backlog.finished("a")
    assert backlog.cancel("a") == NOTHING
    assert backlog.idle


def test_nothing_is_remembered_of_a_job_that_was_ended() -> None:
    backlog = backlog_of("m1", "takeip")
    backlog.finished("m1")
    backlog.finished("takeip")
    assert submit(backlog, "m1") == Decision(start=("m1",))
    assert backlog.cancel("m1") == Decision(end=("m1",))


def test_a_monitor_starts_when_all_that_waited_before_it_took_itself_back() -> None:
    backlog = backlog_of("m1", "takeip")
    backlog.cancel("takeip")
    assert submit(backlog, "m2") == NOTHING
    assert backlog.finished("m1") == Decision(start=("m2",))


@pytest.mark.parametrize("field", ["refuse", "end", "start"])
def test_a_decision_is_true_when_there_is_something_to_do(field: str) -> None:
    assert Decision(**{field: ("a",)})
    assert not Decision()


# ---------------------------------------------------------------------- any sequence


class AnySequence(RuleBasedStateMachine):
    """Does to a backlog whatever can be done, obeys its decisions, and keeps books of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog: Backlog[int] = Backlog()
        self.modes: dict[int, Mode] = {}
        self.fates: dict[int, str] = {}
        self.waiting: list[int] = []
        self.running: list[int] = []
        self.ending: set[int] = set()
        self.started: list[int] = []

    def obey(self, decision: Decision[int]) -> None:
        assert bool(decision) == bool(decision.refuse or decision.end or decision.start)
        for job in decision.refuse:
            assert self.modes[job] is MONITOR, "only monitors are refused"
            self.leave(job, "refused")
        for job in decision.end:
            assert job in self.running
            assert job not in self.ending, "ended twice"
            self.ending.add(job)
        for job in decision.start:
            assert job == self.waiting[0], "not the one that waited longest"
            self.leave(job, "started")
            self.running.append(job)
            self.started.append(job)

    def leave(self, job: int, fate: str) -> None:
        assert job not in self.fates
        self.waiting.remove(job)
        self.fates[job] = fate

    @rule(mode=st.sampled_from([EXCLUSIVE, MONITOR]))
    def submit(self, mode: Mode) -> None:
        job = len(self.modes)
        there = [self.modes[other] for other in self.running + self.waiting]
        monitors_waiting = tuple(other for other in self.waiting if self.modes[other] is MONITOR)
        monitors_to_end = tuple(
            other for other in self.running if self.modes[other] is MONITOR and other not in self.ending
        )
        self.modes[job] = mode
        self.waiting.append(job)
        decision = self.backlog.submit(job, mode)
        if not there:
            assert decision == Decision(start=(job,))
        elif mode is MONITOR and EXCLUSIVE in there:
            assert decision == Decision(refuse=(job,))
        else:
            assert decision == Decision(refuse=monitors_waiting, end=monitors_to_end)
        self.obey(decision)

    @precondition(lambda self: self.running)
    @rule()
    def finish(self) -> None:
        job = self.running.pop()
        self.ending.discard(job)
        self.obey(self.backlog.finished(job))

    @precondition(lambda self: self.modes)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from([*self.modes]), label="job")
        if job in self.waiting:
            self.leave(job, "cancelled")
        expected = (job,) if job in self.running and job not in self.ending else ()
        decision = self.backlog.cancel(job)
        assert decision.end == expected
        self.obey(decision)

    @invariant()
    def books_agree(self) -> None:
        assert self.backlog.running == tuple(self.running)
        assert self.backlog.waiting == tuple(self.waiting)
        assert self.backlog.idle == (not self.running and not self.waiting)

    @invariant()
    def at_most_one_runs(self) -> None:
        assert len(self.running) <= 1

    @invariant()
    def nothing_waits_for_nothing(self) -> None:
        assert self.running or not self.waiting

    @invariant()
    def monitors_yield(self) -> None:
        assert not self.waiting or all(job in self.ending for job in self.running if self.modes[job] is MONITOR)
        assert len(self.waiting) == 1 or MONITOR not in [self.modes[job] for job in self.waiting]

    @invariant()
    def order_of_arrival_is_kept(self) -> None:
        assert self.started == sorted(self.started)

    def teardown(self) -> None:
        # Only ends from here on: everything that waits must get its turn, in as many steps as there are jobs.
        for _ in range(len(self.running + self.waiting)):
            self.finish()
        assert self.backlog.idle
        assert self.fates.keys() == self.modes.keys(), "lost"
        assert "refused" not in {self.fates[job] for job, mode in self.modes.items() if mode is EXCLUSIVE}


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
