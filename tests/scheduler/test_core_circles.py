"""Circles of waiting that close when a script or a client wants a lock, and slots of scripts that only wait."""

from __future__ import annotations

import pytest

from ctdb_eventd.errors import WouldDeadlock
from ctdb_eventd.events import Mode, Plan
from ctdb_eventd.scheduler.admission import Admission
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.states import Action

ALONE = Plan(Mode.EXCLUSIVE)


def core_of(*jobs: str, limit: int = 100) -> Core[str]:
    """A core in which these run, each in the component of its own name."""
    core: Core[str] = Core(Admission(processors=1, limit=limit))
    for job in jobs:
        core.submit(job, job, ALONE)
    todo(core)
    return core


def todo(core: Core[str]) -> list[tuple[Action, str]]:
    found = []
    while (step := core.take()) is not None:
        found.append(step)
    return found


def test_two_scripts_whose_events_need_each_others_lock() -> None:
    core = core_of("a", "b")
    assert core.want_script("a", ("one",))
    assert core.want_script("b", ("two",))
    core.submit("for a", "c", ALONE, frozenset({"a"}))
    core.submit("for b", "d", ALONE, frozenset({"b"}))
    assert not core.want_script("for a", ("two",))
    with pytest.raises(WouldDeadlock, match="of for b with the locks one would wait for a, which waits for it in its"):
        core.want_script("for b", ("one",))
    core.released("for b")
    core.gone("for b")
    core.script_over("b")
    assert (Action.GO, "for a") in todo(core)


def test_two_scripts_whose_commands_want_each_others_lock() -> None:
    core = core_of("a", "b")
    core.want_script("a", ("one",))
    core.want_script("b", ("two",))
    assert not core.request_locks("client of a", ("two",), frozenset({"a"}))
    with pytest.raises(WouldDeadlock, match="a wait for the locks one would wait for a, which waits for it in its"):
        core.request_locks("client of b", ("one",), frozenset({"b"}))
    core.script_over("b")
    assert core.take() == (Action.GRANT, "client of a")


def test_a_command_and_an_event_that_need_each_others_lock() -> None:
    core = core_of("a", "b")
    core.want_script("a", ("one",))
    core.want_script("b", ("two",))
    assert not core.request_locks("client of a", ("two",), frozenset({"a"}))
    core.submit("for b", "d", ALONE, frozenset({"b"}))
    with pytest.raises(WouldDeadlock):
        core.want_script("for b", ("one",))


def test_who_waits_before_is_waited_for_too() -> None:
    """Locks are given in the order of asking, also past what is free."""
    core = core_of("a", "b")
    core.want_script("a", ("one",))
    assert not core.want_script("b", ("one", "two"))
    with pytest.raises(WouldDeadlock):
        core.request_locks("client of a", ("two",), frozenset({"a"}))


def test_what_was_asked_for_gives_way_to_one_that_nobody_asked_for() -> None:
    """The first event is not at fault: another's script asked for something behind it, and has the lock it needs."""
    core = core_of("first", "asks")
    core.want_script("asks", ("one",))
    core.submit("asked for", "first", ALONE, frozenset({"asks"}))
    assert todo(core) == []
    assert not core.want_script("first", ("one",))
    assert todo(core) == [(Action.DEADLOCK, "asked for")]
    assert core.stage("asked for") is None
    core.script_over("asks")
    assert todo(core) == [(Action.GO, "first")]


def test_what_a_clients_command_asked_for_gives_way_too() -> None:
    core = core_of("first")
    assert core.request_locks("client", ("one",))
    core.submit("asked for", "first", ALONE, frozenset({"client"}))
    assert not core.want_script("first", ("one",))
    assert todo(core) == [(Action.DEADLOCK, "asked for")]


def test_what_a_clients_command_asks_for_must_not_wait_for_who_waits_for_it() -> None:
    core = core_of("first")
    assert core.request_locks("client", ("one",))
    assert not core.want_script("first", ("one",))
    assert core.would_deadlock("first", ALONE, frozenset({"client"}))
    assert not core.would_deadlock("other", ALONE, frozenset({"client"}))


def test_a_long_queue_is_no_circle() -> None:
    core = core_of("a", "b", "c")
    core.want_script("a", ("one",))
    core.submit("for a", "d", ALONE, frozenset({"a"}))
    for job in ("b", "c", "for a"):
        locks = ("two",) if job == "for a" else ("one",)
        assert core.want_script(job, locks) == (job == "for a")


def test_what_a_script_left_behind_is_waited_for_by_nobody() -> None:
    core = core_of("a", "b")
    core.want_script("b", ("one",))
    core.want_script("a", ("two",))
    assert not core.request_locks("left behind", ("one",), frozenset({"a"}))
    core.submit("left behind too", "b", ALONE, frozenset({"a"}))
    core.script_over("a")
    assert not core.graph.has_parents
    assert core.want_script("a", ("two",))
    core.submit("asked for", "c", ALONE, frozenset({"b"}))
    assert not core.want_script("asked for", ("two",))


def test_nothing_is_remembered_of_those_who_asked() -> None:
    core = core_of("a")
    core.want_script("a", ())
    core.submit("for a", "b", ALONE, frozenset({"a"}))
    core.request_locks("client", ("one",), frozenset({"a"}))
    core.cancel("for a")
    core.released("for a")
    core.gone("for a")
    core.drop_locks("client")
    assert (core.graph._children, core.graph._parents) == ({}, {})


# ---------------------------------------------------------------------- slots


def test_a_script_that_waits_for_an_event_lends_its_slot() -> None:
    core = core_of("a", "b", limit=1)
    assert core.want_script("a", ())
    assert not core.want_script("b", ())
    core.submit("for a", "b", ALONE, frozenset({"a"}))
    assert todo(core) == [(Action.GO, "b")]


def test_a_script_whose_command_waits_for_a_lock_lends_its_slot() -> None:
    core = core_of("a", "b", limit=1)
    assert core.want_script("a", ())
    assert not core.want_script("b", ("one",))
    assert not core.request_locks("client", ("one",), frozenset({"a"}))
    assert todo(core) == [(Action.GO, "b")]


def test_a_script_lends_its_slot_while_the_event_it_asked_for_waits_for_a_lock() -> None:
    core = core_of("a", "b", limit=1)
    assert core.want_script("a", ())
    assert not core.want_script("b", ("one",))
    core.submit("for a", "c", ALONE, frozenset({"a"}))
    assert todo(core) == [(Action.START, "for a")]
    assert not core.want_script("for a", ("one",))
    assert todo(core) == [(Action.GO, "b")]


def test_a_script_that_asks_and_need_not_wait_lends_nothing() -> None:
    core = core_of("a", "b", limit=1)
    core.want_script("a", ())
    core.want_script("b", ())
    core.submit("for a", "c", ALONE, frozenset({"a"}))
    assert todo(core) == [(Action.START, "for a")]
    assert core.want_script("for a", ())
    assert core.admission.state.running == 1
