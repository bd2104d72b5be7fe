"""Cutting a stream into frames, and what a frame may say."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctdb_event.dialects import read_frame
from ctdb_event.framing import Splitter
from ctdb_eventd.errors import PacketTooLarge, RemoteProtocolError
from ctdb_eventd.protocol import frames, packet


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=8), st.lists(st.integers(1, 9), min_size=1))
def test_whatever_pieces_a_stream_comes_in_the_frames_are_the_same(bodies: list[bytes], sizes: list[int]) -> None:
    wholes = [frames.frame(body) for body in bodies]
    stream, splitter, taken = b"".join(wholes), Splitter(frames.frame_length, 1000), []
    while stream:
        size = sizes[len(stream) % len(sizes)]
        splitter.receive_data(stream[:size])
        stream = stream[size:]
        while (whole := splitter.next()) is not None:
            taken.append(whole)
    assert taken == wholes


def test_packets_of_the_other_dialect_are_cut_too() -> None:
    splitter = Splitter(packet.packet_length, 1000)
    splitter.receive_data(packet.frame(7, b"abc")[:-1])
    assert splitter.next() is None
    splitter.receive_data(b"c")
    assert splitter.next() == packet.frame(7, b"abc")


def test_a_length_over_the_limit_is_refused_at_once() -> None:
    splitter = Splitter(frames.frame_length, 1000)
    splitter.receive_data((997).to_bytes(4, "big"))
    for _ in range(2):
        with pytest.raises(PacketTooLarge, match="1001 bytes announced, at most 1000"):
            splitter.next()


def test_what_was_used_is_thrown_away() -> None:
    """A stream that never comes to rest must not be kept for ever."""
    splitter, whole = Splitter(frames.frame_length, 1000), frames.frame(b"x" * 6)
    splitter.receive_data(whole[:5])
    for _ in range(100):
        splitter.receive_data(whole[5:] + whole[:5])
        assert splitter.next() == whole
    assert sys.getsizeof(splitter._data) < 250


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (frames.result(3, frames.packed([1])), (3, ("result", [1], None, None))),
        (frames.result(3, frames.packed(None)), (3, ("result", None, None, None))),
        (frames.note(4, "queued", 9, {"time": 1.0}), (4, ("note", "queued", 9, {"time": 1.0}))),
        (frames.error(5, "EIO", "oh", {"kind": "Bug"}), (5, ("error", "EIO", "oh", {"kind": "Bug"}))),
        (
            frames.frame(frames.packed({"id": 5, "error": {"code": "EIO", "message": "oh"}})),
            (5, ("error", "EIO", "oh", {})),
        ),
    ],
)
def test_what_a_frame_says(frame: bytes, said: object) -> None:
    assert read_frame(frame) == said


@pytest.mark.parametrize(
    "content",
    [
        {"id": 1},
        {"id": 1, "note": 3, "number": 1, "data": {}},
        {"id": 1, "note": "x", "data": {}},
        {"id": 1, "note": "x", "number": 1},
        {"id": 1, "error": "EIO"},
        {"id": 1, "error": {"code": 5, "message": "x"}},
        {"id": 1, "error": {"code": "EIO"}},
        {"id": 1, "error": {"code": "EIO", "message": "x", "data": [1]}},
    ],
)
def test_a_frame_that_says_none_of_these_is_refused(content: object) -> None:
    with pytest.raises(RemoteProtocolError, match="is no reply, error or note"):
        read_frame(frames.frame(frames.packed(content)))


@pytest.mark.parametrize("depth", [900, *range(980, 1024)])
def test_a_frame_that_is_nested_too_deep_is_refused_like_any_other(depth: int) -> None:
    nested = b"\x91" * depth + b"\xc0"
    with pytest.raises(RemoteProtocolError, match=r"is no reply, error or note|a frame holds one msgpack map"):
        read_frame(frames.frame(b"\x82\xa2id\x01\xa4note" + nested))
