"""Runs and errors as plain values: every key of the protocol, and nothing that can't be sent."""

from __future__ import annotations

import errno
import gc
import weakref
from typing import Any

import attrs
import msgpack
import pytest
from run_records import record_of

from ctdb_eventd import errors
from ctdb_eventd.dispatcher import values
from ctdb_eventd.dispatcher.values import failure_of, packed_run, run_value
from ctdb_eventd.errors import ConfigError, RequestError
from ctdb_eventd.model import (
    CANNOT_EXECUTE,
    DISABLED,
    NOT_REACHED,
    SIGNALLED,
    TIMED_OUT,
    EventOutcome,
    EventReport,
    RunRecord,
    ScriptReport,
)
from ctdb_eventd.protocol import frames
from ctdb_eventd.runs import LockOwner

BEGIN = 1_700_000_000_500_000


def script(result: int, *, name: str = "10.first", output: bytes = b"") -> ScriptReport:
    return ScriptReport(name=name, begin=BEGIN, end=BEGIN + 250_000, result=result, output=output)


def record(*scripts: ScriptReport, summary: int = 0, outcome: EventOutcome | None = None) -> RunRecord:
    report = EventReport(summary=summary, scripts=scripts)
    return record_of("legacy takeip eth0 10.0.0.1 24", report, outcome=outcome, address="10.0.0.1")


def unpacked(data: bytes) -> Any:
    return msgpack.unpackb(data, raw=False, unicode_errors="surrogateescape")


# ---------------------------------------------------------------------- runs


def test_a_run_has_every_key() -> None:
    assert run_value(record(script(3, output=b"no\xff"), summary=3)) == {
        "run": "t-1",
        "component": "legacy",
        "event": "takeip",
        "args": ("eth0", "10.0.0.1", "24"),
        "address": "10.0.0.1",
        "outcome": "failed",
        "summary": 3,
        "queued": 1_700_000_000.0,
        "waited": 0.5,
        "seconds": 1.0,
        "scripts": [
            {
                "name": "10.first",
                "state": "failed",
                "result": 3,
                "started": 1_700_000_000.5,
                "seconds": 0.25,
                "output": b"no\xff",
                "known_from": None,
                "last": None,
            }
        ],
        "script_waits": 0.25,
        "former": False,
    }


def test_a_script_that_does_not_handle_the_event_was_not_started() -> None:
    (value,) = run_value(record(attrs.evolve(script(0), end=BEGIN, known_from="head")))["scripts"]
    assert value == {
        **{"name": "10.first", "state": "not-handled", "result": 0, "started": None, "seconds": 0.0, "output": b""},
        "known_from": "head",
        "last": None,
    }


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (0, "ok"),
        (1, "failed"),
        (255, "failed"),
        (SIGNALLED, "killed"),
        (TIMED_OUT, "timed-out"),
        (DISABLED, "disabled"),
        (NOT_REACHED, "not-reached"),
        (CANNOT_EXECUTE, "not-started"),
        (-errno.EACCES, "not-started"),
    ],
)
def test_states(result: int, state: str) -> None:
    (value,) = run_value(record(script(result)))["scripts"]
    assert (value["state"], value["result"]) == (state, result)


def test_a_script_that_never_ran_has_no_start() -> None:
    (value,) = run_value(record(ScriptReport(name="20.x", begin=0, end=0, result=NOT_REACHED)))["scripts"]
    assert (value["started"], value["seconds"]) == (None, 0)


@pytest.mark.parametrize("outcome", list(EventOutcome))
def test_outcomes(outcome: EventOutcome) -> None:
    expected = {"SUCCESS": "success", "FAILED": "failed", "TIMED_OUT": "timed-out", "CANCELLED": "cancelled"}
    assert run_value(record(outcome=outcome))["outcome"] == expected[outcome.name]


@pytest.mark.parametrize("output", [True, False])
def test_a_packed_run_is_the_same_with_or_without_output(output: bool) -> None:
    made = record(script(0, output=b"x"), script(0, name="caf\udce9"))
    value = unpacked(packed_run(made, output=output))
    assert value == {**run_value(made, output=output), "args": list(made.spec.args)}
    assert [one["output"] for one in value["scripts"]] == [b"x" if output else b"", b""]


