"""The stream: cut into packets whichever way the bytes come, and given up on at the first that is none."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from client_end import decode_frame, encode_request
from hypothesis import given, settings
from hypothesis import strategies as st

from ctdb_eventd.errors import PacketTooLarge, RemoteProtocolError, VersionNotSupported
from ctdb_eventd.model import EventSpec
from ctdb_eventd.protocol import frames, native, packet
from ctdb_eventd.protocol.connection import Connection
from ctdb_eventd.protocol.ctdb import encode
from ctdb_eventd.protocol.messages import (
    Call,
    Failure,
    Request,
    Result,
    RunReply,
    RunRequest,
    ScriptRequest,
    StatusRequest,
)

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "wire-vectors.json").read_text())
CAPTURED = b"".join(bytes.fromhex(vector["request"]) for vector in VECTORS if vector.get("request"))

STATUS = StatusRequest("legacy", "monitor")
WORDS = st.text("abc.", min_size=1, max_size=20)
SPECS = st.builds(
    EventSpec,
    component=WORDS,
    event=WORDS,
    args=st.lists(WORDS, max_size=3).map(tuple),
    timeout=st.integers(0, 100),
    run_all=st.booleans(),
)
REQUESTS: st.SearchStrategy[Request] = st.one_of(
    st.builds(RunRequest, SPECS),
    st.builds(StatusRequest, WORDS, WORDS),
    st.builds(ScriptRequest, WORDS, WORDS, st.booleans()),
)
STREAMS = st.lists(st.tuples(st.integers(0, packet.MAX_U32), REQUESTS), max_size=6)


def messages(connection: Connection) -> list[tuple[int, Request]]:
    received = []
    while (message := connection.next_message()) is not None:
        received.append(message)
    return received


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(ends)]


def after(*received: bytes, max_packet: int = 4096) -> Connection:
    connection = Connection(max_packet)
    for data in received:
        connection.receive_data(data)
    return connection


# ---------------------------------------------------------------------- cutting the stream


@settings(deadline=None)
@given(STREAMS, st.lists(st.integers(0, 600), max_size=12), st.booleans())
def test_every_way_to_cut_a_stream_gives_the_same_messages(
    stream: list[tuple[int, Request]], cuts: list[int], ask_each_time: bool
) -> None:
    data = b"".join(encode_request(reqid, request) for reqid, request in stream)
    connection = Connection()
    received = []
    for chunk in chunks(data, cuts):
        connection.receive_data(chunk)
        if ask_each_time:
            received += messages(connection)
    received += messages(connection)
    assert received == stream
    connection.receive_eof()


@settings(deadline=None)
@given(STREAMS.filter(bool), st.data())
def test_messages_may_be_taken_one_by_one_between_chunks(
    stream: list[tuple[int, Request]], data: st.DataObject
) -> None:
    connection = Connection()
    received = []
    for chunk in chunks(b"".join(encode_request(*one) for one in stream), data.draw(st.lists(st.integers(0, 600)))):
        connection.receive_data(chunk)
        message = connection.next_message()
        received += [message] if message is not None else []
    assert received + messages(connection) == stream


def test_byte_by_byte_is_enough() -> None:
    data = encode_request(1, STATUS) + encode_request(2, STATUS)
    connection = Connection()
    received = []
    for position in range(len(data)):
        connection.receive_data(data[position : position + 1])
        received += messages(connection)
    assert received == [(1, STATUS), (2, STATUS)]


def test_without_data_there_is_no_message() -> None:
    connection = Connection()
    assert connection.next_message() is None
    connection.receive_data(b"")
    assert connection.next_message() is None
    connection.receive_eof()


# ---------------------------------------------------------------------- limits


@pytest.mark.parametrize("length", [4097, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_oversized_packet_is_refused_at_its_fourth_byte(length: int) -> None:
    head = packet.u32(length)
    connection = after(head[:3])
    assert connection.next_message() is None
    connection.receive_data(head[3:])
    with pytest.raises(PacketTooLarge) as caught:
        connection.next_message()
    assert (caught.value.length, caught.value.limit) == (length, 4096)


def test_an_oversized_packet_behind_a_good_one_is_refused() -> None:
    connection = after(encode_request(1, STATUS) + packet.u32(4097))
    assert connection.next_message() == (1, STATUS)
    with pytest.raises(PacketTooLarge):
        connection.next_message()


def test_a_packet_of_just_the_limit_is_read() -> None:
    data = packet.frame(1, encode_request(1, STATUS)[packet.HEADER_SIZE :].ljust(4096 - packet.HEADER_SIZE, b"\0"))
    assert messages(after(data)) == [(1, STATUS)]


def test_requests_may_have_1_mib_unless_told_otherwise() -> None:
    connection = Connection()
    connection.receive_data(packet.u32((1 << 20) + 1))
    with pytest.raises(PacketTooLarge, match="at most 1048576 are accepted"):
        connection.next_message()


# ---------------------------------------------------------------------- broken streams


def test_after_an_error_there_is_only_that_error() -> None:
    connection = after(packet.frame(1, packet.u32(99)))
    with pytest.raises(RemoteProtocolError, match="command 99") as first:
        connection.next_message()
    connection.receive_data(encode_request(2, STATUS))
    with pytest.raises(RemoteProtocolError) as second:
        connection.next_message()
    assert second.value is first.value


def test_what_came_before_a_broken_packet_is_delivered() -> None:
    connection = after(encode_request(1, STATUS) + encode_request(2, STATUS) + packet.u32(3))
    assert [connection.next_message(), connection.next_message()] == [(1, STATUS), (2, STATUS)]
    with pytest.raises(RemoteProtocolError, match=r"^packet length 3 is less than"):
        connection.next_message()


@pytest.mark.parametrize("size", [1, 4, 11, 20])
def test_an_end_inside_a_packet_is_an_error(size: int) -> None:
    connection = after(encode_request(1, STATUS)[:size])
    assert connection.next_message() is None
    with pytest.raises(RemoteProtocolError, match=f"^connection ended inside a packet, after {size} bytes of it$"):
        connection.receive_eof()


def test_an_end_inside_a_packet_that_came_in_pieces_is_an_error() -> None:
    data = encode_request(1, STATUS)
    connection = after(data + data[:5])
    assert messages(connection) == [(1, STATUS)]
    connection.receive_data(data[5:9])
    with pytest.raises(RemoteProtocolError, match="after 9 bytes of it"):
        connection.receive_eof()


@pytest.mark.parametrize("nonsense", [b"GET / HTTP/1.0\r\n\r\n", b"\0" * 64, b"\xff" * 64, b"hello\n"])
def test_nonsense_is_refused(nonsense: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        after(nonsense).next_message()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_arbitrary_bytes_raise_nothing_else(received: list[bytes]) -> None:
    connection = after(*received)
    try:
        messages(connection)
        connection.receive_eof()
    except RemoteProtocolError:
        pass


@settings(deadline=None)
@given(st.data())
def test_a_mutated_conversation_raises_nothing_else(data: st.DataObject) -> None:
    mutated = bytearray(CAPTURED)
    for _ in range(data.draw(st.integers(1, 6))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    connection = after(*chunks(bytes(mutated), data.draw(st.lists(st.integers(0, len(mutated)), max_size=4))))
    try:
        messages(connection)
        connection.receive_eof()
    except RemoteProtocolError:
        pass


# ---------------------------------------------------------------------- two dialects on one socket

CALL = Call(5, "ping", {})
NATIVE_STREAM = frames.PREFACE + encode_request(5, CALL) + encode_request(6, Call(6, "run", {"args": ["a b"]}))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9, len(NATIVE_STREAM)])
def test_the_preface_makes_it_the_native_dialect_whichever_way_the_bytes_come(size: int) -> None:
    connection = Connection()
    received = []
    for start in range(0, len(NATIVE_STREAM), size):
        connection.receive_data(NATIVE_STREAM[start : start + size])
        received += messages(connection)
    assert received == [(5, CALL), (6, Call(6, "run", {"args": ["a b"]}))]
    assert connection.encode(5, Result({})) == native.encode(5, Result({}))
    connection.receive_eof()


@pytest.mark.parametrize("size", range(1, 5))
def test_without_it_it_is_the_ctdb_dialect_whichever_way_the_bytes_come(size: int) -> None:
    stream = encode_request(5, STATUS) + encode_request(6, STATUS)
    connection = Connection()
    received = []
    for start in range(0, len(stream), size):
        connection.receive_data(stream[start : start + size])
        received += messages(connection)
    assert received == [(5, STATUS), (6, STATUS)]
    assert connection.encode(5, RunReply(0)) == encode(5, RunReply(0))


def test_an_end_inside_the_preface_is_an_error() -> None:
    connection = Connection()
    connection.receive_data(frames.PREFACE[:6])
    assert connection.next_message() is None
    with pytest.raises(RemoteProtocolError, match=r"ended inside a packet, after 6 bytes of it$"):
        connection.receive_eof()


def test_a_preface_of_another_version_is_refused_and_told_which_there_are() -> None:
    connection = Connection()
    connection.receive_data(frames.PREFACE[:-1] + b"\x02" + encode_request(5, CALL))
    with pytest.raises(VersionNotSupported):
        connection.next_message()
    reqid, failure = decode_frame(connection.closing_message())
    assert isinstance(failure, Failure)
    assert (reqid, failure.code, failure.data["versions"]) == (0, "EPROTONOSUPPORT", [1])


def test_other_errors_have_no_closing_message() -> None:
    connection = Connection()
    connection.receive_data(frames.PREFACE + b"\xff" * 4)
    with pytest.raises(PacketTooLarge):
        connection.next_message()
    assert connection.closing_message() == b""
