"""The tree of the client's errors: which answer becomes which exception, and what each says."""

from __future__ import annotations

import errno
import pickle
import re
from typing import Any

import pytest
from fake_broker import run_value

from ctdb_event import errors, failures
from ctdb_event.decoding import decode
from ctdb_event.errors import BrokerError, EventError
from ctdb_event.results import Run
from ctdb_eventd.errors import RemoteProtocolError

OWNER = {"run": None, "lock": 3, "pid": 4712, "text": "backup", "since": 1.5, "seconds": 2.5}
SCRIPT = {"name": "10.a", "state": "failed", "result": 7, "started": 1.5, "seconds": 0.25, "output": b""}


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("EINVAL", "InvalidParameter", errors.InvalidRequest),
        ("EINVAL", "InvalidName", errors.InvalidRequest),
        ("EINVAL", "NotAFile", errors.InvalidRequest),
        ("EINVAL", "ConfigError", errors.ConfigRejected),
        ("EINVAL", "NeverRan", errors.NeverRan),
        ("ENOENT", "NoSuchComponent", errors.NoSuchComponent),
        ("ENOENT", "NoSuchScript", errors.NoSuchScript),
        ("ENOENT", "NoSuchRun", errors.NoSuchRun),
        ("ENOENT", "NoSuchPastRun", errors.NoSuchRun),
        ("ENOENT", "NoSuchCall", errors.NoSuchRun),
        ("ENOSYS", "NoSuchMethod", errors.NotSupported),
        ("EPROTONOSUPPORT", "VersionNotSupported", errors.NotSupported),
        ("EBUSY", "QueueTimeout", errors.QueueTimeout),
        ("EBUSY", "AddressHeld", errors.AddressHeld),
        ("EINVAL", "StartupError", errors.ConfigRejected),
        ("EDEADLK", "WouldDeadlock", errors.WouldDeadlock),
        ("ETIMEDOUT", "LockTimeout", errors.LockTimeout),
        # kinds of later brokers
        ("EINVAL", "Odd", errors.InvalidRequest),
        ("EBUSY", None, errors.QueueTimeout),
        ("ENOENT", "NoSuchLock", BrokerError),
        ("EIO", ["odd"], BrokerError),
    ],
)
def test_which_answer_becomes_which_exception(code: str, kind: object, expected: type[BrokerError]) -> None:
    problem = failures.failure(code, "it is so", {"kind": kind, "more": 1})
    assert type(problem) is expected
    assert (problem.code, problem.message, problem.data["more"]) == (code, "it is so", 1)
    assert str(problem) == f"it is so; {expected.advice}"


def test_every_exception_is_in_the_tree_and_in_the_picture() -> None:
    def names(kind: type[BrokerError]) -> set[str]:
        return {kind.__name__}.union(*map(names, kind.__subclasses__()))

    assert names(BrokerError) == set(errors.__all__)
    assert set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"BrokerError"} == set(errors.__all__)


@pytest.mark.parametrize(
    ("outcome", "expected", "code", "words"),
    [
        ("failed", errors.EventFailed, "ENOEXEC", "failed"),
        ("timed-out", errors.EventTimedOut, "ETIMEDOUT", "timed out"),
        ("cancelled", errors.EventCancelled, "ECANCELED", "was cancelled"),
        ("eclipsed", EventError, "EIO", "ended as eclipsed"),
    ],
)
def test_outcomes(outcome: str, expected: type[EventError], code: str, words: str) -> None:
    run = decode(Run, run_value(outcome=outcome))
    with pytest.raises(EventError) as caught:
        failures.check_run(run)
    assert type(caught.value) is expected
    assert (caught.value.code, caught.value.run) == (code, run)
    assert caught.value.message == f"event monitor in legacy {words}"


def test_success_is_no_error() -> None:
    run = decode(Run, run_value())
    assert failures.check_run(run) is run


@pytest.mark.parametrize(
    ("state", "result", "words"),
    [
        ("failed", 7, "10.a exited with status 7"),
        ("killed", -errno.EINTR, "10.a was killed by a signal"),
        ("timed-out", -errno.ETIMEDOUT, "10.a was running when the event timed out"),
        ("not-started", -errno.EACCES, "10.a was not started (Permission denied)"),
        ("not-started", -(1 << 31), "10.a was not started (error 2147483648)"),
        ("not-started", 1 << 63, f"10.a was not started (error {-(1 << 63)})"),
    ],
)
def test_the_scripts_that_failed_are_named(state: str, result: int, words: str) -> None:
    scripts = [{**SCRIPT, "name": "00.ok", "state": "ok"}, {**SCRIPT, "state": state, "result": result}]
    with pytest.raises(errors.EventFailed) as caught:
        failures.check_run(decode(Run, run_value(outcome="failed", scripts=scripts)))
    assert caught.value.message == f"event monitor in legacy failed: {words}"


def test_the_address_is_named() -> None:
    run = decode(Run, run_value(event="takeip", address="10.0.0.1", outcome="timed-out"))
    with pytest.raises(errors.EventTimedOut) as caught:
        failures.check_run(run)
    assert caught.value.message == "event takeip of 10.0.0.1 in legacy timed out"


def test_the_holder_of_a_lock() -> None:
    problem = failures.failure("ETIMEDOUT", "not free", {"kind": "LockTimeout", "holder": OWNER})
    assert isinstance(problem, errors.LockTimeout)
    assert problem.holder is not None
    assert problem.holder.text == "backup"
    assert errors.LockTimeout("ETIMEDOUT", "not free").holder is None
    assert errors.LockTimeout("ETIMEDOUT", "not free", {"holder": "in words only"}).holder is None


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (FileNotFoundError(errno.ENOENT, "No file"), "ENOENT", "no broker listens on /s: No file; start CTDB"),
        (PermissionError(errno.EACCES, "Denied"), "EACCES", "not allowed to connect to the broker at /s: Denied; run"),
        (OSError("AF_UNIX path too long"), "EIO", "no broker listens on /s: AF_UNIX path too long; start CTDB"),
    ],
)
def test_nobody_listens(error: OSError, code: str, words: str) -> None:
    problem = failures.nobody_listens("/s", error)
    assert problem.code == code
    assert str(problem).startswith(words)
    assert not problem.fate_unknown


def test_a_lost_connection_says_whether_the_fate_is_unknown() -> None:
    lost, late = failures.connection_lost("/s", "gone", "run"), failures.connection_lost("/s", "gone", None)
    assert lost.fate_unknown
    assert "has ended: gone; whether run was carried out is unknown" in str(lost)
    assert not late.fate_unknown
    assert "unknown" not in str(late)


@pytest.mark.parametrize(
    "problem",
    [
        failures.failure("EBUSY", "queue", {"kind": "QueueTimeout", "seconds": 3}),
        failures.connection_lost("/s", "gone", "run"),
        errors.MalformedAnswer("odd"),
        errors.EventFailed("ENOEXEC", "bad", decode(Run, run_value(outcome="failed"))),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_exceptions_can_be_handed_to_other_processes(problem: BrokerError) -> None:
    copy: Any = pickle.loads(pickle.dumps(problem))
    assert type(copy) is type(problem)
    assert (str(copy), copy.code, copy.data) == (str(problem), problem.code, problem.data)
    assert getattr(copy, "run", None) == getattr(problem, "run", None)


def test_a_malformed_answer_is_an_error_of_both_trees() -> None:
    assert isinstance(errors.MalformedAnswer("odd"), RemoteProtocolError)
    assert str(errors.MalformedAnswer("odd")).startswith("odd; one of the two is broken")
