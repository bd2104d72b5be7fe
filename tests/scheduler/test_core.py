"""Backlogs, address locks, script locks and slots put together: each step of a job's way."""

from __future__ import annotations

import pytest

from ctdb_eventd.errors import WouldDeadlock
from ctdb_eventd.events import Mode, Plan, plan
from ctdb_eventd.scheduler.admission import Admission, AdmissionState, Load
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.locks import LockState
from ctdb_eventd.scheduler.states import Action, CoreState, Stage

EXCLUSIVE = Plan(Mode.EXCLUSIVE)

ALONE, MONITOR = Plan(Mode.EXCLUSIVE), Plan(Mode.MONITOR)
X, Y = plan("takeip", ("eth0", "10.0.0.1", "24")), plan("takeip", ("eth0", "10.0.0.2", "24"))
RELEASE_X = plan("releaseip", ("eth1", "10.0.0.1", "24"))
SIX, SIX_AGAIN = plan("takeip", ("eth0", "2001:DB8::1", "64")), plan("releaseip", ("eth0", "2001:db8:0:0::1", "64"))


def core_of(*jobs: tuple[str, Plan], limit: int = 100) -> Core[str]:
    """A core to which these were submitted, and which was obeyed."""
    core: Core[str] = Core(Admission(processors=1, limit=limit))
    for job, its_plan in jobs:
        core.submit(job, "legacy", its_plan)
    todo(core)
    return core


def todo(core: Core[str]) -> list[tuple[Action, str]]:
    """What is to be done; that a job waits for its address is only told."""
    found = []
    while (step := core.take()) is not None:
        if step[0] is not Action.WAIT:
            found.append(step)
    return found


def over(core: Core[str], job: str) -> list[tuple[Action, str]]:
    """Ends a job all at once."""
    core.released(job)
    core.gone(job)
    return todo(core)


# ---------------------------------------------------------------------- a job's way


def test_a_new_core_has_nothing_to_do() -> None:
    core = core_of()
    assert core.take() is None
    assert core.jobs == ()
    assert core.idle("legacy")


def test_an_event_is_started_when_nothing_is_there() -> None:
    core = core_of()
    core.submit("a", "legacy", ALONE)
    assert todo(core) == [(Action.START, "a")]
    assert (core.idle("legacy"), core.idle("other"), core.waits("a")) == (False, True, False)


def test_components_do_not_wait_for_one_another() -> None:
    core = core_of(("a", ALONE))
    core.submit("b", "other", ALONE)
    assert todo(core) == [(Action.START, "b")]


def test_an_exclusive_event_waits_until_all_before_it_are_released() -> None:
    core = core_of(("x", X), ("y", Y), ("after", ALONE))
    core.released("x")
    assert todo(core) == []
    core.released("y")
    assert todo(core) == [(Action.START, "after")]


def test_address_events_run_together_and_those_behind_a_barrier_wait_for_it() -> None:
    core = core_of(("x", X))
    core.submit("y", "legacy", Y)
    core.submit("barrier", "legacy", ALONE)
    core.submit("x2", "legacy", X)
    assert todo(core) == [(Action.START, "y")]
    assert over(core, "x") == []
    assert over(core, "y") == [(Action.START, "barrier")]
    assert over(core, "barrier") == [(Action.START, "x2")]


def test_the_same_address_waits_until_nothing_of_the_former_event_is_left() -> None:
    core = core_of(("take", X), ("release", RELEASE_X))
    assert core.waits("release")
    core.released("take")
    assert todo(core) == []
    assert core.waits("release")
    core.gone("take")
    assert todo(core) == [(Action.START, "release")]


def test_two_spellings_of_an_address_are_one() -> None:
    core = core_of(("take", SIX), ("release", SIX_AGAIN))
    assert core.waits("release")
    assert over(core, "take") == [(Action.START, "release")]


def test_an_address_is_one_in_all_components() -> None:
    core = core_of(("take", X))
    core.submit("elsewhere", "other", RELEASE_X)
    assert todo(core) == []
    assert over(core, "take") == [(Action.START, "elsewhere")]


