"""One component's queue: its rules one by one, then any sequence of arrivals, ends and cancellations."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ctdb_eventd.events import Mode
from ctdb_eventd.scheduler.backlog import Backlog, Decision

EXCLUSIVE, MONITOR, ADDRESS = Mode.EXCLUSIVE, Mode.MONITOR, Mode.ADDRESS
NOTHING: Decision[str] = Decision()


def backlog_of(*jobs: str) -> Backlog[str]:
    """A backlog in which these have arrived; see `submit`."""
    backlog: Backlog[str] = Backlog()
    for job in jobs:
        submit(backlog, job)
    return backlog


def submit(backlog: Backlog[str], job: str) -> Decision[str]:
    """Names that begin with m are monitors, those with @ are address events."""
    return backlog.submit(job, mode_of(job))


def mode_of(job: str) -> Mode:
    return MONITOR if job.startswith("m") else ADDRESS if "@" in job else EXCLUSIVE


# ---------------------------------------------------------------------- arrivals


@pytest.mark.parametrize("job", ["startup", "monitor", "takeip@1"])
def test_a_job_starts_when_nothing_is_there(job: str) -> None:
    backlog = backlog_of()
    assert backlog.idle
    assert submit(backlog, job) == Decision(start=(job,))
    assert (backlog.running, backlog.waiting, backlog.idle) == ((job,), (), False)


def test_a_job_waits_for_the_one_that_runs() -> None:
    backlog = backlog_of("first")
    assert submit(backlog, "second") == NOTHING
    assert (backlog.running, backlog.waiting) == (("first",), ("second",))


@pytest.mark.parametrize("there", [("a",), ("a", "b"), ("@1",), ("@1", "b"), ("@1", "@2")])
def test_a_monitor_is_refused_while_anything_else_is_there(there: tuple[str, ...]) -> None:
    backlog = backlog_of(*there)
    assert submit(backlog, "monitor") == Decision(refuse=("monitor",))
    assert backlog.running + backlog.waiting == there


@pytest.mark.parametrize("job", ["takeip@1", "startup", "m2"])
def test_whatever_arrives_ends_a_running_monitor_and_runs_after_it(job: str) -> None:
    backlog = backlog_of("m1")
    assert submit(backlog, job) == Decision(end=("m1",))
    assert backlog.finished("m1") == Decision(start=(job,))


def test_a_monitor_is_ended_once() -> None:
    backlog = backlog_of("m1", "a")
    assert submit(backlog, "b") == NOTHING
    assert backlog.waiting == ("a", "b")


@pytest.mark.parametrize("job", ["takeip@1", "startup", "m3"])
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


def test_a_cancelled_monitor_is_told_once_that_another_wants_its_place() -> None:
    backlog = backlog_of("m1")
    assert backlog.cancel("m1") == Decision(end=("m1",))
    assert submit(backlog, "takeip") == Decision(end=("m1",))
    assert submit(backlog, "releaseip") == NOTHING
    assert backlog.cancel("m1") == NOTHING


def test_a_monitor_that_yields_is_not_ended_again_when_it_is_taken_back() -> None:
    backlog = backlog_of("m1", "takeip")
    assert backlog.cancel("m1") == NOTHING


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


# ---------------------------------------------------------------------- address events


def test_address_events_run_together() -> None:
    backlog = backlog_of("@1", "@2")
    assert submit(backlog, "@3") == Decision(start=("@3",))
    assert backlog.running == ("@1", "@2", "@3")


def test_an_exclusive_event_waits_for_all_address_events_before_it() -> None:
    backlog = backlog_of("@1", "@2", "after")
    assert backlog.finished("@2") == NOTHING
    assert backlog.finished("@1") == Decision(start=("after",))


def test_an_address_event_does_not_pass_an_exclusive_one() -> None:
    backlog = backlog_of("@1", "barrier")
    assert submit(backlog, "@2") == NOTHING
    assert backlog.finished("@1") == Decision(start=("barrier",))
    assert backlog.finished("barrier") == Decision(start=("@2",))


def test_neighbouring_address_events_start_together() -> None:
    backlog = backlog_of("first", "@1", "@2", "barrier", "@3")
    assert backlog.finished("first") == Decision(start=("@1", "@2"))
    assert backlog.waiting == ("barrier", "@3")


def test_without_their_barrier_address_events_join_those_that_run() -> None:
    backlog = backlog_of("@1", "barrier", "@2", "@3", "last")
    assert backlog.cancel("barrier") == Decision(start=("@2", "@3"))
    assert backlog.running == ("@1", "@2", "@3")


def test_a_cancelled_address_event_is_ended_and_the_others_go_on() -> None:
    backlog = backlog_of("@1", "@2", "after")
    assert backlog.cancel("@1") == Decision(end=("@1",))
    assert backlog.finished("@1") == NOTHING
    assert backlog.finished("@2") == Decision(start=("after",))


def test_an_address_event_does_not_join_an_exclusive_or_a_monitor() -> None:
    assert submit(backlog_of("alone"), "@1") == NOTHING
    assert submit(backlog_of("monitor"), "@1") == Decision(end=("monitor",))


def test_address_events_wait_together_for_a_monitor_to_end() -> None:
    backlog = backlog_of("monitor", "@1", "@2", "after")
    assert backlog.finished("monitor") == Decision(start=("@1", "@2"))


def test_the_batch_grows_with_whatever_is_no_address_event() -> None:
    backlog = backlog_of("@1", "@2")
    batches = [backlog.batch]
    for job in ("@1", "@2"):
        backlog.finished(job)
    for job in ("@3", "alone", "@4", "m"):
        submit(backlog, job)
        batches.append(backlog.batch)
        backlog.finished(job) if job in backlog.running else backlog.cancel(job)
    assert batches == [0, 0, 1, 1, 2]


def test_events_that_start_together_after_a_barrier_are_of_one_batch() -> None:
    backlog = backlog_of("first", "@1", "@2")
    backlog.finished("first")
    before = backlog.batch
    submit(backlog, "@3")
    assert backlog.batch == before == 1


# ---------------------------------------------------------------------- who is in the way


def test_what_waits_waits_for_all_that_run_and_all_before_it() -> None:
    backlog = backlog_of("@1", "@2", "barrier", "@3")
    assert backlog.blockers("barrier") == ("@1", "@2")
    assert backlog.blockers("@3") == ("@1", "@2", "barrier")


@pytest.mark.parametrize("job", ["@1", "stranger"])
def test_what_does_not_wait_waits_for_nobody(job: str) -> None:
    assert backlog_of("@1", "barrier").blockers(job) == ()


@pytest.mark.parametrize(
    ("there", "job", "blockers"),
    [
        ((), "alone", ()),
        ((), "m", ()),
        (("@1",), "@2", ()),
        (("@1",), "alone", ("@1",)),
        (("@1", "barrier"), "@2", ("@1", "barrier")),
        (("alone",), "@1", ("alone",)),
        (("m1",), "alone", ("m1",)),
        (("m1",), "m2", ("m1",)),
        (("m1", "alone"), "@1", ("m1", "alone")),
        # a monitor that would be refused waits for nobody
        (("alone",), "m", ()),
        (("@1",), "m", ()),
        (("m1", "alone"), "m2", ()),
    ],
)
def test_for_whom_a_new_event_would_wait(there: tuple[str, ...], job: str, blockers: tuple[str, ...]) -> None:
    assert backlog_of(*there).blockers_of_new(mode_of(job)) == blockers


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
        self.yielding: set[int] = set()
        self.started: list[int] = []

    def obey(self, decision: Decision[int]) -> None:
        assert bool(decision) == bool(decision.refuse or decision.end or decision.start)
        for job in decision.refuse:
            assert self.modes[job] is MONITOR, "only monitors are refused"
            self.leave(job, "refused")
        for job in decision.end:
            assert job in self.running
            assert job not in self.ending or self.waiting, "ended twice"
            self.ending.add(job)
            if self.waiting:
                assert job not in self.yielding, "yields twice"
                self.yielding.add(job)
        for job in decision.start:
            assert job == self.waiting[0], "not the one that waited longest"
            assert all(self.modes[job] is ADDRESS is self.modes[other] for other in self.running), "not its like"
            self.leave(job, "started")
            self.running.append(job)
            self.started.append(job)

    def leave(self, job: int, fate: str) -> None:
        assert job not in self.fates
        self.waiting.remove(job)
        self.fates[job] = fate

    @rule(mode=st.sampled_from([ADDRESS, ADDRESS, EXCLUSIVE, MONITOR]))
    def submit(self, mode: Mode) -> None:
        job = len(self.modes)
        there = [self.modes[other] for other in self.running + self.waiting]
        monitors_waiting = tuple(other for other in self.waiting if self.modes[other] is MONITOR)
        monitors_to_end = tuple(
            other for other in self.running if self.modes[other] is MONITOR and other not in self.yielding
        )
        self.modes[job] = mode
        self.waiting.append(job)
        expected = self.backlog.blockers_of_new(mode)
        decision = self.backlog.submit(job, mode)
        if {mode, *there} == {ADDRESS} or not there:
            assert decision == Decision(start=(job,))
        elif mode is MONITOR and there.count(MONITOR) < len(there):
            assert decision == Decision(refuse=(job,))
        else:
            assert decision == Decision(refuse=monitors_waiting, end=monitors_to_end)
        assert bool(expected) == (job not in (*decision.start, *decision.refuse))
        self.obey(decision)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.do_finish(data.draw(st.sampled_from(self.running), label="job"))

    def do_finish(self, job: int) -> None:
        self.running.remove(job)
        self.ending.discard(job)
        self.yielding.discard(job)
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
    def only_address_events_run_together(self) -> None:
        assert len(self.running) <= 1 or {self.modes[job] for job in self.running} == {ADDRESS}

    @invariant()
    def whatever_waits_waits_for_somebody(self) -> None:
        for job in self.modes:
            assert bool(self.backlog.blockers(job)) == (job in self.waiting)

    @invariant()
    def nothing_waits_for_nothing(self) -> None:
        assert self.running or not self.waiting

    @invariant()
    def monitors_yield(self) -> None:
        assert not self.waiting or all(job in self.yielding for job in self.running if self.modes[job] is MONITOR)
        assert len(self.waiting) == 1 or MONITOR not in [self.modes[job] for job in self.waiting]

    @invariant()
    def order_of_arrival_is_kept(self) -> None:
        assert self.started == sorted(self.started)

    def teardown(self) -> None:
        # Only ends from here on: everything that waits must get its turn, in as many steps as there are jobs.
        for _ in range(len(self.running + self.waiting)):
            self.do_finish(self.running[0])
        assert self.backlog.idle
        assert self.fates.keys() == self.modes.keys(), "lost"
        assert "refused" not in {self.fates[job] for job, mode in self.modes.items() if mode is not MONITOR}


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
