"""The pure parts of `ctdb-node`: states, health, addresses, allocation, tunables."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_node.allocation import Plan, differences, plan
from ctdb_node.errors import NodeError
from ctdb_node.health import Health, Result, after
from ctdb_node.public_addresses import PublicAddress, parse
from ctdb_node.states import ENDS, State, Trigger, back_off, next_state
from ctdb_node.tunables import DEFAULTS, changed
from ctdb_node.words import health_line, printable, status_line

_UP_TO_RUNNING = [State.INIT, State.SETUP, State.STARTRECOVERY, State.RECOVERED, State.STARTUP, State.RUNNING]
_FIRST = PublicAddress("10.0.0.1", 24, ("eth0", "eth1"))
_SECOND = PublicAddress("fd00::2", 64, ("eth1",))


def test_a_node_whose_events_succeed_starts_in_the_order_of_ctdbd_and_ends_with_shutdown() -> None:
    for state, expected in itertools.pairwise(_UP_TO_RUNNING):
        assert next_state(state, Trigger.SUCCEEDED) is expected
    assert next_state(State.RUNNING, Trigger.END_REQUESTED) is State.SHUTDOWN
    assert next_state(State.SHUTDOWN, Trigger.SUCCEEDED) is State.ENDED


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.INIT, State.FAILED),
        (State.SETUP, State.FAILED),
        (State.STARTRECOVERY, State.RECOVERY_WAIT),
        (State.RECOVERED, State.RECOVERY_WAIT),
        (State.STARTUP, State.STARTUP_WAIT),
        (State.SHUTDOWN, State.ENDED),
        (State.RUNNING, None),
    ],
)
def test_a_failure_ends_the_node_before_startup_and_is_tried_again_later(state: State, expected: State | None) -> None:
    assert next_state(state, Trigger.FAILED) is expected


def test_what_waited_tries_again() -> None:
    assert next_state(State.RECOVERY_WAIT, Trigger.WAITED) is State.STARTRECOVERY
    assert next_state(State.STARTUP_WAIT, Trigger.WAITED) is State.STARTUP


@pytest.mark.parametrize("state", set(State) - ENDS)
def test_every_state_ends_with_the_daemon_and_when_it_is_told_to(state: State) -> None:
    assert next_state(state, Trigger.DAEMON_ENDED) is State.FAILED
    expected = None if state is State.SHUTDOWN else State.SHUTDOWN
    assert next_state(state, Trigger.END_REQUESTED) is expected


def test_the_time_between_two_tries_grows_to_a_limit() -> None:
    assert [back_off(failures) for failures in (1, 2, 3, 4, 5, 6, 5000)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_monitor_event_decides_on_health() -> None:
    healthy = after(Health(), Result("success"), 20)
    assert healthy == Health(healthy=True, reason="")
    failed = after(healthy, Result("failed", "50.service: down"), 20)
    assert failed == Health(healthy=False, reason="50.service: down")
    assert after(failed, Result("cancelled"), 20) == failed


def test_only_so_many_timeouts_in_a_row_make_a_node_unhealthy() -> None:
    late = Result("timed-out", "50.service timed out")
    health = after(Health(healthy=True, reason=""), late, 3)
    health = after(health, late, 3)
    assert health.healthy
    assert not after(health, late, 3).healthy
    assert after(after(health, Result("success"), 3), late, 3).healthy


def test_the_file_of_public_addresses_is_read() -> None:
    text = "# public\n\n10.0.0.1/24 eth0,eth1\n  FD00:0::2/64\teth1\n"
    assert parse(text, "p", frozenset({"eth0", "eth1"})) == (_FIRST, _SECOND)


def test_every_line_that_cant_be_used_is_named() -> None:
    lines = ["10.0.0.1/24 eth0", "10.0.0.2 eth0", "10.0.0.1/16 eth0", "10.0.0.3/33 eth0", "10.0.0.4/24", "x/24 eth0"]
    lines += ["10.0.0.5/24 eth0,", "10.0.0.6/24 eth7"]
    with pytest.raises(NodeError) as caught:
        parse("\n".join(lines), "/etc/p", frozenset({"eth0"}))
    said = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in said] == [f"/etc/p:{number}" for number in range(2, 9)]
    assert "'10.0.0.2' has no mask" in said[0]
    assert "10.0.0.1 is in line 1 too" in said[1]
    assert "there is no interface 'eth7'" in said[-1]


def test_a_node_that_may_host_takes_all_whose_interface_is_up() -> None:
    decided = plan([_FIRST, _SECOND], {}, {"eth0"}, hosting=True)
    assert [move.args for move in decided.take] == [("eth0", "10.0.0.1", "24")]
    assert decided.release == decided.update == ()


def test_an_address_whose_interface_goes_down_moves_or_is_given_up() -> None:
    held = {"10.0.0.1": "eth0", "fd00::2": "eth1"}
    moved = plan([_FIRST, _SECOND], held, {"eth1"}, hosting=True)
    assert [(move.event, move.args) for move in moved.update] == [("updateip", ("eth0", "eth1", "10.0.0.1", "24"))]
    gone = plan([_FIRST, _SECOND], held, {"eth0"}, hosting=True)
    assert [(move.event, move.args) for move in gone.release] == [("releaseip", ("eth1", "fd00::2", "64"))]


@given(
    st.dictionaries(st.sampled_from(["10.0.0.1", "fd00::2"]), st.sampled_from(["eth0", "eth1"])),
    st.sets(st.sampled_from(["eth0", "eth1"])),
    st.booleans(),
)
def test_a_plan_that_is_carried_out_leaves_nothing_to_do(held: dict[str, str], up: set[str], hosting: bool) -> None:
    done = dict(held)
    decided = plan([_FIRST, _SECOND], held, up, hosting)
    for move in (*decided.release, *decided.update, *decided.take):
        assert done.pop(move.address.address, None) == move.old
        if move.new is not None:
            assert move.new in up
            done[move.address.address] = move.new
    assert hosting or not done
    assert plan([_FIRST, _SECOND], done, up, hosting) == Plan((), (), ())


def test_differences_between_the_kernel_and_what_should_be_are_said() -> None:
    third = PublicAddress("10.0.0.3", 24, ("eth0",))
    said = differences(
        [_FIRST, _SECOND, third],
        {"10.0.0.1": "eth0", "fd00::2": "eth1"},
        {"10.0.0.1": "eth1", "10.0.0.3": "eth0", "1.1.1.1": "lo"},
    )
    assert said == (
        "10.0.0.1 should be on eth0, and is on eth1",
        "fd00::2 should be on eth1, and is on no interface",
        "10.0.0.3 should be on no interface, and is on eth0",
    )


def test_a_tunable_is_set_whatever_its_case() -> None:
    assert changed(DEFAULTS, "monitorinterval=3") == {**DEFAULTS, "MonitorInterval": 3}


@pytest.mark.parametrize("assignment", ["MonitorInterval", "MonitorInterval=0", "MonitorInterval=x", "Other=3"])
def test_a_tunable_that_cant_be_set_is_refused(assignment: str) -> None:
    with pytest.raises(NodeError, match="expected"):
        changed(DEFAULTS, assignment)


def test_a_scripts_output_becomes_one_short_line_that_no_terminal_obeys() -> None:
    assert printable("  disk\n full\t!\n") == "disk full !"
    assert printable("\x1b[2Jgone\x07") == "\\x1b[2Jgone\\x07"
    assert printable("x" * 1_000_000) == "x" * 500 + "…"
    assert printable("naïve \udcff") == "naïve \\xdcff"


def test_a_node_is_described_in_a_line() -> None:
    address = {"address": "10.0.0.1", "bits": 24, "interface": "eth0"}
    described = {"state": "running", "healthy": True, "reason": "", "stopped": False, "addresses": [address]}
    assert status_line(described) == "running, HEALTHY; 1 of 1 addresses are here"
    described["addresses"] = [address, {**address, "interface": None}]
    assert status_line(described) == "running, HEALTHY; 1 of 2 addresses are here"
    assert health_line({**described, "healthy": False, "reason": "50.x: ill", "stopped": True}) == (
        "running, stopped, UNHEALTHY: 50.x: ill"
    )