def test_an_exclusive_event_also_waits_for_those_that_wait_for_their_address() -> None:
    core = core_of(("take", X), ("release", RELEASE_X), ("after", ALONE))
    assert over(core, "take") == [(Action.START, "release")]
    assert over(core, "release") == [(Action.START, "after")]


def test_an_exclusive_event_may_start_while_a_timed_out_one_still_holds_its_address() -> None:
    core = core_of(("take", X), ("after", ALONE), ("again", X))
    core.released("take")
    assert todo(core) == [(Action.START, "after")]
    core.released("after")
    core.gone("after")
    assert todo(core) == []
    core.gone("take")
    assert todo(core) == [(Action.START, "again")]


def test_a_monitor_is_ended_by_what_comes_and_refused_while_something_else_is_there() -> None:
    core = core_of(("monitor", MONITOR))
    core.submit("take", "legacy", X)
    assert todo(core) == [(Action.YIELD, "monitor")]
    core.submit("another", "legacy", MONITOR)
    assert todo(core) == [(Action.REFUSE, "another")]
    assert core.jobs == ("monitor", "take")
    assert over(core, "monitor") == [(Action.START, "take")]


def test_a_monitor_that_waits_for_an_ended_one_is_refused_when_something_else_comes() -> None:
    core = core_of(("first", MONITOR), ("second", MONITOR))
    core.submit("take", "legacy", X)
    assert todo(core) == [(Action.REFUSE, "second")]


def test_batches_tell_which_address_events_ran_between_the_same_two_barriers() -> None:
    core = core_of(("x", X), ("y", Y), ("barrier", ALONE), ("x2", X), ("y2", Y))
    batches = [core.batch("x"), core.batch("y")]
    for job in ("x", "y", "barrier"):
        over(core, job)
    batches += [core.batch("x2"), core.batch("y2")]
    assert batches == [0, 0, 1, 1]


# ---------------------------------------------------------------------- cancelling


def test_a_cancelled_event_that_waits_is_forgotten_and_a_barrier_less_lets_others_go() -> None:
    core = core_of(("x", X), ("barrier", ALONE), ("y", Y))
    core.cancel("barrier")
    assert todo(core) == [(Action.START, "y")]
    assert core.jobs == ("x", "y")


def test_a_cancelled_event_that_runs_is_ended_once() -> None:
    core = core_of(("a", ALONE))
    core.cancel("a")
    core.cancel("a")
    assert todo(core) == [(Action.END, "a")]
    assert over(core, "a") == []


def test_a_cancelled_event_that_waits_for_its_address_is_forgotten() -> None:
    core = core_of(("take", X), ("release", RELEASE_X), ("again", X), ("after", ALONE))
    core.cancel("release")
    assert todo(core) == []
    assert core.jobs == ("take", "again", "after")
    assert over(core, "take") == [(Action.START, "again")]
    assert over(core, "again") == [(Action.START, "after")]


def test_the_last_event_before_a_barrier_may_be_cancelled_while_it_waits_for_its_address() -> None:
    core = core_of(("take", X), ("release", RELEASE_X), ("after", ALONE))
    core.released("take")
    core.cancel("release")
    assert todo(core) == [(Action.START, "after")]


def test_what_is_over_may_be_cancelled() -> None:
    core = core_of(("a", X))
    core.released("a")
    core.cancel("a")
    core.gone("a")
    core.cancel("a")
    assert todo(core) == []


def test_a_timed_out_event_may_be_cancelled_after_its_component_was_forgotten() -> None:
    core = core_of()
    for number in range(20):
        core.submit(f"job {number}", f"component {number}", ALONE)
        core.released(f"job {number}")
    for number in range(20):
        core.cancel(f"job {number}")
        core.gone(f"job {number}")
    assert core.jobs == ()