def test_a_run_is_packed_once_for_as_long_as_it_is_kept() -> None:
    made = record(script(0))
    assert packed_run(made, output=True) is packed_run(made, output=True)
    assert packed_run(made, output=False) is packed_run(made, output=False)
    assert packed_run(record(script(0)), output=True) is not packed_run(made, output=True)
    gone, before = weakref.ref(made), [len(known) for known in values._packed]
    del made
    gc.collect()
    assert gone() is None
    assert [len(known) for known in values._packed] < before


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("error", "code", "data"),
    [
        (errors.InvalidName("event", "a/b", "it contains a slash"), "EINVAL", {"name", "reason"}),
        (errors.NeverRan("legacy", "monitor"), "EINVAL", {"component", "event"}),
        (errors.NotAFile("/e/10.x"), "EINVAL", {"path"}),
        (errors.NoSuchComponent("web", "/e/web"), "ENOENT", {"component", "directory"}),
        (errors.NoSuchScript("web", "10.x"), "ENOENT", {"component", "script"}),
        (errors.NotAllowed(1, "u", "a", "r", "/c"), "EACCES", {"uid", "user", "asked", "right", "config"}),
        (errors.UnreadableComponent("/e/web", OSError(13, "Permission denied")), "EIO", {"directory"}),
        (errors.InvalidParameter("x", "a text", "7"), "EINVAL", {"parameter", "expected", "value"}),
        (errors.NoSuchRun("t-1"), "ENOENT", {"run"}),
        (errors.NoSuchCall(7), "ENOENT", {"call"}),
        (errors.NoSuchLock(7), "ENOENT", {"lock"}),
        (errors.NoSuchMethod("x", ("ping",)), "ENOSYS", {"method", "methods"}),
        (errors.QueueTimeout("a", 1.0, "b"), "EBUSY", {"asked", "seconds", "blocker"}),
        (errors.LockTimeout(("a",), 1.0, "b"), "ETIMEDOUT", {"names", "seconds", "holder"}),
        (errors.Cancelled("a"), "ECANCELED", {"asked"}),
    ],
)
def test_a_refusal_says_what_it_is_made_of(error: RequestError, code: str, data: set[str]) -> None:
    failure = failure_of(error)
    assert (failure.code, failure.message) == (code, str(error))
    assert failure.data["kind"] == type(error).__name__
    assert failure.data.keys() == data | {"kind"}
    for key in data:
        if key != "kind":
            assert failure.data[key] == getattr(error, key)
    assert unpacked(frames.packed(failure.data))["kind"] == type(error).__name__


def test_who_has_a_lock_is_a_map() -> None:
    holder = LockOwner(run="t-1", lock=None, pid=4711, text="legacy startup", since=1.0, seconds=2.0)
    data = failure_of(errors.LockTimeout(("a",), 1.0, holder)).data
    assert data["holder"] == {
        **{"run": "t-1", "lock": None, "pid": 4711, "text": "legacy startup"},
        **{"since": 1.0, "seconds": 2.0},
    }
    assert unpacked(frames.packed(data))["holder"] == data["holder"]


def test_a_configuration_error_has_the_place() -> None:
    place = {"section": "eventd", "key": "x", "value": "y"}
    failure = failure_of(ConfigError("/e/ctdb.conf", 7, "a number is expected", **place, others=("/e/ctdb.conf:9: z",)))
    assert failure.code == "EINVAL"
    assert failure.message == '/e/ctdb.conf:7: [eventd] x = "y": a number is expected; /e/ctdb.conf:9: z'
    assert failure.data == {
        **{"kind": "ConfigError", "file": "/e/ctdb.conf", "line": 7, "expected": "a number is expected"},
        **place,
        "others": ("/e/ctdb.conf:9: z",),
    }


@pytest.mark.parametrize(
    ("error", "code", "data"),
    [
        (PermissionError(errno.EPERM, "Operation not permitted", "/e/x"), "EPERM", {"path": "/e/x"}),
        (PermissionError(errno.EPERM, "Operation not permitted", b"/e/x"), "EPERM", {}),
        (OSError(errno.ENOSPC, "No space left on device"), "ENOSPC", {}),
        (OSError("no number"), "EIO", {}),
        (OSError(99999, "unheard of"), "EIO", {}),
    ],
)
def test_what_the_system_refuses(error: OSError, code: str, data: dict[str, str]) -> None:
    failure = failure_of(error)
    assert (failure.code, failure.message, failure.data) == (code, str(error), {"kind": "OSError", **data})


def test_a_bug_says_so() -> None:
    failure = failure_of(None)
    assert (failure.code, failure.data) == ("EIO", {"kind": "Bug"})
    assert "its log says more" in failure.message
