"""What one program leaves to the next: every value comes through, and what can't be read is said."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import attrs
import msgpack
import pytest

from ctdb_eventd.errors import StateUnreadable
from ctdb_eventd.handover import (
    FORM,
    Counts,
    LeftCall,
    LeftClient,
    LeftLock,
    LeftResults,
    LeftRun,
    State,
    decode,
    encode,
)
from ctdb_eventd.model import (
    NOT_REACHED,
    ComponentHealth,
    EventOutcome,
    EventReport,
    EventSpec,
    LastRun,
    RunRecord,
    ScriptReport,
)

SPEC = EventSpec(component="legacy", event="takeip", args=("eth0", "10.0.0.1", "\udcff"), timeout=30, run_all=False)
RECORD = RunRecord(
    run="t-1",
    spec=SPEC,
    address="10.0.0.1",
    outcome=EventOutcome.TIMED_OUT,
    queued=1.5,
    waited=0.25,
    seconds=30.5,
    script_waits=0.0,
    report=EventReport(
        summary=1,
        scripts=(
            ScriptReport(name="10.a", begin=1, end=2, result=1, output=b"no\xff", known_from="head"),
            ScriptReport(name="20.b", begin=0, end=0, result=NOT_REACHED, last=LastRun(state="ok", ended=1.0)),
        ),
    ),
)
STATE = State(
    version="1.0",
    program=("/usr/bin/python3", "-m", "ctdb_eventd"),
    began=1.0,
    stopped=2.0,
    socket="/run/s",
    listener=5,
    pid_file=6,
    watched=None,
    startup_fd=7,
    oom_score_adj=b"0",
    next_lock=9,
    clients=(
        LeftClient(
            descriptor=8,
            program="ctdbd",
            native=True,
            unread=b"\0\1",
            unsent=b"x",
            calls=(
                LeftCall(reqid=1, size=20, arrived=1.0, spec=SPEC, run="t-2", queued=3.5),
                LeftCall(reqid=2, size=9, arrived=2.0, method="subscribe", params={"kinds": None}, lost_until=(4, 1.5)),
            ),
            locks=(LeftLock(number=3, names=("iptables",), text="x", requested=0.5, files=(("iptables", 11, 99),)),),
        ),
        LeftClient(descriptor=9),
    ),
    detached=(LeftRun(spec=SPEC, run="t-3", arrived=1.0, queued=2.0, pid=4, uid=5, program=None),),
    results=LeftResults(
        events=(RECORD,),
        health=(ComponentHealth(component="legacy", healthy=False, since=1.0, script="10.a", result=1),),
    ),
    notices={"waiting": [], "sent": []},
    counts=Counts(started=1.0, started_monotonic=2.0, requests=3, outcomes={"success": 4}),
)


def plain(state: State) -> Any:
    """The same without the identity by which reports are compared."""
    return attrs.asdict(state)


def packed(value: object, *, form: int = FORM, readable_since: int = FORM) -> bytes:
    """The bytes of a state of another program."""
    body: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return struct.pack("=18sHHQI", b"ctdb-eventd state\n", form, readable_since, len(body), zlib.crc32(body)) + body


def body() -> dict[str, Any]:
    value: dict[str, Any] = msgpack.unpackb(
        encode(STATE)[struct.calcsize("=18sHHQI") :], unicode_errors="surrogateescape"
    )
    return value


def test_every_value_comes_through() -> None:
    found = decode(encode(STATE))
    assert plain(found) == plain(STATE)
    assert found.results.events[0].outcome is EventOutcome.TIMED_OUT
    assert isinstance(found.clients[0].calls[0].spec, EventSpec)


def test_the_descriptors_are_all_that_have_to_stay_open() -> None:
    assert sorted(STATE.descriptors) == [5, 6, 7, 8, 9, 11]


def test_of_a_later_form_that_says_so_what_is_known_is_read() -> None:
    later = packed({**body(), "colour": "red"}, form=FORM + 1, readable_since=FORM)
    assert plain(decode(later)) == plain(STATE)


def test_what_an_earlier_program_didn_t_know_has_its_default() -> None:
    earlier = body()
    del earlier["notices"], earlier["detached"]
    assert plain(decode(packed(earlier))) == plain(attrs.evolve(STATE, notices=None, detached=()))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it has 0 bytes, expected at least 34"),
        (b"x" * 40, "it begins with b'xxxxxxxxxxxxxxxxxx', expected b'ctdb-eventd state\\n'"),
        (packed({}, form=9, readable_since=9), f"it is in form 9, expected one from 1 to {FORM}"),
        (packed({}, form=0, readable_since=0), "it is in form 0, expected 1 or a later one"),
        (encode(STATE)[:-1], "bytes after its head, expected"),
        (encode(STATE)[:-1] + b"?", "its check sum is wrong"),
        (packed([]), "[] is not a map of State"),
        (packed({}), "missing"),
        (packed({**body(), "clients": 7}), "7 is not a list"),
        (packed({**body(), "listener": "5"}), "'5' is not of type int"),
        (packed({**body(), "counts": {"started": None, "started_monotonic": 1.0}}), "None is not of type float"),
    ],
)
def test_what_cant_be_read_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(StateUnreadable) as caught:
        decode(data)
    assert reason in str(caught.value)