def test_a_component_that_was_forgotten_can_come_back() -> None:
    core = core_of()
    for number in range(20):
        core.submit("job", f"component {number}", ALONE)
        assert todo(core) == [(Action.START, "job")]
        assert over(core, "job") == []
    core.submit("job", "component 19", ALONE)
    assert todo(core) == [(Action.START, "job")]


# ---------------------------------------------------------------------- scripts


def test_a_script_without_locks_may_start_while_there_are_slots() -> None:
    core = core_of(("x", X), ("y", Y), limit=1)
    assert core.want_script("x", ())
    assert not core.want_script("y", ())
    core.script_over("x")
    assert todo(core) == [(Action.GO, "y")]


def test_a_script_waits_for_its_locks() -> None:
    core = core_of(("x", X), ("y", Y))
    assert core.want_script("x", ("iptables",))
    assert not core.want_script("y", ("iptables", "routes"))
    core.script_over("x")
    assert todo(core) == [(Action.GO, "y")]


def test_the_next_script_of_the_same_event_needs_leave_again() -> None:
    core = core_of(("x", X), ("y", Y))
    assert core.want_script("x", ("iptables",))
    assert not core.want_script("y", ("iptables",))
    core.script_over("x")
    assert not core.want_script("x", ("iptables",))
    assert todo(core) == [(Action.GO, "y")]


def test_who_has_its_locks_still_needs_a_slot() -> None:
    core = core_of(("x", X), ("y", Y), ("z", plan("takeip", ("eth0", "10.0.0.3", "24"))), limit=2)
    assert core.want_script("x", ("iptables",))
    assert core.want_script("z", ())
    assert not core.want_script("y", ("iptables",))
    core.admission.set_limit(1)
    core.script_over("x")
    assert todo(core) == [], "has the lock, and no slot"
    core.script_over("z")
    assert todo(core) == [(Action.GO, "y")]


def test_locks_and_slot_of_a_script_that_was_broken_off_are_held_until_it_is_gone() -> None:
    core = core_of(("x", X), ("y", Y))
    core.want_script("x", ("iptables",))
    core.want_script("y", ("iptables",))
    core.released("x")
    assert todo(core) == []
    core.gone("x")
    assert todo(core) == [(Action.GO, "y")]


def test_a_wish_that_was_not_granted_is_gone_with_its_event() -> None:
    core = core_of(("x", X), ("y", Y))
    core.want_script("x", ("iptables",))
    core.want_script("y", ("iptables",))
    assert over(core, "y") == []
    core.script_over("x")
    assert todo(core) == []
    assert core.state.scripts == ()


def test_a_script_that_is_over_twice_is_over_once() -> None:
    core = core_of(("x", X))
    core.want_script("x", ("iptables",))
    core.script_over("x")
    core.script_over("x")
    assert core.state.admission.running == 0


def test_beyond_the_free_slots_the_load_decides_one_by_one() -> None:
    jobs = [(f"job {number}", plan("takeip", ("eth0", f"10.0.0.{number}", "24"))) for number in range(21)]
    core = core_of(*jobs)
    assert [core.want_script(job, ()) for job, _ in jobs] == [True] * 18 + [False] * 3
    core.admit_one(Load(100))
    core.admit_free()
    assert todo(core) == []
    core.admit_one(Load(0))
    assert todo(core) == [(Action.GO, "job 18")]


# ---------------------------------------------------------------------- what is shown


def test_the_state_shows_every_job_lock_and_slot() -> None:
    core = core_of(("take", X), ("release", RELEASE_X), ("y", Y), ("after", ALONE))
    core.want_script("take", ("iptables",))
    core.want_script("y", ("iptables",))
    core.released("take")
    assert core.state == CoreState(
        stages=(
            ("take", Stage.RELEASED),
            ("release", Stage.LOCKING),
            ("y", Stage.RUNNING),
            ("after", Stage.QUEUED),
        ),
        addresses=(LockState("address:10.0.0.1", "take", ("release",)), LockState("address:10.0.0.2", "y", ())),
        scripts=(LockState("iptables", "take", ("y",)),),
        admission=AdmissionState(running=1, waiting=0, free_limit=18, limit=100, held_back=False),
    )


