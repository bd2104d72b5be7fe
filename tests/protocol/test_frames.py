"""The native dialect's grammar: preface, frames, and what is no frame."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd.errors import LocalProtocolError, PacketTooLarge, RemoteProtocolError
from ctdb_eventd.protocol import frames, packet

LIMIT = 1 << 20
names = st.text(st.characters(codec="utf-8"), max_size=20)
# file names: bytes that are no UTF-8 are surrogates here and themselves on the wire
odd_names = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | odd_names
    | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
ids = st.integers(0, (1 << 63) - 1)


def test_no_packet_of_the_ctdb_dialect_can_begin_like_the_preface() -> None:
    for order in ("little", "big"):
        assert int.from_bytes(frames.PREFACE[: frames.MAGIC_SIZE], order) > 1 << 30
    with pytest.raises(PacketTooLarge):
        packet.packet_length(frames.PREFACE, 1 << 30)


def test_the_preface_says_the_version() -> None:
    assert frames.is_native(frames.PREFACE)
    assert frames.is_native(frames.PREFACE[: frames.MAGIC_SIZE])
    assert not frames.is_native(frames.PREFACE[: frames.MAGIC_SIZE - 1])
    assert frames.check_preface(frames.PREFACE) == frames.VERSION == 1
    assert frames.check_preface(frames.PREFACE[:-1] + b"\xfe") == 254


@given(ids, names, st.dictionaries(names, values, max_size=5))
def test_a_request_comes_back(request_id: int, method: str, params: dict[str, object]) -> None:
    data = frames.request(request_id, method, params)
    assert frames.frame_length(data, LIMIT) == len(data)
    assert frames.unpack(data) == (request_id, {"id": request_id, "method": method, "params": params})


@given(ids, values)
def test_a_result_comes_back(request_id: int, value: object) -> None:
    data = frames.result(request_id, frames.packed(value))
    assert frames.unpack(data) == (request_id, {"id": request_id, "result": value})


@given(st.lists(values, max_size=20), st.dictionaries(names, values, max_size=20))
def test_lists_and_maps_can_be_put_together_of_packed_values(items: list[object], entries: dict[str, object]) -> None:
    assert frames.packed_list([frames.packed(item) for item in items]) == frames.packed(items)
    assert frames.packed_map({key: frames.packed(value) for key, value in entries.items()}) == frames.packed(entries)


@pytest.mark.parametrize("size", range(4))
def test_a_length_needs_four_bytes(size: int) -> None:
    assert frames.frame_length(b"\xff" * size, LIMIT) == 0


def test_a_length_over_the_limit_is_refused_as_soon_as_it_is_known() -> None:
    assert frames.frame_length((LIMIT - 4).to_bytes(4, "big"), LIMIT) == LIMIT
    with pytest.raises(PacketTooLarge, match=r"^packet of 1048577 bytes announced, at most 1048576 are accepted$"):
        frames.frame_length((LIMIT - 3).to_bytes(4, "big"), LIMIT)


def framed(value: object) -> bytes:
    return frames.frame(msgpack.packb(value))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (framed([1]), "not list"),
        (framed({}), "not None"),
        (framed({"id": -1}), "not -1"),
        (framed({"id": 1 << 63}), "not 9223372036854775808"),
        (framed({"id": True}), "not True"),
        (framed({"id": 1.0}), r"not 1\.0"),
        (framed({b"id": 1}), "not dict"),
        (frames.frame(b"\x81\x01\x01"), "one msgpack map"),
        (frames.frame(b""), "one msgpack map"),
        (frames.frame(b"\x81\xa2id"), "one msgpack map"),
        (frames.frame(b"\x81\xa2id\x01\x00"), "one msgpack map"),
        (frames.frame(b"\xc1"), "one msgpack map"),
        (frames.frame(b"\x91" * 5000), "one msgpack map"),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        frames.unpack(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_map_or_an_error(data: bytes) -> None:
    try:
        request_id, content = frames.unpack(frames.frame(data))
    except RemoteProtocolError:
        return
    assert content["id"] == request_id


@pytest.mark.parametrize("value", [object(), 1 << 64, {"a": {1, 2}}, "\ud800"])
def test_what_can_not_be_said_is_our_own_mistake(value: object) -> None:
    with pytest.raises(LocalProtocolError, match="can't be encoded"):
        frames.packed(value)
    assert frames.packed([1]) == b"\x91\x01", "the packer works on after an error"
