"""The CTDB dialect: messages to packets and back."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
from client_end import decode_reply, encode_request
from hypothesis import given, settings
from hypothesis import strategies as st

from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.model import NOT_REACHED, EventReport, EventSpec, ScriptReport
from ctdb_eventd.protocol import packet
from ctdb_eventd.protocol.ctdb import decode_request, encode
from ctdb_eventd.protocol.messages import (
    Reply,
    Request,
    Result,
    RunReply,
    RunRequest,
    ScriptReply,
    ScriptRequest,
    StatusReply,
    StatusRequest,
)

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "wire-vectors.json").read_text())
CAPTURED_REQUESTS = [bytes.fromhex(vector["request"]) for vector in VECTORS if vector.get("request")]
CAPTURED_REPLIES = [bytes.fromhex(vector["reply"]) for vector in VECTORS if vector.get("reply")]

U32 = st.integers(0, packet.MAX_U32)
I32 = st.integers(-(2**31), 2**31 - 1)
MICROSECONDS = st.integers(-(2**63), 2**63 - 1)
# whatever bytes a name may hold: text, and what is not UTF-8 as surrogates
NAMES = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
WORDS = NAMES.filter(lambda word: word != "" and " " not in word)

SPECS = st.builds(
    EventSpec,
    component=NAMES,
    event=NAMES,
    args=st.lists(WORDS, max_size=4).map(tuple),
    timeout=U32,
    run_all=st.booleans(),
)
REQUESTS: st.SearchStrategy[Request] = st.one_of(
    st.builds(RunRequest, SPECS),
    st.builds(StatusRequest, NAMES, NAMES),
    st.builds(ScriptRequest, NAMES, NAMES, st.booleans()),
)
SCRIPTS = st.builds(
    ScriptReport, name=NAMES, begin=MICROSECONDS, end=MICROSECONDS, result=I32, output=st.binary(max_size=100)
)
# what was not reached is left out of a reply
SCRIPTS = SCRIPTS.filter(lambda script: script.result != NOT_REACHED)
REPORTS = st.builds(EventReport, summary=I32, scripts=st.lists(SCRIPTS, max_size=3).map(tuple))
ERRORS = I32.filter(bool)
REPLIES: st.SearchStrategy[Reply] = st.one_of(
    st.builds(RunReply, I32),
    st.builds(ScriptReply, I32),
    st.builds(StatusReply, st.just(0), REPORTS),
    st.builds(StatusReply, ERRORS, st.none()),
)


def spec(*args: str, component: str = "legacy", timeout: int = 30) -> EventSpec:
    return EventSpec(component=component, event="takeip", args=args, timeout=timeout, run_all=False)


def request_body(command: int, *parts: bytes) -> bytes:
    return packet.frame(7, packet.u32(command) + b"".join(parts))


def run_body(args: bytes | None, flags: int = 0) -> bytes:
    names = packet.string(b"legacy"), packet.string(b"takeip"), packet.string(args)
    return request_body(packet.COMMAND_RUN, *names, packet.u32(30), packet.u32(flags))


def decoded_spec(data: bytes) -> EventSpec:
    _, request = decode_request(data)
    assert isinstance(request, RunRequest)
    return request.spec


# ---------------------------------------------------------------------- round trips


@settings(deadline=None)
@given(U32, REQUESTS)
def test_a_request_comes_back(reqid: int, request: Request) -> None:
    assert decode_request(encode_request(reqid, request)) == (reqid, request)


@settings(deadline=None)
@given(U32, REPLIES)
def test_a_reply_comes_back(reqid: int, reply: Reply) -> None:
    came_reqid, came = decode_reply(encode(reqid, reply))
    # reports are compared by identity, so their content is
    assert (came_reqid, type(came), attrs.asdict(came)) == (reqid, type(reply), attrs.asdict(reply))


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=50).filter(lambda raw: b" " not in raw))
def test_names_that_are_no_text_pass_through(raw: bytes) -> None:
    data = packet.run_request(1, raw, raw, raw, 30, run_all=False)
    decoded = decoded_spec(data)
    assert [text.encode("utf-8", "surrogateescape") for text in (decoded.component, *decoded.args)] == [raw, raw]
    assert encode_request(1, RunRequest(decoded)) == data


@pytest.mark.parametrize("output", [b"\xff\xfe\0\x80binary", b"caf\xc3\xa9\n", b"\0"])
def test_output_passes_through_unharmed(output: bytes) -> None:
    report = EventReport(summary=0, scripts=(ScriptReport(name="00.ok", begin=1, end=2, result=0, output=output),))
    _, reply = decode_reply(encode(1, StatusReply(0, report)))
    assert isinstance(reply, StatusReply)
    assert reply.report is not None
    assert reply.report.scripts[0].output == output


def test_what_was_not_reached_is_left_out() -> None:
    scripts = (
        ScriptReport(name="00.bad", begin=1, end=2, result=1),
        ScriptReport(name="10.never", begin=0, end=0, result=NOT_REACHED),
    )
    _, reply = decode_reply(encode(1, StatusReply(0, EventReport(summary=1, scripts=scripts))))
    assert isinstance(reply, StatusReply)
    assert reply.report is not None
    assert reply.report.scripts == scripts[:1]


# ---------------------------------------------------------------------- what clients send


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (None, ()),
        (b"", ()),
        (b"eth0 10.0.0.1 24", ("eth0", "10.0.0.1", "24")),
        (b"  eth0   24 ", ("eth0", "24")),
        (b"tab\tstays", ("tab\tstays",)),
    ],
)
def test_arguments_are_split_at_spaces(args: bytes | None, expected: tuple[str, ...]) -> None:
    assert decoded_spec(run_body(args)).args == expected


@pytest.mark.parametrize(("flags", "run_all"), [(0, False), (1, True), (2, False), (0xFFFFFFFF, True)])
def test_only_the_lowest_flag_means_run_all(flags: int, run_all: bool) -> None:
    assert decoded_spec(run_body(None, flags)).run_all is run_all


@pytest.mark.parametrize("version", [1, 4, 0xFFFFFFFF])
def test_the_version_is_ignored(version: int) -> None:
    data = encode_request(7, StatusRequest("legacy", "monitor"))
    other = data[:4] + packet.u32(version) + data[8:]
    assert decode_request(other) == decode_request(data)


def test_bytes_behind_the_last_field_are_ignored() -> None:
    body = encode_request(7, StatusRequest("legacy", "monitor"))[packet.HEADER_SIZE :]
    assert decode_request(packet.frame(7, body + b"more")) == (7, StatusRequest("legacy", "monitor"))


def test_an_embedded_nul_reaches_whoever_checks_the_name() -> None:
    data = packet.status_request(1, b"leg\0acy", b"monitor")
    assert decode_request(data)[1] == StatusRequest("leg\0acy", "monitor")


def test_null_names_are_empty() -> None:
    data = request_body(packet.COMMAND_STATUS, packet.string(None), packet.string(None))
    assert decode_request(data)[1] == StatusRequest("", "")


def test_equal_requests_are_one_value_whatever_their_id() -> None:
    request = StatusRequest("legacy", "monitor")
    assert decode_request(encode_request(1, request))[1] is decode_request(encode_request(2, request))[1]


def test_long_requests_are_decoded_like_short_ones() -> None:
    words = tuple(f"10.0.0.{number}" for number in range(100))
    assert decode_request(encode_request(1, RunRequest(spec(*words)))) == (1, RunRequest(spec(*words)))


@pytest.mark.parametrize("command", [0, 4, 0xFFFFFFFF])
def test_an_unknown_command_is_refused(command: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"^command {command} is unknown: 1 is RUN, 2 STATUS, 3 SCRIPT$"):
        decode_request(request_body(command))


@pytest.mark.parametrize("action", [2, 0xFFFFFFFF])
def test_an_unknown_action_is_refused(action: int) -> None:
    data = request_body(packet.COMMAND_SCRIPT, packet.string(b"legacy"), packet.string(b"00.ctdb"), packet.u32(action))
    with pytest.raises(RemoteProtocolError, match=f"^script action {action} is unknown: 0 disables, 1 enables$"):
        decode_request(data)


def test_a_name_without_its_nul_is_refused() -> None:
    data = request_body(packet.COMMAND_STATUS, packet.u32(6), b"legacy", packet.string(b"monitor"))
    with pytest.raises(RemoteProtocolError, match=r"^component: string of 6 bytes has no closing NUL$"):
        decode_request(data)


@pytest.mark.parametrize("data", CAPTURED_REQUESTS)
def test_a_request_cut_anywhere_is_refused(data: bytes) -> None:
    for size in range(packet.HEADER_SIZE, len(data)):
        with pytest.raises(RemoteProtocolError, match="left in the packet"):
            decode_request(data[:size])


# ---------------------------------------------------------------------- what the daemon sends


@pytest.mark.parametrize("data", CAPTURED_REPLIES)
def test_a_reply_cut_anywhere_is_refused(data: bytes) -> None:
    for size in range(packet.HEADER_SIZE, len(data)):
        with pytest.raises(RemoteProtocolError, match="left in the packet"):
            decode_reply(data[:size])


@pytest.mark.parametrize("result", [2, 22])
def test_a_failed_status_has_no_report(result: int) -> None:
    assert decode_reply(encode(3, StatusReply(result, None))) == (3, StatusReply(result, None))


def test_a_report_is_encoded_once() -> None:
    report = EventReport(summary=0, scripts=())
    first, second = encode(1, StatusReply(0, report)), encode(2, StatusReply(0, report))
    assert first[packet.HEADER_SIZE :] == second[packet.HEADER_SIZE :]
    assert (packet.request_id(first), packet.request_id(second)) == (1, 2)


# ---------------------------------------------------------------------- what can't be said


@pytest.mark.parametrize("timeout", [-1, 2**32])
def test_a_timeout_that_does_not_fit_is_refused(timeout: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{timeout} does not fit an unsigned 32-bit field$"):
        encode_request(1, RunRequest(spec(timeout=timeout)))


@pytest.mark.parametrize("reply", [RunReply(2**31), ScriptReply(-(2**31) - 1)])
def test_a_result_that_does_not_fit_is_refused(reply: Reply) -> None:
    with pytest.raises(LocalProtocolError, match=r"^reply to request 5 with result -?\d+ doesn't fit a packet$"):
        encode(5, reply)


def test_a_reply_to_a_request_id_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match=r"^reply to request 4294967296 with result 0 doesn't fit a packet$"):
        encode(2**32, RunReply(0))


def test_a_request_id_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        encode_request(2**32, StatusRequest("legacy", "monitor"))


REPORT = EventReport(summary=0, scripts=())
TOO_LATE = ScriptReport(name="00.ok", begin=2**63 * 1_000_000, end=0, result=0)
TOO_BIG = ScriptReport(name="00.ok", begin=0, end=0, result=2**31)


@pytest.mark.parametrize(
    "report",
    [attrs.evolve(REPORT, summary=2**31), *(attrs.evolve(REPORT, scripts=(one,)) for one in (TOO_LATE, TOO_BIG))],
)
def test_a_report_that_does_not_fit_is_refused(report: EventReport) -> None:
    with pytest.raises(LocalProtocolError):
        encode(1, StatusReply(0, report))


@pytest.mark.parametrize("reply", [StatusReply(0, None), StatusReply(2, REPORT)])
def test_a_status_is_either_an_error_or_a_report(reply: StatusReply) -> None:
    with pytest.raises(LocalProtocolError, match=r"^a status reply carries either an error or a report, not [02] and "):
        encode(1, reply)


def test_what_is_no_message_of_this_dialect_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match=r"^Result is of the native dialect, this is CTDB's$"):
        encode(1, Result({}))


# ---------------------------------------------------------------------- hostile bytes


@settings(deadline=None)
@given(st.binary(min_size=packet.HEADER_SIZE, max_size=400))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for decode in (decode_request, decode_reply):
        try:
            decode(data)
        except RemoteProtocolError:
            pass


@settings(deadline=None)
@given(st.data(), st.sampled_from(CAPTURED_REQUESTS + CAPTURED_REPLIES))
def test_mutated_captures_raise_nothing_else(data: st.DataObject, captured: bytes) -> None:
    mutated = bytearray(captured)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    for decode in (decode_request, decode_reply):
        try:
            decode(bytes(mutated))
        except RemoteProtocolError:
            pass