def test_blockers_are_those_for_whom_an_event_waits_before_its_start() -> None:
    core = core_of(("take", X), ("release", RELEASE_X), ("after", ALONE), ("last", Y))
    assert core.blockers("take") == ()
    assert core.blockers("release") == ("take",)
    assert core.blockers("after") == ("take", "release")
    assert core.blockers("last") == ("take", "release", "after")
    assert core.blockers("stranger") == ()
    assert not core.waits("stranger")


# ---------------------------------------------------------------------- whoever waits for itself


def test_an_event_that_would_wait_for_its_asker_would_deadlock() -> None:
    core = core_of(("asker", X))
    assert core.would_deadlock("legacy", ALONE, frozenset({"asker"}))
    assert not core.would_deadlock("other", ALONE, frozenset({"asker"}))


def test_an_address_event_may_ask_for_another_address_but_not_for_its_own() -> None:
    core = core_of(("asker", X))
    assert not core.would_deadlock("legacy", Y, frozenset({"asker"}))
    assert core.would_deadlock("legacy", RELEASE_X, frozenset({"asker"}))
    assert core.would_deadlock("other", RELEASE_X, frozenset({"asker"}))


def test_another_address_would_deadlock_too_behind_what_waits_for_the_asker() -> None:
    core = core_of(("asker", X), ("barrier", ALONE))
    assert core.would_deadlock("legacy", Y, frozenset({"asker"}))


def test_behind_somebody_who_waits_for_the_askers_address_is_behind_the_asker() -> None:
    core = core_of(("asker", X))
    core.submit("waits", "other", RELEASE_X)
    assert core.would_deadlock("other", ALONE, frozenset({"asker"}))


def test_waiting_for_others_is_no_deadlock() -> None:
    core = core_of(("other's", ALONE), ("queued", ALONE))
    core.submit("asker", "other", ALONE)
    assert not core.would_deadlock("legacy", ALONE, frozenset({"asker"}))


@pytest.mark.parametrize("mode", [ALONE, X])
def test_a_monitor_that_would_be_refused_waits_for_nobody(mode: Plan) -> None:
    assert not core_of(("asker", mode)).would_deadlock("legacy", MONITOR, frozenset({"asker"}))


def test_what_would_end_the_asking_monitor_would_deadlock() -> None:
    core = core_of(("asker", MONITOR))
    assert core.would_deadlock("legacy", ALONE, frozenset({"asker"}))
    assert core.would_deadlock("legacy", MONITOR, frozenset({"asker"}))


def test_a_circle_through_another_script_that_asked_would_deadlock() -> None:
    core = core_of(("first", ALONE))
    core.submit("second", "other", ALONE)
    core.submit("asked by first", "other", ALONE, frozenset({"first"}))
    assert core.would_deadlock("legacy", ALONE, frozenset({"second"}))
    assert not core.would_deadlock("third", ALONE, frozenset({"second"}))


def test_a_circle_through_three_components_would_deadlock() -> None:
    core = core_of(("a", ALONE))
    core.submit("b", "two", ALONE)
    core.submit("c", "three", ALONE)
    core.submit("asked by a", "two", ALONE, frozenset({"a"}))
    core.submit("asked by b", "three", ALONE, frozenset({"b"}))
    assert core.would_deadlock("legacy", ALONE, frozenset({"c"}))
    assert not core.would_deadlock("four", ALONE, frozenset({"c"}))


def test_an_asker_that_asked_for_several_events_is_behind_each_of_them() -> None:
    core = core_of(("a", ALONE))
    core.submit("b", "two", ALONE)
    core.submit("free", "three", ALONE, frozenset({"a"}))
    core.submit("queued", "two", ALONE, frozenset({"a"}))
    assert core.would_deadlock("legacy", ALONE, frozenset({"b"}))


def test_a_circle_through_a_script_lock_would_deadlock() -> None:
    core = core_of(("asker", ALONE))
    core.submit("other's", "other", ALONE)
    core.want_script("asker", ("iptables",))
    core.want_script("other's", ("iptables",))
    assert core.would_deadlock("other", ALONE, frozenset({"asker"}))


