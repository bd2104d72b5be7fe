"""The grammar of the CTDB dialect: integers, strings, packets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctdb_eventd.errors import LocalProtocolError, PacketTooLarge, RemoteProtocolError
from ctdb_eventd.protocol import packet
from ctdb_eventd.protocol.packet import Fields

U32 = st.integers(0, packet.MAX_U32)
LIMIT = 4096


@settings(deadline=None)
@given(U32)
def test_an_integer_comes_back(value: int) -> None:
    assert Fields(packet.u32(value)).u32("number") == value


@pytest.mark.parametrize("value", [-1, packet.MAX_U32 + 1])
def test_an_integer_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{value} does not fit an unsigned 32-bit field$"):
        packet.u32(value)


@settings(deadline=None)
@given(st.none() | st.binary(max_size=300))
def test_a_string_comes_back(value: bytes | None) -> None:
    fields = Fields(packet.string(value))
    assert fields.string("name") == value
    assert fields.left == 0


def test_a_null_string_has_no_bytes_and_an_empty_one_has_its_nul() -> None:
    assert packet.string(None).hex() == "00000000"
    assert packet.string(b"").hex() == "0100000000"


def test_a_frame_counts_its_own_header_and_has_version_0() -> None:
    assert packet.frame(0x01020304, b"body").hex(" ", 4) == "10000000 00000000 04030201 626f6479"


@settings(deadline=None)
@given(U32, st.binary(max_size=50))
def test_a_frame_says_its_length_and_request_id(reqid: int, body: bytes) -> None:
    data = packet.frame(reqid, body)
    assert packet.packet_length(data, LIMIT) == len(data)
    assert packet.request_id(data) == reqid


def test_a_run_request_is_what_ctdbs_own_command_line_sends() -> None:
    expected = (
        "430000000000000038ffff7f01000000070000006c6567616379000700000074616b6569700011000000"
        "657468302031302e302e302e31203234001e00000000000000"
    )
    data = packet.run_request(0x7FFFFF38, b"legacy", b"takeip", b"eth0 10.0.0.1 24", 30, run_all=False)
    assert data.hex() == expected


def test_run_all_is_the_last_flag() -> None:
    data = packet.run_request(1, b"legacy", b"monitor", None, 30, run_all=True)
    assert data[-4:] == packet.u32(packet.FLAG_RUN_ALL)


@pytest.mark.parametrize("enable", [False, True])
def test_a_script_request_ends_with_its_action(enable: bool) -> None:
    data = packet.script_request(1, b"legacy", b"00.ctdb", enable)
    assert data[-4:] == packet.u32(enable)


def test_a_status_request_is_two_names() -> None:
    fields = Fields(packet.status_request(1, b"legacy", b"monitor"), packet.HEADER_SIZE)
    assert fields.u32("command") == packet.COMMAND_STATUS
    assert (fields.string("component"), fields.string("event")) == (b"legacy", b"monitor")
    assert fields.left == 0


@pytest.mark.parametrize("size", range(4))
def test_a_length_needs_four_bytes(size: int) -> None:
    assert packet.packet_length(b"\xff\xff\xff\xff"[:size], LIMIT) == 0


@pytest.mark.parametrize("length", [0, 1, packet.HEADER_SIZE - 1])
def test_a_packet_shorter_than_its_header_is_refused(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"^packet length {length} is less than the header's 12 bytes$"):
        packet.packet_length(packet.u32(length), LIMIT)


def test_a_packet_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert packet.packet_length(packet.u32(LIMIT), LIMIT) == LIMIT
    with pytest.raises(PacketTooLarge) as caught:
        packet.packet_length(packet.u32(LIMIT + 1), LIMIT)
    assert (caught.value.length, caught.value.limit) == (LIMIT + 1, LIMIT)


TAKERS: list[tuple[Callable[[Fields], object], int]] = [
    (lambda fields: fields.u32("field"), 4),
    (lambda fields: fields.i32("field"), 4),
    (lambda fields: fields.timeval("field"), 16),
    (lambda fields: fields.string("field"), 4),
]


@pytest.mark.parametrize(("take", "size"), TAKERS, ids=["u32", "i32", "timeval", "string"])
def test_a_field_that_ends_early_says_what_is_missing(take: Callable[[Fields], object], size: int) -> None:
    for left in range(size):
        with pytest.raises(RemoteProtocolError, match=rf"^field: {size} bytes needed, {left} left in the packet$"):
            take(Fields(bytes(left)))


def test_a_string_longer_than_the_packet_is_refused_and_nothing_is_taken_for_it() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^name: 4294967295 bytes needed, 3 left in the packet$"):
        Fields(packet.u32(packet.MAX_U32) + b"abc").string("name")


def test_a_string_without_its_nul_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^name: string of 3 bytes has no closing NUL$"):
        Fields(packet.u32(3) + b"abc").string("name")


def test_a_nul_inside_a_string_is_kept() -> None:
    fields = Fields(packet.u32(4) + b"a\0b\0" + b"rest")
    assert fields.string("name") == b"a\0b"
    assert fields.left == 4


@pytest.mark.parametrize("value", [-1, 0, -(2**31), 2**31 - 1])
def test_a_signed_integer_keeps_its_sign(value: int) -> None:
    assert Fields(packet.REPLY_HEAD.pack(20, 0, 1, 1, value), 16).i32("result") == value


def test_a_time_is_seconds_then_microseconds() -> None:
    data = b"".join(number.to_bytes(8, "little", signed=True) for number in (-2, 5))
    assert Fields(data).timeval("begin") == -1_999_995


def report(name: bytes | None = b"00.ok", output: bytes | None = b"hello\n") -> bytes:
    return packet.string(name) + bytes(16) + bytes(16) + packet.u32(0) + packet.string(output)


def test_reports_are_read_in_order_and_null_strings_are_empty() -> None:
    fields = Fields(packet.u32(2) + report() + report(None, None))
    assert list(packet.read_reports(fields)) == [(b"00.ok", 0, 0, 0, b"hello\n"), (b"", 0, 0, 0, b"")]


def test_a_negative_count_of_reports_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^script count: -1 is negative$"):
        next(packet.read_reports(Fields(packet.u32(packet.MAX_U32))))


def test_a_count_that_lies_costs_nothing_and_is_refused_where_the_packet_ends() -> None:
    reports = packet.read_reports(Fields(packet.u32(2**31 - 1) + report()))
    assert next(reports)[0] == b"00.ok"
    with pytest.raises(RemoteProtocolError, match=r"^script name: 4 bytes needed, 0 left in the packet$"):
        next(reports)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_as_reports_raise_nothing_else(data: bytes) -> None:
    try:
        list(packet.read_reports(Fields(data)))
    except RemoteProtocolError:
        pass
