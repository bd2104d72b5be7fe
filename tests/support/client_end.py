"""The client side of both dialects, with the daemon's message classes: encodes requests, decodes replies."""

from __future__ import annotations

from collections.abc import Callable

from ctdb_event.dialects import read_frame
from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.model import EventReport, ScriptReport
from ctdb_eventd.protocol import frames, packet
from ctdb_eventd.protocol.messages import (
    Call,
    Failure,
    Note,
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

__all__ = ["Message", "decode_frame", "decode_reply", "encode_request"]

Message = Request | Reply


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "surrogateescape") if value else ""


def encode_request(reqid: int, request: Request) -> bytes:
    """Encodes a request as one whole packet, or frame."""
    match request:
        case RunRequest(spec):
            args = _bytes(" ".join(spec.args)) if spec.args else None
            names = _bytes(spec.component), _bytes(spec.event), args
            return packet.run_request(reqid, *names, spec.timeout, spec.run_all)
        case StatusRequest(component, event):
            return packet.status_request(reqid, _bytes(component), _bytes(event))
        case ScriptRequest(component, script, enable):
            return packet.script_request(reqid, _bytes(component), _bytes(script), enable)
        case Call(_, method, params):
            return frames.request(reqid, method, params)


def decode_reply(data: bytes) -> tuple[int, Reply]:
    """Decodes one whole packet of the daemon; RemoteProtocolError if the command is unknown."""
    fields = packet.Fields(data, packet.HEADER_SIZE)
    command, result = fields.u32("command"), fields.i32("result")
    replies: dict[int, Callable[[], Reply]] = {
        packet.COMMAND_RUN: lambda: RunReply(result),
        packet.COMMAND_STATUS: lambda: StatusReply(result, None if result else _decode_report(fields)),
        packet.COMMAND_SCRIPT: lambda: ScriptReply(result),
    }
    if command not in replies:
        raise RemoteProtocolError(f"reply to unknown command {command}")
    return packet.request_id(data), replies[command]()


def _decode_report(fields: packet.Fields) -> EventReport:
    summary = fields.i32("summary")
    scripts = tuple(
        ScriptReport(name=_text(name), begin=begin, end=end, result=result, output=output)
        for name, begin, end, result, output in packet.read_reports(fields)
    )
    return EventReport(summary=summary, scripts=scripts)


def decode_frame(data: bytes) -> tuple[int, Reply]:
    """Decodes one whole frame of the daemon with the client library."""
    request_id, (what, first, second, third) = read_frame(data)
    if what == "result":
        return request_id, Result(first)
    return request_id, (Failure if what == "error" else Note)(first, second, third)
