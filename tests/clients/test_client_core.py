"""The core of both clients: requests, mailboxes, requests that are taken back, the end."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctdb_event import core as core_module
from ctdb_event.core import MAX_ID, Core, Mailbox
from ctdb_event.ctdb import CtdbDialect
from ctdb_event.dialects import NativeDialect
from ctdb_event.errors import BrokerUnavailable, InvalidRequest, NotSupported, QueueTimeout
from ctdb_event.failures import result_of
from ctdb_eventd.protocol import frames, packet


def native() -> Core:
    """A core after its greeting."""
    core = Core("/s", NativeDialect())
    assert core.data_to_send() == frames.PREFACE
    return core


def said(core: Core) -> list[tuple[int, str, dict[str, Any]]]:
    """What the core wants to send: id, method and parameters of each request."""
    data, taken = core.data_to_send(), []
    while data:
        length = frames.frame_length(data, 1 << 30)
        request_id, content = frames.unpack(data[:length])
        taken.append((request_id, content["method"], content["params"]))
        data = data[length:]
    return taken


def result(mailbox: Mailbox, value: Any) -> bytes:
    return frames.result(mailbox.request_id, frames.packed(value))


def note(mailbox: Mailbox, number: int, **data: Any) -> bytes:
    return frames.note(mailbox.request_id, "output", number, {"time": 1.5, **data})


def test_requests_are_said_in_order_and_answers_find_their_mailboxes() -> None:
    core = native()
    one, two = core.start("one", {"a": 1}), core.start("two", {})
    assert core.unsent > 0
    assert said(core) == [(one.request_id, "one", {"a": 1}), (two.request_id, "two", {})]
    assert core.unsent == 0
    core.receive_data(result(two, "second") + result(one, "first")[:-1])
    assert (one.answered, two.answered) == (False, True)
    core.receive_data(result(one, "first")[-1:])
    assert (one.value, two.value) == ("first", "second")


def test_a_refusal_is_raised_as_its_class() -> None:
    core = native()
    mailbox = core.start("run", {})
    core.receive_data(frames.error(mailbox.request_id, "EBUSY", "too long", {"kind": "QueueTimeout", "seconds": 3}))
    with pytest.raises(QueueTimeout, match="too long"):
        result_of(core, mailbox)


def test_whoever_waits_is_told() -> None:
    core, told = native(), []
    mailbox = core.start("run", {}, lambda: told.append(mailbox.answered))
    core.receive_data(note(mailbox, 1) + result(mailbox, 1))
    assert told == [False, True]


def test_answers_that_nobody_waits_for_are_passed_over() -> None:
    core = native()
    core.receive_data(
        frames.result(99, b"\xc0") + frames.error(98, "EIO", "x", {}) + frames.note(97, "queued", 1, {"time": 1.0})
    )
    assert core.ended is None
    assert said(core) == []


# ---------------------------------------------------------------------- taking back


@pytest.mark.parametrize("method", ["run", "lock", "subscribe"])
def test_a_request_that_is_taken_back_is_cancelled(method: str) -> None:
    core = native()
    mailbox = core.start(method, {})
    said(core)
    core.abandon(mailbox)
    core.abandon(mailbox)
    assert [what[1:] for what in said(core)] == [("cancel", {"call": mailbox.request_id})]
    core.receive_data(frames.error(mailbox.request_id, "ECANCELED", "it was", {"kind": "Cancelled"}))
    assert not mailbox.answered
    assert said(core) == []


def test_what_is_over_in_a_moment_is_not_cancelled() -> None:
    core = native()
    core.abandon(core.start("status", {}))
    assert [method for _, method, _ in said(core)] == ["status"]


def test_a_lock_that_is_granted_after_all_is_given_back() -> None:
    core = native()
    mailbox = core.start("lock", {"names": ["a"]})
    core.abandon(mailbox)
    said(core)
    core.receive_data(result(mailbox, {"lock": 7, "waited": 0.5}))
    assert [what[1:] for what in said(core)] == [("unlock", {"lock": 7})]


def test_a_lock_whose_grant_came_before_it_was_taken_back_is_given_back() -> None:
    core = native()
    mailbox = core.start("lock", {"names": ["a"]})
    said(core)
    core.receive_data(result(mailbox, {"lock": 7, "waited": 0.5}))
    core.abandon(mailbox)
    assert [what[1:] for what in said(core)] == [("unlock", {"lock": 7})]


def test_the_ctdb_dialect_can_take_nothing_back() -> None:
    core = Core("/s", CtdbDialect())
    run = {"component": "c", "event": "e", "args": [], "timeout": 0, "run_all": False, "stream": False, "detach": False}
    mailbox = core.start("run", run)
    core.data_to_send()
    core.abandon(mailbox)
    assert core.data_to_send() == b""
    core.receive_data(packet.REPLY_HEAD.pack(packet.REPLY_HEAD.size, 0, mailbox.request_id, packet.COMMAND_RUN, 0))
    assert not mailbox.answered


def test_nothing_is_taken_back_when_all_is_over() -> None:
    core = native()
    mailbox = core.start("lock", {})
    core.receive_data(result(mailbox, {"lock": 7, "waited": 0.5}))
    core.end("gone")
    core.abandon(mailbox)
    assert core.data_to_send() == b""


# ---------------------------------------------------------------------- what can't be said


def test_what_cannot_be_said_is_refused_before_anything_is_sent() -> None:
    core = native()
    with pytest.raises(InvalidRequest, match="can't be encoded"):
        core.start("run", {"component": object()})
    core.limit = 40
    with pytest.raises(InvalidRequest, match=r"run takes \d+ bytes, the broker accepts 40: \[eventd\] max packet"):
        core.start("run", {"component": "x" * 40})
    with pytest.raises(NotSupported):
        Core("/s", CtdbDialect()).start("ping", {})
    assert said(core) == []


def test_ids_begin_again_and_pass_over_those_in_use() -> None:
    core = native()
    first, second = core.start("run", {}), core.start("run", {})
    core.abandon(second)
    core._last = MAX_ID - 1
    assert [core.start("x", {}).request_id for _ in range(2)] == [MAX_ID, second.request_id + 2]
    assert first.request_id == 1


# ---------------------------------------------------------------------- the end


def test_the_end_fails_what_is_under_way_and_whatever_comes_after() -> None:
    core = native()
    mailbox = core.start("run", {})
    core.receive_eof()
    assert core.closed_by_peer
    with pytest.raises(BrokerUnavailable, match="the broker closed it; whether run was carried out is unknown"):
        result_of(core, mailbox)
    assert core.start("run", {}).lost
    assert core.data_to_send() == b""
    core.receive_data(result(mailbox, 1))
    core.end("once more")
    assert core.ended == "the broker closed it"


def test_a_run_of_which_only_the_scripts_are_unknown_at_the_end_has_its_outcome() -> None:
    core = Core("/s", CtdbDialect())
    run = {"component": "c", "event": "e", "args": [], "timeout": 0, "run_all": False, "stream": False, "detach": False}
    known, unknown = core.start("run", run), core.start("run", run)
    code = errno.ENOEXEC
    core.receive_data(packet.REPLY_HEAD.pack(packet.REPLY_HEAD.size, 0, known.request_id, packet.COMMAND_RUN, code))
    core.receive_eof()
    assert result_of(core, known)["outcome"] == "failed"
    with pytest.raises(BrokerUnavailable):
        result_of(core, unknown)


def test_nonsense_ends_the_connection() -> None:
    core = native()
    mailbox = core.start("run", {})
    core.receive_data(frames.frame(b"\xc1"))
    assert core.ended is not None
    assert not core.closed_by_peer
    with pytest.raises(BrokerUnavailable, match="violates the native dialect"):
        result_of(core, mailbox)


def test_an_error_about_the_connection_is_everybodys() -> None:
    core = native()
    mailbox = core.start("hello", {})
    data = {"kind": "VersionNotSupported", "versions": [7]}
    core.receive_data(frames.error(0, "EPROTONOSUPPORT", "version 1 is not spoken", data))
    with pytest.raises(NotSupported, match="version 1 is not spoken"):
        result_of(core, mailbox)
    assert core.ended == "the broker refused it: version 1 is not spoken"


# ---------------------------------------------------------------------- mailboxes


def put(mailbox: Mailbox, kind: str, number: int, data: dict[str, Any]) -> None:
    mailbox.put((kind, number, data))


def test_a_slow_consumer_loses_the_oldest_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "_MAX_WEIGHT", 3 * 512)
    mailbox = Mailbox(1, "run", lambda: None)
    for number in range(1, 6):
        put(mailbox, "queued", number, {"time": float(number)})
    assert mailbox.waiting
    assert mailbox.take() == ("gap", 2, {"time": 2.0, "lost": 2})
    assert [mailbox.take() for _ in range(4)][-1] is None
    assert not mailbox.waiting


def test_a_gap_that_is_lost_counts_as_what_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "_MAX_WEIGHT", 512)
    mailbox = Mailbox(1, "run", lambda: None)
    put(mailbox, "gap", 9, {"time": 1.0, "lost": 10})
    put(mailbox, "queued", 10, {"time": 2.0})
    put(mailbox, "queued", 11, {"time": 3.0})
    assert mailbox.take() == ("gap", 10, {"time": 2.0, "lost": 11})
    assert mailbox.take() == ("queued", 11, {"time": 3.0})
    put(mailbox, "gap", 12, {"time": 4.0, "lost": "many"})
    put(mailbox, "queued", 13, {"time": 5.0})
    assert mailbox.take() == ("gap", 12, {"time": 4.0, "lost": 1})


def test_output_counts_by_its_size_and_one_note_always_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "_MAX_WEIGHT", 1024)
    mailbox = Mailbox(1, "run", lambda: None)
    put(mailbox, "output", 1, {"time": 1.0, "output": b"x" * 5000})
    taken = mailbox.take()
    assert taken is not None
    assert taken[1] == 1
    put(mailbox, "output", 2, {"time": 1.0, "output": b"x" * 300})
    put(mailbox, "output", 3, {"time": 1.0, "output": b"x" * 300})
    assert mailbox.take() == ("gap", 2, {"time": 1.0, "lost": 1})


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 2000)), max_size=60))
def test_taken_and_lost_together_are_what_came(steps: list[int | None]) -> None:
    """None takes a note; a number puts one with so much output."""
    mailbox, came, accounted, last = Mailbox(1, "run", lambda: None), 0, 0, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_module, "_MAX_WEIGHT", 4000)
        for step in [*steps, *([None] * 61)]:
            if step is not None:
                came += 1
                put(mailbox, "output", came, {"time": 1.0, "output": b"x" * step})
                assert mailbox._weight <= 4000
            elif (taken := mailbox.take()) is not None:
                accounted += taken[2]["lost"] if taken[0] == "gap" else 1
                assert taken[1] > last
                last = taken[1]
    assert accounted == came
    assert mailbox._weight == 0


@settings(deadline=None)
@given(st.permutations(list(range(8))), st.integers(1, 30))
def test_in_whatever_order_and_pieces_answers_come_each_finds_its_mailbox(order: list[int], size: int) -> None:
    core = native()
    mailboxes = [core.start("run", {}) for _ in order]
    stream = b"".join(note(mailboxes[n], 1, output=bytes([n])) + result(mailboxes[n], n) for n in order)
    for start in range(0, len(stream), size):
        core.receive_data(stream[start : start + size])
    for n, mailbox in enumerate(mailboxes):
        taken = mailbox.take()
        assert taken is not None
        assert (taken[2]["output"], mailbox.value) == (bytes([n]), n)


def test_a_mailbox_is_answered_once() -> None:
    told: list[str] = []
    mailbox = Mailbox(1, "run", lambda: told.append("told"))
    mailbox.settle(refusal=("EIO", "oh", {}))
    mailbox.settle(7)
    assert (mailbox.value, mailbox.refusal, mailbox.lost, told) == (None, ("EIO", "oh", {}), False, ["told"])
