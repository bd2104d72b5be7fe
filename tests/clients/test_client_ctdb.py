"""The CTDB dialect in the native one's words."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Any

import pytest
from fake_ctdb import report
from hypothesis import given, settings
from hypothesis import strategies as st

from ctdb_event.ctdb import CtdbDialect
from ctdb_event.decoding import decode
from ctdb_event.errors import InvalidRequest, NotSupported
from ctdb_event.failures import failure
from ctdb_event.results import Overview, Run
from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.protocol import packet

if TYPE_CHECKING:
    from ctdb_event.dialects import Incoming

RUN: dict[str, Any] = {
    "component": "legacy",
    "event": "takeip",
    "args": ["eth0", "10.0.0.1", "24"],
    "timeout": 30,
    "run_all": False,
    "stream": False,
    "detach": False,
}
STATUS: dict[str, Any] = {"component": "legacy", "event": "takeip", "address": None, "addresses": False}
SCRIPT = {"component": "legacy", "script": "10.interface"}


def reply(command: int, result: int, payload: bytes = b"", reqid: int = 5) -> bytes:
    return packet.frame(reqid, struct.pack("=Ii", command, result) + payload)


def status_payload(summary: int, *reports: bytes) -> bytes:
    return struct.pack("=ii", summary, len(reports)) + b"".join(reports)


def hear(dialect: CtdbDialect, data: bytes) -> tuple[list[Incoming], bytes]:
    sent: list[bytes] = []
    told = [said for _, said in dialect.receive_data(data, sent.append)]
    return told, b"".join(sent)


def answer(method: str, params: dict[str, Any], *replies: bytes) -> Incoming:
    dialect, told = CtdbDialect(), []
    dialect.encode(5, method, params)
    for data in replies:
        told += hear(dialect, data)[0]
    assert len(told) == 1
    said: Incoming = told[0]
    return said


def finished(result: int, *replies: bytes, **changes: Any) -> Run:
    what, value, _, _ = answer("run", {**RUN, **changes}, reply(1, result), *replies)
    assert what == "result"
    return decode(Run, value)


# ---------------------------------------------------------------------- requests


def test_requests_are_the_dialects_own_packets() -> None:
    dialect = CtdbDialect()
    args = b"eth0 10.0.0.1 24"
    assert dialect.encode(5, "run", RUN) == packet.run_request(5, b"legacy", b"takeip", args, 30, False)
    assert dialect.encode(6, "run", {**RUN, "args": [], "run_all": True, "timeout": 0}) == packet.run_request(
        6, b"legacy", b"takeip", None, 2_000_000, True
    )
    assert dialect.encode(7, "status", STATUS) == packet.status_request(7, b"legacy", b"takeip")
    assert dialect.encode(8, "enable", SCRIPT) == packet.script_request(8, b"legacy", b"10.interface", True)
    assert dialect.encode(9, "disable", SCRIPT) == packet.script_request(9, b"legacy", b"10.interface", False)


def test_names_that_are_no_text_pass_through() -> None:
    name = os.fsdecode(b"\xff")
    data = CtdbDialect().encode(5, "run", {**RUN, "event": name, "args": [name]})
    assert data == packet.run_request(5, b"legacy", b"\xff", b"\xff", 30, False)


@pytest.mark.parametrize("method", ["hello", "ping", "cancel", "components", "lock", "subscribe", "stats", "reload"])
def test_what_it_has_no_words_for(method: str) -> None:
    with pytest.raises(NotSupported, match=f"can't express {method}; it supports run"):
        CtdbDialect().encode(5, method, {})


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("run", {**RUN, "stream": True}, "run with stream"),
        ("run", {**RUN, "detach": True}, "run with detach"),
        ("status", {**STATUS, "event": None}, "status without a component and an event"),
        ("status", {**STATUS, "component": None}, "status without a component and an event"),
        ("status", {**STATUS, "address": "10.0.0.1"}, "status by address"),
        ("status", {**STATUS, "addresses": True}, "status by address"),
    ],
)
def test_parameters_that_it_has_no_words_for(method: str, params: dict[str, Any], words: str) -> None:
    with pytest.raises(NotSupported, match=f"can't express {words}"):
        CtdbDialect().encode(5, method, params)


@pytest.mark.parametrize("argument", ["", "a b", "a\0b"])
def test_arguments_that_it_can_not_say(argument: str) -> None:
    with pytest.raises(InvalidRequest, match="can't be sent in the CTDB dialect, which separates arguments by spaces"):
        CtdbDialect().encode(5, "run", {**RUN, "args": ["eth0", argument]})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("run", {**RUN, "component": "../etc"}),
        ("run", {**RUN, "event": ""}),
        ("status", {**STATUS, "event": "a/b"}),
        ("enable", {**SCRIPT, "script": "."}),
    ],
)
def test_names_are_checked_here_as_einval_has_other_meanings(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"name '.*' is invalid"):
        CtdbDialect().encode(5, method, params)


def test_text_that_stands_for_no_bytes_and_numbers_that_do_not_fit() -> None:
    with pytest.raises(InvalidRequest, match="can't be encoded"):
        CtdbDialect().encode(5, "run", {**RUN, "args": ["\ud800"]})
    with pytest.raises(LocalProtocolError, match="-1 does not fit"):
        CtdbDialect().encode(5, "run", {**RUN, "timeout": -1})


# ---------------------------------------------------------------------- runs


def test_success_is_all_that_is_known() -> None:
    run = finished(0)
    assert (run.outcome, run.component, run.event, run.args) == ("success", "legacy", "takeip", tuple(RUN["args"]))
    assert (run.run, run.address, run.queued, run.waited, run.seconds, run.scripts) == ("", None, None, None, None, ())


def test_a_monitor_that_gave_way() -> None:
    assert finished(errno.ECANCELED).outcome == "cancelled"


def test_a_failure_is_followed_by_a_request_for_the_status() -> None:
    dialect = CtdbDialect()
    dialect.encode(5, "run", RUN)
    assert hear(dialect, reply(1, errno.ENOEXEC)) == ([], packet.status_request(5, b"legacy", b"takeip"))


def test_the_scripts_of_a_failure_are_known_from_the_status() -> None:
    reports = [
        report(b"00.a", 0, begin=100, seconds=0.5),
        report(b"10.off", -errno.ENOEXEC, begin=100.5, seconds=0),
        report(b"20.b", 7, b"no\n", begin=101, seconds=0.25),
        report(b"30.new", -errno.ENOMSG, begin=0, seconds=0),
        report(b"40.old", 0, b"of the run before", begin=50),
        report(b"50.old", 1, begin=51),
    ]
    run = finished(errno.ENOEXEC, reply(2, 0, status_payload(7, *reports)))
    assert (run.outcome, run.summary, run.seconds) == ("failed", 7, 1.25)
    assert [(script.name, script.state) for script in run.scripts] == [
        ("00.a", "ok"),
        ("10.off", "disabled"),
        ("20.b", "failed"),
        ("30.new", "not-reached"),
        ("40.old", "not-reached"),
        ("50.old", "not-reached"),
    ]
    first, off, culprit, *_, old = run.scripts
    assert (first.started, first.seconds, off.started, culprit.output) == (100.0, 0.5, None, b"no\n")
    assert (old.started, old.seconds, old.result, old.output) == (None, 0.0, -errno.ENOMSG, b"")
    assert run.failed == (culprit,)


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (-errno.EINTR, "killed"),
        (-errno.EOPNOTSUPP, "not-started"),
        (255, "failed"),
    ],
)
def test_states_of_scripts(result: int, state: str) -> None:
    run = finished(errno.ENOEXEC, reply(2, 0, status_payload(result, report(b"00.a", result))))
    assert run.scripts[0].state == state


def test_a_timeout() -> None:
    payload = status_payload(-errno.ETIMEDOUT, report(b"00.a", -errno.ETIMEDOUT, b"waiting"))
    run = finished(errno.ETIMEDOUT, reply(2, 0, payload))
    assert (run.outcome, run.scripts[0].state, run.scripts[0].output) == ("timed-out", "timed-out", b"waiting")


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (errno.ENOEXEC, reply(2, errno.EINVAL)),
        (errno.ENOEXEC, reply(2, 0, status_payload(0, report(b"00.a", 0)))),
        (errno.ENOEXEC, reply(2, 0, status_payload(-errno.ETIMEDOUT, report(b"00.a", -errno.ETIMEDOUT)))),
        (errno.ETIMEDOUT, reply(2, 0, status_payload(7, report(b"00.a", 7)))),
    ],
)
def test_a_status_that_does_not_fit_is_left_out(result: int, status: bytes) -> None:
    run = finished(result, status)
    assert (run.summary, run.scripts, run.seconds) == (0, (), None)
    assert run.outcome in ("failed", "timed-out")


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (errno.ENOENT, "NoSuchComponent"),
        (errno.EBUSY, "QueueTimeout"),
        (errno.EDEADLK, "WouldDeadlock"),
        (errno.EINVAL, "InvalidRequest"),
        (errno.EIO, "BrokerError"),
        (99999, "BrokerError"),
    ],
)
def test_what_was_not_run(result: int, kind: str) -> None:
    what, code, message, data = answer("run", RUN, reply(1, result))
    assert what == "error"
    assert type(failure(code, message, data)).__name__ == kind
    assert code == errno.errorcode.get(result, "EIO")


def test_failures_name_what_they_are_about() -> None:
    assert answer("run", RUN, reply(1, errno.ENOENT))[2] == "component legacy does not exist"
    assert answer("run", RUN, reply(1, errno.EIO))[2] == "run was refused: Input/output error"
    assert answer("run", RUN, reply(1, -(1 << 31)))[2] == "run was refused: error 2147483648"


# ---------------------------------------------------------------------- status, enable, disable


def test_a_status_keeps_what_is_known_from_before() -> None:
    payload = status_payload(7, report(b"00.a", 7, b"no\n", begin=100, seconds=0.5), report(b"10.b", 0, begin=50))
    what, value, _, _ = answer("status", STATUS, reply(2, 0, payload))
    overview = decode(Overview, value)
    assert (what, overview.jobs, overview.health) == ("result", (), ())
    (run,) = overview.results
    assert (run.outcome, run.summary, run.args, run.seconds) == ("failed", 7, (), 0.5)
    assert [(script.state, script.output) for script in run.scripts] == [("failed", b"no\n"), ("ok", b"")]


@pytest.mark.parametrize(("summary", "outcome"), [(0, "success"), (-errno.ETIMEDOUT, "timed-out"), (-4, "failed")])
def test_outcomes_of_a_status(summary: int, outcome: str) -> None:
    value = answer("status", STATUS, reply(2, 0, status_payload(summary)))[1]
    assert decode(Overview, value).results[0].outcome == outcome


def test_a_status_without_output() -> None:
    payload = status_payload(7, report(b"00.a", 7, b"no\n"))
    value = answer("status", {**STATUS, "output": False}, reply(2, 0, payload))[1]
    assert decode(Overview, value).results[0].scripts[0].output == b""


@pytest.mark.parametrize(
    ("method", "params", "command", "result", "kind"),
    [
        ("status", STATUS, 2, errno.ENOENT, "NoSuchComponent"),
        ("status", STATUS, 2, errno.EINVAL, "NeverRan"),
        ("enable", SCRIPT, 3, errno.ENOENT, "NoSuchScript"),
        ("disable", SCRIPT, 3, errno.EINVAL, "InvalidRequest"),
        ("disable", SCRIPT, 3, errno.EROFS, "BrokerError"),
    ],
)
def test_refusals(method: str, params: dict[str, Any], command: int, result: int, kind: str) -> None:
    what, code, message, data = answer(method, params, reply(command, result))
    assert what == "error"
    assert type(failure(code, message, data)).__name__ == kind


@pytest.mark.parametrize("method", ["enable", "disable"])
def test_a_script_is_switched(method: str) -> None:
    assert answer(method, SCRIPT, reply(3, 0)) == ("result", {}, None, None)


# ---------------------------------------------------------------------- the stream


def test_replies_to_what_nobody_asked_are_passed_over() -> None:
    assert hear(CtdbDialect(), reply(1, 0, reqid=77)) == ([], b"")


@pytest.mark.parametrize(
    "data",
    [
        reply(2, 0),
        packet.frame(5, b""),
        packet.frame(5, struct.pack("=I", 1)),
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    dialect = CtdbDialect()
    dialect.encode(5, "run", RUN)
    with pytest.raises(RemoteProtocolError):
        hear(dialect, data)


@settings(deadline=None)
@given(st.permutations(range(1, 7)), st.integers(1, 40))
def test_replies_in_any_order_and_pieces(order: list[int], size: int) -> None:
    dialect = CtdbDialect()
    for request_id in order:
        dialect.encode(request_id, "run", {**RUN, "args": [str(request_id)]})
    stream = b"".join(reply(1, 0, reqid=request_id) for request_id in order)
    told: dict[int, Any] = {}
    for start in range(0, len(stream), size):
        pieces = dialect.receive_data(stream[start : start + size], print)
        told.update((request_id, said[1]) for request_id, said in pieces)
    assert list(told) == list(order)
    assert all(value["args"] == [str(request_id)] for request_id, value in told.items())