def test_a_circle_through_an_address_that_a_queued_event_will_need_would_deadlock() -> None:
    core = core_of(("asker", X))
    core.submit("runs", "other", ALONE)
    core.submit("needs the address", "other", RELEASE_X)
    assert core.would_deadlock("other", ALONE, frozenset({"asker"}))


def test_an_event_that_a_script_asks_for_runs_in_the_scripts_place_when_no_slot_is_left() -> None:
    core: Core[str] = Core(Admission(processors=1, limit=1))
    core.submit("asker", "legacy", EXCLUSIVE)
    assert core.take() == (Action.START, "asker")
    assert core.want_script("asker", ())
    core.submit("asked", "site", EXCLUSIVE, frozenset({"asker"}))
    assert core.take() == (Action.START, "asked")
    assert core.want_script("asked", ())
    core.submit("other", "third", EXCLUSIVE)
    assert core.take() == (Action.START, "other")
    assert not core.want_script("other", ())


def test_a_script_that_needs_a_lock_of_the_script_that_waits_for_it_is_refused() -> None:
    core: Core[str] = Core(Admission(processors=1, limit=8))
    core.submit("asker", "legacy", EXCLUSIVE)
    assert core.take() == (Action.START, "asker")
    assert core.want_script("asker", ("table",))
    core.submit("asked", "site", EXCLUSIVE, frozenset({"asker"}))
    assert core.take() == (Action.START, "asked")
    with pytest.raises(WouldDeadlock, match=r"^a script of asked with the locks table other would wait for asker"):
        core.want_script("asked", ("table", "other"))
    assert core.want_script("asked", ("other",))


def test_batches_of_a_component_that_was_forgotten_do_not_come_again() -> None:
    core: Core[str] = Core(Admission(processors=1, limit=100))
    batches = set()
    for number in range(50):
        for component in ("legacy", f"c{number}"):
            job = f"{component} {number}"
            core.submit(job, component, Plan(Mode.ADDRESS))
            while core.take() is not None:
                pass
            if component == "legacy":
                core.submit(f"{job} barrier", component, EXCLUSIVE)
                batches.add(core.batch(job))
                core.released(job)
                core.gone(job)
                while core.take() is not None:
                    pass
                core.released(f"{job} barrier")
                core.gone(f"{job} barrier")
    assert len(batches) == 50


def test_nobody_waits_for_an_address_that_is_held_by_what_can_not_be_ended() -> None:
    core: Core[str] = Core(Admission(processors=1, limit=8))
    for job in ("stuck", "waits"):
        core.submit(job, "legacy", plan("takeip", ("eth0", "10.0.0.1", "24")))
    core.submit("barrier", "legacy", EXCLUSIVE)
    assert core.take() == (Action.START, "stuck")
    assert core.take() == (Action.WAIT, "waits")
    assert core.take() is None
    core.stuck("stuck")
    core.released("stuck")
    assert core.take() == (Action.FAIL, "waits")
    assert core.take() == (Action.START, "barrier")
    core.released("barrier")
    core.gone("barrier")
    core.submit("later", "legacy", plan("releaseip", ("eth0", "10.0.0.1", "24")))
    core.submit("other", "legacy", plan("takeip", ("eth0", "10.0.0.2", "24")))
    assert [core.take(), core.take()] == [(Action.FAIL, "later"), (Action.START, "other")]
    core.gone("stuck")
    core.submit("again", "legacy", plan("takeip", ("eth0", "10.0.0.1", "24")))
    assert core.take() == (Action.START, "again")


# ---------------------------------------------------------------------- stages and wishes


def test_a_jobs_stages_until_it_is_forgotten() -> None:
    core = core_of(("take", X), ("release", RELEASE_X), ("after", ALONE))
    assert [core.stage(job) for job in core.jobs] == [Stage.RUNNING, Stage.LOCKING, Stage.QUEUED]
    core.released("take")
    assert core.stage("take") is Stage.RELEASED
    core.gone("take")
    assert core.stage("take") is None
    assert core.stage("stranger") is None


