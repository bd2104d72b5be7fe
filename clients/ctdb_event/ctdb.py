"""The CTDB dialect behind the native one's methods run, status, enable and disable, as far as it has them. Sans-IO.

Its reply to a run is a number, so after a failure or a timeout STATUS is asked for too, and what it tells of the
scripts becomes part of the result. Another run of the same event may have ended in between: what doesn't fit the
number is left out.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ctdb_event.errors import InvalidRequest, NotSupported
from ctdb_event.failures import reason
from ctdb_event.framing import Splitter
from ctdb_eventd.errors import InvalidName, RemoteProtocolError
from ctdb_eventd.names import check_name
from ctdb_eventd.protocol import packet
from ctdb_eventd.text import shown

if TYPE_CHECKING:
    from ctdb_event.dialects import Incoming

__all__ = ["CtdbDialect"]

# CTDB's own daemon takes 0 for "at once". Its timers count milliseconds in 31 bits, so this is as good as no limit.
_NO_LIMIT = 2_000_000

_OUTCOMES = {0: "success", errno.ENOEXEC: "failed", errno.ETIMEDOUT: "timed-out", errno.ECANCELED: "cancelled"}
_STATES = {
    0: "ok",
    -errno.EINTR: "killed",
    -errno.ETIMEDOUT: "timed-out",
    -errno.ENOEXEC: "disabled",
    -errno.ENOMSG: "not-reached",
}
_NOT_REACHED = {"state": "not-reached", "result": -errno.ENOMSG, "started": None, "seconds": 0.0, "output": b""}

Report = tuple[bytes, int, int, int, bytes]
"""Of a script: name, begin and end in microseconds since the epoch, result, output."""


@attrs.frozen
class _Asked:
    """A request that is in progress."""

    method: str
    params: Mapping[str, Any]
    outcome: str = ""
    """Of a run whose reply has come, and for which STATUS was asked since."""


class CtdbDialect:
    """One connection in the CTDB dialect."""

    name = "ctdb"
    greeting = b""
    cancels = False

    def __init__(self) -> None:
        self._packets = Splitter(packet.packet_length, packet.DEFAULT_MAX_REPLY)
        self._asked: dict[int, _Asked] = {}

    def encode(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
        """Encodes a request.

        Raises:
            NotSupported: This dialect has no words for it, or for one of its parameters.
            InvalidRequest: A name or an argument can't be encoded.
            LocalProtocolError: A number doesn't fit its field.
        """
        encode_request = _REQUESTS.get(method)
        if encode_request is None:
            raise _not_supported(method)
        data = encode_request(request_id, method, params)
        self._asked[request_id] = _Asked(method, params)
        return data

    def receive_data(self, data: bytes, send: Callable[[bytes], None]) -> Iterator[tuple[int, Incoming]]:
        """Yields messages; requests the status of runs that failed before it yields their results."""
        self._packets.receive_data(data)
        while (whole := self._packets.next()) is not None:
            request_id = packet.request_id(whole)
            asked = self._asked.get(request_id)
            if asked is None:
                continue
            answer = self._answer(request_id, asked, whole, send)
            if answer is not None:
                del self._asked[request_id]
                yield request_id, answer

    def receive_eof(self) -> Iterable[tuple[int, Incoming]]:
        """Returns the runs whose result is known, but whose status was not received."""
        return [(request_id, _run_result(asked, None)) for request_id, asked in self._asked.items() if asked.outcome]

    def _answer(self, request_id: int, asked: _Asked, whole: bytes, send: Callable[[bytes], None]) -> Incoming | None:
        fields = packet.Fields(whole, packet.HEADER_SIZE)
        expected = packet.COMMAND_STATUS if asked.outcome else _COMMANDS[asked.method]
        command, result = fields.u32("command"), abs(fields.i32("result"))
        if command != expected:
            raise RemoteProtocolError(f"reply to command {command} instead of {expected}")
        if asked.outcome:
            return _run_result(asked, fields if result == 0 else None)
        if asked.method == "run" and result in (errno.ENOEXEC, errno.ETIMEDOUT):
            send(_encode_status(request_id, "run", {**asked.params, "output": True}))
            self._asked[request_id] = attrs.evolve(asked, outcome=_OUTCOMES[result])
            return None
        return _ANSWERS[asked.method](asked, result, fields)


# ---------------------------------------------------------------------- requests


def _not_supported(what: str) -> NotSupported:
    text = f"the CTDB dialect, which this connection uses, can't express {what}"
    unsupported = NotSupported("EOPNOTSUPP", text, {"dialect": "ctdb"})
    unsupported.advice = "it supports run, status of an event, enable and disable; let ctdbd start ctdb-eventd for more"
    return unsupported


def _name(kind: str, value: str) -> bytes:
    try:
        check_name(kind, value)
    except InvalidName as error:
        raise InvalidRequest("EINVAL", str(error), {"kind": "InvalidName", "name": value}) from None
    return _bytes(value)


def _bytes(value: str) -> bytes:
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidRequest("EINVAL", f"{shown(value)} can't be encoded") from None


def _argument(value: str) -> bytes:
    if not value or " " in value or "\0" in value:
        text = f"argument {shown(value)} can't be sent in the CTDB dialect, which separates arguments by spaces"
        raise InvalidRequest("EINVAL", text, {"kind": "InvalidParameter", "parameter": "args"})
    return _bytes(value)


def _encode_run(request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
    for option in ("stream", "detach"):
        if params[option]:
            raise _not_supported(f"run with {option}")
    component, event = _name("component", params["component"]), _name("event", params["event"])
    args = b" ".join(_argument(value) for value in params["args"]) or None
    return packet.run_request(request_id, component, event, args, params["timeout"] or _NO_LIMIT, params["run_all"])


def _encode_status(request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
    if params.get("component") is None or params.get("event") is None:
        raise _not_supported("status without a component and an event")
    if params.get("address") is not None or params.get("addresses"):
        raise _not_supported("status by address")
    return packet.status_request(request_id, _name("component", params["component"]), _name("event", params["event"]))


def _encode_script(request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
    component, script = _name("component", params["component"]), _name("script", params["script"])
    return packet.script_request(request_id, component, script, method == "enable")


_REQUESTS: dict[str, Callable[[int, str, Mapping[str, Any]], bytes]] = {
    "run": _encode_run,
    "status": _encode_status,
    "enable": _encode_script,
    "disable": _encode_script,
}
_COMMANDS = {
    "run": packet.COMMAND_RUN,
    "status": packet.COMMAND_STATUS,
    "enable": packet.COMMAND_SCRIPT,
    "disable": packet.COMMAND_SCRIPT,
}

# ---------------------------------------------------------------------- answers


def _result(value: Any) -> Incoming:
    return ("result", value, None, None)


def _refused(asked: _Asked, result: int, meanings: Mapping[int, tuple[str, str]]) -> Incoming:
    text, kind = meanings.get(result, (f"{asked.method} was refused: {reason(result)}", ""))
    data = {"kind": kind, "component": asked.params["component"]} if kind else {}
    return ("error", errno.errorcode.get(result, "EIO"), text.format(**asked.params), data)


_NOT_ALLOWED = "may not be run by this user; ask the daemon's administrator for a line in [access] of its ctdb.conf: "
_NO_COMPONENT = ("component {component} does not exist", "NoSuchComponent")


def _after_run(asked: _Asked, result: int, fields: packet.Fields) -> Incoming:
    if result in _OUTCOMES:
        return _run_result(attrs.evolve(asked, outcome=_OUTCOMES[result]), None)
    meanings = {
        errno.ENOENT: _NO_COMPONENT,
        errno.EBUSY: ("event {event} in {component} waited in the queue for as long as it may", "QueueTimeout"),
        errno.EACCES: ("event {event} in {component} " + _NOT_ALLOWED + "`operate {component}/{event}`", "NotAllowed"),
        errno.EDEADLK: ("event {event} in {component} would wait for the client that requests it", "WouldDeadlock"),
    }
    return _refused(asked, result, meanings)


def _after_status(asked: _Asked, result: int, fields: packet.Fields) -> Incoming:
    if result:
        never = ("event {event} has never run in {component}", "NeverRan")
        return _refused(asked, result, {errno.ENOENT: _NO_COMPONENT, errno.EINVAL: never})
    summary, reports = fields.i32("summary"), list(packet.read_reports(fields))
    if not asked.params.get("output", True):
        reports = [(*report[:4], b"") for report in reports]
    scripts = [_script(report) for report in reports]
    outcome = "timed-out" if summary == -errno.ETIMEDOUT else "failed" if summary else "success"
    run = _run(
        attrs.evolve(asked, outcome=outcome),
        summary,
        scripts,
        _seconds([report for report, stale in _reached(reports) if not stale]),
    )
    return _result({"results": [run], "jobs": [], "health": []})


def _after_script(asked: _Asked, result: int, fields: packet.Fields) -> Incoming:
    if result == 0:
        return _result({})
    no_script = ("script {script} does not exist in {component}", "NoSuchScript")
    return _refused(asked, result, {errno.ENOENT: no_script})


_ANSWERS: dict[str, Callable[[_Asked, int, packet.Fields], Incoming]] = {
    "run": _after_run,
    "status": _after_status,
    "enable": _after_script,
    "disable": _after_script,
}


def _run_result(asked: _Asked, fields: packet.Fields | None) -> Incoming:
    """Returns the result of a run, with its scripts from the reply to STATUS if that matches."""
    summary = fields.i32("summary") if fields is not None else 0
    if fields is None or not _fits(asked.outcome, summary):
        return _result(_run(asked, 0, [], None))
    reached = _reached(list(packet.read_reports(fields)))
    scripts = [{**_script(report), **(_NOT_REACHED if stale else {})} for report, stale in reached]
    return _result(_run(asked, summary, scripts, _seconds([report for report, stale in reached if not stale])))


def _fits(outcome: str, summary: int) -> bool:
    return (summary == -errno.ETIMEDOUT) == (outcome == "timed-out") and summary != 0


def _run(asked: _Asked, summary: int, scripts: list[dict[str, Any]], seconds: float | None) -> dict[str, Any]:
    return {
        "run": "",
        "component": asked.params["component"],
        "event": asked.params["event"],
        "args": list(asked.params.get("args", ())),
        "address": None,
        "outcome": asked.outcome,
        "summary": summary,
        "queued": None,
        "waited": None,
        "seconds": seconds,
        "scripts": scripts,
    }


def _reached(reports: list[Report]) -> list[tuple[Report, bool]]:
    """Returns which scripts were not reached: those whose begin is before that of one that runs earlier."""
    latest, reached = 0, []
    for report in reports:
        _, begin, _, result, _ = report
        stale = result == -errno.ENOMSG or begin < latest
        latest = max(latest, begin)
        reached.append((report, stale))
    return reached


def _script(report: Report) -> dict[str, Any]:
    name, begin, end, result, output = report
    state = _STATES.get(result, "failed" if result > 0 else "not-started")
    ran = begin > 0 and state not in ("disabled", "not-reached")
    return {
        "name": name.decode("utf-8", "surrogateescape"),
        "state": state,
        "result": result,
        "started": begin / 1e6 if ran else None,
        "seconds": (end - begin) / 1e6 if ran else 0.0,
        "output": output,
    }


def _seconds(reports: list[Report]) -> float | None:
    times = [(begin, end) for _, begin, end, _, _ in reports if begin > 0]
    return (times[-1][1] - times[0][0]) / 1e6 if times else None
