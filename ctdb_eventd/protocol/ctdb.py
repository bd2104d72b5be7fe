"""The CTDB dialect: decodes requests and encodes replies, byte for byte as ctdbd and CTDB's tools do.

Whole packets only; `connection.py` splits the stream.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from struct import error as struct_error
from weakref import WeakKeyDictionary

from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.model import NOT_REACHED, EventReport, EventSpec
from ctdb_eventd.protocol import packet
from ctdb_eventd.protocol.messages import (
    Reply,
    Request,
    RunReply,
    RunRequest,
    ScriptReply,
    ScriptRequest,
    StatusReply,
    StatusRequest,
)
from ctdb_eventd.text import shown

__all__ = ["decode_request", "encode"]

_ACTIONS = {0: False, 1: True}
_SUMMARY_AND_COUNT = Struct("=ii")
_REPORT_MIDDLE = Struct("=qqqqi")


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "surrogateescape") if value else ""


def _bytes(value: str) -> bytes:
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise LocalProtocolError(f"{shown(value)} can't be encoded") from None


def decode_request(data: bytes) -> tuple[int, Request]:
    """Decodes one whole packet of a client to its request id and the request.

    Bytes after the last field are ignored, as CTDB does.

    Raises:
        RemoteProtocolError: It ends too early, or the command or action is unknown.
    """
    reqid = packet.request_id(data)
    body = data[packet.HEADER_SIZE :]
    return reqid, _decode_usual_request(body) if len(body) <= _USUAL_SIZE else _decode_request(body)


def _decode_request(body: bytes) -> Request:
    fields = packet.Fields(body)
    command = fields.u32("command")
    if command == packet.COMMAND_RUN:
        return RunRequest(_decode_spec(fields))
    if command == packet.COMMAND_STATUS:
        return StatusRequest(_text(fields.string("component")), _text(fields.string("event")))
    if command == packet.COMMAND_SCRIPT:
        component, script = _text(fields.string("component")), _text(fields.string("script"))
        action = fields.u32("action")
        if action not in _ACTIONS:
            raise RemoteProtocolError(f"script action {action} is unknown: 0 disables, 1 enables")
        return ScriptRequest(component, script, _ACTIONS[action])
    raise RemoteProtocolError(f"command {command} is unknown: 1 is RUN, 2 STATUS, 3 SCRIPT")


# ctdbd requests the same few events all the time, and monitoring the same results: requests are immutable values, so
# the same bytes can be decoded to the same object.
_USUAL_SIZE = 256
_decode_usual_request = lru_cache(maxsize=1024)(_decode_request)


def _decode_spec(fields: packet.Fields) -> EventSpec:
    component, event = _text(fields.string("component")), _text(fields.string("event"))
    args = _text(fields.string("arguments"))
    timeout, flags = fields.u32("timeout"), fields.u32("flags")
    return EventSpec(
        component=component,
        event=event,
        args=tuple(word for word in args.split(" ") if word),
        timeout=timeout,
        run_all=bool(flags & packet.FLAG_RUN_ALL),
    )


def encode(reqid: int, reply: Reply) -> bytes:
    """Encodes a reply as one whole packet.

    Raises:
        LocalProtocolError: A number doesn't fit into its field, or the reply is not of this dialect.
    """
    match reply:
        case RunReply(result):
            return _head(reqid, packet.COMMAND_RUN, result)
        case StatusReply(result, report):
            return _encode_status(reqid, result, report)
        case ScriptReply(result):
            return _head(reqid, packet.COMMAND_SCRIPT, result)
        case _:
            raise LocalProtocolError(f"{type(reply).__name__} is of the native dialect, this is CTDB's")


def _head(reqid: int, command: int, result: int, payload: int = 0) -> bytes:
    try:
        return packet.REPLY_HEAD.pack(packet.REPLY_HEAD.size + payload, 0, reqid, command, result)
    except struct_error:
        raise LocalProtocolError(f"reply to request {reqid} with result {result} doesn't fit a packet") from None


def _encode_status(reqid: int, result: int, report: EventReport | None) -> bytes:
    if (report is None) != bool(result):
        text = "a status reply carries either an error or a report"
        raise LocalProtocolError(f"{text}, not {result} and {shown(report)}")
    if report is None:
        return _head(reqid, packet.COMMAND_STATUS, result)
    payload = _encoded.get(report)
    if payload is None:
        try:
            payload = _encoded[report] = _encode_report(report)
        except struct_error:
            raise LocalProtocolError("a number in a report doesn't fit its field") from None
    return _head(reqid, packet.COMMAND_STATUS, result, len(payload)) + payload


# The same result is requested often (by every `ctdb scriptstatus`, every monitoring agent) and never changes: its
# encoded form is cached as long as the report itself exists.
_encoded: WeakKeyDictionary[EventReport, bytes] = WeakKeyDictionary()


def _encode_report(report: EventReport) -> bytes:
    # scripts that were not reached are omitted, as CTDB's daemon does: its older tools show them as scripts that can't
    # run
    reached = [script for script in report.scripts if script.result != NOT_REACHED]
    parts = [_SUMMARY_AND_COUNT.pack(report.summary, len(reached))]
    for script in reached:
        parts.append(packet.string(_bytes(script.name)))
        begin, end = divmod(script.begin, 1_000_000), divmod(script.end, 1_000_000)
        parts.append(_REPORT_MIDDLE.pack(*begin, *end, script.result))
        parts.append(packet.string(script.output or None))
    return b"".join(parts)