def test_that_a_job_waits_for_its_address_and_nothing_else_is_told_once() -> None:
    core = core_of(("take", X))
    core.submit("release", "legacy", RELEASE_X)
    assert core.take() == (Action.WAIT, "release")
    assert core.take() is None
    core.submit("take again", "legacy", X)
    assert core.take() == (Action.WAIT, "take again")
    assert over(core, "take") == [(Action.START, "release")]


def test_a_job_behind_a_barrier_waits_for_that_first() -> None:
    core = core_of(("take", X), ("barrier", ALONE))
    core.submit("elsewhere", "other", X)
    assert core.take() == (Action.WAIT, "elsewhere")
    core.submit("release", "legacy", RELEASE_X)
    assert core.take() is None
    core.cancel("barrier")
    assert core.take() == (Action.WAIT, "release")


def test_a_job_wants_its_address_then_locks_then_a_slot() -> None:
    core = core_of(("take", X), ("release", RELEASE_X), limit=1)
    assert core.wants("take") == ()
    assert core.wants("release") == ("address:10.0.0.1",)
    core.want_script("take", ("routes",))
    assert core.wants("take") == ()
    core.submit("other's", "other", ALONE)
    core.submit("third's", "third", ALONE)
    todo(core)
    assert not core.want_script("other's", ("routes", "iptables"))
    assert core.wants("other's") == ("routes", "iptables")
    assert not core.want_script("third's", ())
    assert core.wants("third's") == ("slot",)
    core.script_over("take")
    assert todo(core) == [(Action.GO, "third's")]
    assert core.wants("other's") == ("slot",)
    assert core.wants("third's") == ()


def test_a_queued_job_wants_nothing_yet() -> None:
    assert core_of(("take", X), ("after", ALONE)).wants("after") == ()


# ---------------------------------------------------------------------- claims


def test_a_claim_on_free_locks_is_had_and_not_told_again() -> None:
    core = core_of()
    assert core.request_locks("client", ("routes",))
    assert core.take() is None
    assert not core.request_locks("other", ("iptables", "routes"))
    found = core.obstacle("other")
    assert found is not None
    assert (found[0], core.obstacle("client")) == ("client", None)
    core.drop_locks("client")
    core.drop_locks("client")
    assert core.take() == (Action.GRANT, "other")
    assert core.obstacle("other") is None


def test_a_claim_that_is_dropped_before_it_is_told_is_not_granted() -> None:
    core = core_of()
    assert core.request_locks("first", ("x",))
    assert not core.request_locks("second", ("x",))
    core.drop_locks("first")
    core.drop_locks("second")
    assert core.take() is None
    assert core.state.scripts == ()


def test_claims_are_granted_in_order_and_each_is_told_once() -> None:
    core = core_of()
    assert [
        core.request_locks(client, locks) for client, locks in (("a", ("x", "y")), ("b", ("x",)), ("c", ("y",)))
    ] == [
        True,
        False,
        False,
    ]
    core.drop_locks("a")
    assert [core.take() for _ in range(3)] == [(Action.GRANT, "b"), (Action.GRANT, "c"), None]


def test_a_claim_and_a_script_hand_a_lock_to_one_another() -> None:
    core = core_of(("job", ALONE))
    assert core.request_locks("before", ("routes",))
    assert not core.want_script("job", ("routes",))
    assert not core.request_locks("behind", ("routes",))
    core.drop_locks("before")
    assert todo(core) == [(Action.GO, "job")]
    core.script_over("job")
    assert todo(core) == [(Action.GRANT, "behind")]


def test_a_script_that_gets_a_clients_lock_still_needs_a_slot() -> None:
    core = core_of(("job", ALONE), limit=1)
    core.submit("other's", "other", ALONE)
    assert todo(core) == [(Action.START, "other's")]
    core.request_locks("client", ("routes",))
    core.want_script("job", ("routes",))
    assert core.want_script("other's", ())
    core.drop_locks("client")
    assert todo(core) == []
    core.script_over("other's")
    assert todo(core) == [(Action.GO, "job")]


