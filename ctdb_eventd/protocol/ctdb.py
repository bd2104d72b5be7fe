"""The CTDB dialect: messages to packets and back, byte for byte what ctdbd and CTDB's tools speak.

Whole packets only; cutting a stream into packets is `connection.py`'s.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import assert_never
from weakref import WeakKeyDictionary

from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.model import EventReport, ScriptReport
from ctdb_eventd.protocol import packet
from ctdb_eventd.protocol.messages import (
    Message,
    Reply,
    Request,
    RunReply,
    RunRequest,
    ScriptReply,
    ScriptRequest,
    StatusReply,
    StatusRequest,
)

__all__ = ["decode_reply", "decode_request", "encode"]

_ACTIONS = {0: False, 1: True}
_HEADER_AND_COMMAND = Struct("=IIII")
_SUMMARY_AND_COUNT = Struct("=ii")
_REPORT_MIDDLE = Struct("=qqqqi")


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "surrogateescape") if value else ""


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def decode_request(data: bytes) -> Request:
    """Decodes one whole packet that a client sent. Bytes behind the last field are ignored, as CTDB does.

    Raises:
        RemoteProtocolError: It ends early, or asks for something that isn't in the protocol.
    """
    fields = packet.Fields(data, packet.HEADER_SIZE - 4)
    reqid = fields.u32("request id")
    command = fields.u32("command")
    if command == packet.COMMAND_RUN:
        component, event = _text(fields.string("component")), _text(fields.string("event"))
        args = fields.string("arguments")
        timeout, flags = fields.u32("timeout"), fields.u32("flags")
        run_all = bool(flags & packet.FLAG_RUN_ALL)
        return RunRequest(reqid, component, event, None if args is None else _text(args), timeout, run_all)
    if command == packet.COMMAND_STATUS:
        return StatusRequest(reqid, _text(fields.string("component")), _text(fields.string("event")))
    if command == packet.COMMAND_SCRIPT:
        component, script = _text(fields.string("component")), _text(fields.string("script"))
        action = fields.u32("action")
        if action not in _ACTIONS:
            raise RemoteProtocolError(f"script action {action} is unknown: 0 disables, 1 enables")
        return ScriptRequest(reqid, component, script, _ACTIONS[action])
    raise RemoteProtocolError(f"command {command} is unknown: 1 is RUN, 2 STATUS, 3 SCRIPT")


def decode_reply(data: bytes) -> Reply:
    """Decodes one whole packet that the daemon sent.

    Raises:
        RemoteProtocolError: It ends early, or answers something that isn't in the protocol.
    """
    fields = packet.Fields(data, packet.HEADER_SIZE - 4)
    reqid = fields.u32("request id")
    command, result = fields.u32("command"), fields.i32("result")
    if command == packet.COMMAND_RUN:
        return RunReply(reqid, result)
    if command == packet.COMMAND_STATUS:
        return StatusReply(reqid, result, None if result else _decode_report(fields))
    if command == packet.COMMAND_SCRIPT:
        return ScriptReply(reqid, result)
    raise RemoteProtocolError(f"reply to command {command}, which is unknown: 1 is RUN, 2 STATUS, 3 SCRIPT")


def encode(message: Message) -> bytes:
    """Encodes any message as one whole packet.

    Raises:
        LocalProtocolError: A number doesn't fit its field.
    """
    match message:
        case RunReply(reqid, result):
            return _head(reqid, packet.COMMAND_RUN, result)
        case StatusReply(reqid, result, report):
            return _encode_status(reqid, result, report)
        case ScriptReply(reqid, result):
            return _head(reqid, packet.COMMAND_SCRIPT, result)
        case RunRequest(reqid, component, event, args, timeout, run_all):
            text = None if args is None else _bytes(args)
            return packet.run_request(reqid, _bytes(component), _bytes(event), text, timeout, run_all)
        case StatusRequest(reqid, component, event):
            return packet.status_request(reqid, _bytes(component), _bytes(event))
        case ScriptRequest(reqid, component, script, enable):
            return packet.script_request(reqid, _bytes(component), _bytes(script), enable)
        case _:
            assert_never(message)


def _head(reqid: int, command: int, result: int, payload: int = 0) -> bytes:
    try:
        return packet.REPLY_HEAD.pack(packet.REPLY_HEAD.size + payload, 0, reqid, command, result)
    except struct_error:
        raise LocalProtocolError(f"reply to request {reqid} with result {result} doesn't fit a packet") from None


def _encode_status(reqid: int, result: int, report: EventReport | None) -> bytes:
    if (report is None) != bool(result):
        raise LocalProtocolError(f"a status reply carries either an error or a report, not {result} and {report}")
    if report is None:
        return _head(reqid, packet.COMMAND_STATUS, result)
    payload = _encoded.get(report)
    if payload is None:
        payload = _encoded[report] = _encode_report(report)
    return _head(reqid, packet.COMMAND_STATUS, result, len(payload)) + payload


# A result is asked for again and again (every `ctdb scriptstatus`, every monitoring agent) and never changes: it is
# encoded once and kept for as long as somebody keeps the report itself.
_encoded: WeakKeyDictionary[EventReport, bytes] = WeakKeyDictionary()


def _encode_report(report: EventReport) -> bytes:
    parts = [_SUMMARY_AND_COUNT.pack(report.summary, len(report.scripts))]
    for script in report.scripts:
        parts.append(packet.string(_bytes(script.name)))
        begin, end = divmod(script.begin, 1_000_000), divmod(script.end, 1_000_000)
        parts.append(_REPORT_MIDDLE.pack(*begin, *end, script.result))
        parts.append(packet.string(script.output or None))
    return b"".join(parts)


def _decode_report(fields: packet.Fields) -> EventReport:
    summary = fields.i32("summary")
    scripts = tuple(
        ScriptReport(name=_text(name), begin=begin, end=end, result=result, output=output)
        for name, begin, end, result, output in packet.read_reports(fields)
    )
    return EventReport(summary=summary, scripts=scripts)
