"""The native dialect: messages to frames and back."""

from __future__ import annotations

import pytest
from client_end import decode_frame, encode_request
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.protocol import frames, native
from ctdb_eventd.protocol.messages import (
    Call,
    Failure,
    Note,
    Notes,
    Packed,
    Reply,
    Result,
    RunReply,
    StatusReply,
)

texts = st.text(st.characters(codec="utf-8"), max_size=20)
maps = st.dictionaries(texts, st.integers(0, 100) | texts | st.binary(max_size=9) | st.none(), max_size=4)
ids = st.integers(0, (1 << 63) - 1)


@given(ids, texts, maps)
def test_a_call_comes_back(request_id: int, method: str, params: dict[str, object]) -> None:
    call = Call(request_id, method, params)
    assert native.decode_request(encode_request(request_id, call)) == (request_id, call)


@given(ids, st.builds(Result, maps) | st.builds(Failure, texts, texts, maps) | st.builds(Note, texts, ids, maps))
def test_an_answer_comes_back(request_id: int, answer: Reply) -> None:
    assert decode_frame(native.encode(request_id, answer)) == (request_id, answer)


def test_a_packed_result_is_sent_as_it_is() -> None:
    value = {"a": [1, "b", b"c"]}
    assert native.encode(3, Result(Packed(frames.packed(value)))) == native.encode(3, Result(value))


def test_notes_are_frames_in_a_row_and_encoded_once_for_an_id() -> None:
    first, second = Note("started", 7, {"run": "x-1"}), Note("finished", 8, {"run": "x-1"})
    notes = Notes((first, second))
    data = native.encode(1, notes)
    assert data == native.encode(1, first) + native.encode(1, second)
    assert native.encode(1, notes) is data
    assert native.encode(2, notes) == native.encode(2, first) + native.encode(2, second)


def test_params_may_be_left_out_and_unknown_keys_are_ignored() -> None:
    frame = frames.frame(frames.packed({"id": 1, "method": "ping", "colour": "blue"}))
    assert native.decode_request(frame) == (1, Call(1, "ping", {}))


@pytest.mark.parametrize(
    "content",
    [
        {"id": 1},
        {"id": 1, "method": 3},
        {"id": 1, "method": "run", "params": []},
        {"id": 1, "method": "run", "params": None},
    ],
)
def test_what_is_no_request_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^(a request names|the params of)"):
        native.decode_request(frames.frame(frames.packed(content)))


@pytest.mark.parametrize(
    "message",
    [
        RunReply(0),
        StatusReply(2, None),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_of_the_ctdb_dialect_are_refused(message: Reply) -> None:
    with pytest.raises(LocalProtocolError, match="is of the CTDB dialect, this is the native one"):
        native.encode(1, message)