def test_what_is_left_of_a_broken_off_script_keeps_its_locks_from_clients() -> None:
    core = core_of(("job", ALONE))
    core.want_script("job", ("routes",))
    core.request_locks("client", ("routes",))
    core.released("job")
    assert core.take() is None
    core.gone("job")
    assert core.take() == (Action.GRANT, "client")


def test_a_claim_uses_no_slot_and_is_no_job() -> None:
    core = core_of(limit=1)
    core.request_locks("client", ("routes",))
    assert core.state.admission.running == 0
    assert core.jobs == ()
    assert core.state.scripts == (LockState("routes", "client", ()),)


def test_a_claim_of_a_scripts_child_on_what_that_script_holds_is_refused_and_leaves_nothing() -> None:
    core = core_of(("job", ALONE))
    core.want_script("job", ("routes",))
    with pytest.raises(WouldDeadlock):
        core.request_locks("client", ("iptables", "routes"), frozenset({"job"}))
    assert core.state.scripts == (LockState("routes", "job", ()),)
    assert core.request_locks("client", ("iptables",), frozenset({"job"}))


def test_a_claim_is_not_in_the_way_of_a_job_as_far_as_deadlocks_go() -> None:
    core = core_of(("asker", ALONE))
    core.submit("waits", "other", ALONE)
    todo(core)
    core.request_locks("client", ("routes",))
    core.want_script("waits", ("routes",))
    assert not core.would_deadlock("other", ALONE, frozenset({"asker"}))


# ---------------------------------------------------------------------- a pause


def test_in_a_pause_nothing_is_started_and_what_runs_goes_on() -> None:
    core = core_of(("a", ALONE))
    core.pause()
    core.submit("b", "other", ALONE)
    assert todo(core) == []
    assert list(core.started) == ["a"]
    assert core.want_script("a", ()) is True
    assert over(core, "a") == []
    assert list(core.started) == []
    core.resume()
    assert todo(core) == [(Action.START, "b")]
    assert list(core.started) == ["b"]


def test_in_a_pause_a_monitor_gives_way_at_once_and_who_leaves_is_forgotten() -> None:
    core = core_of()
    core.pause()
    core.submit("monitor", "legacy", MONITOR)
    assert todo(core) == []
    assert core.waits("monitor")
    core.submit("takeip", "legacy", X)
    assert todo(core) == [(Action.REFUSE, "monitor")]
    core.submit("again", "legacy", RELEASE_X)
    core.submit("other", "other", ALONE)
    core.submit("behind", "other", ALONE)
    assert todo(core) == []
    core.cancel("other")
    assert todo(core) == []
    assert core.jobs == ("takeip", "again", "behind")
    core.resume()
    assert todo(core) == [(Action.START, "takeip"), (Action.START, "behind")]
    assert over(core, "takeip") == [(Action.START, "again")]


def test_what_somebody_waits_for_who_is_at_work_is_started_in_a_pause_and_what_is_before_it() -> None:
    core = core_of(("a", ALONE))
    core.pause()
    core.submit("first", "other", ALONE)
    core.submit("elsewhere", "third", ALONE)
    assert todo(core) == []
    core.submit("child", "other", ALONE, frozenset({"a"}))
    assert todo(core) == [(Action.START, "first")]
    assert over(core, "first") == [(Action.START, "child")]
    assert list(core.started) == ["a", "child"]
    over(core, "child")
    over(core, "a")
    core.resume()
    assert todo(core) == [(Action.START, "elsewhere")]


def test_a_second_pause_begins_without_exceptions() -> None:
    core = core_of(("a", ALONE))
    core.pause()
    core.submit("child", "other", ALONE, frozenset({"a"}))
    core.resume()
    todo(core)
    over(core, "child")
    core.pause()
    core.submit("b", "other", ALONE)
    assert todo(core) == []
