"""`ctdb-event run` and `ctdb-event status`: sends one request to the daemon, and prints the reply.

Uses only the grammar module of the CTDB dialect, and a blocking socket.
"""

from __future__ import annotations

import errno
import os
import time

from ctdb_event.argv import timeout_of
from ctdb_event.cli_places import find_socket, no_daemon
from ctdb_event.console import Failure, complain, show, status_code
from ctdb_event.framing import Splitter
from ctdb_eventd.errors import InvalidName, RemoteProtocolError
from ctdb_eventd.names import check_name
from ctdb_eventd.paths import test_mode
from ctdb_eventd.protocol import packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

__all__ = ["run", "status"]

_REQID = 1  # one request on a connection of its own
_RECEIVE_SIZE = 1 << 16


# Explanations of results for which CTDB's line on stdout has no words.
_EXPLANATIONS = {
    errno.EDEADLK: "refused: it would have to wait for the event whose script requests it, and which waits for it (a "
    "deadlock); do the work in the script itself, or request it from a process that is not a child of the script "
    "(setsid -f)",
    errno.EBUSY: "not run: it waited in the queue longer than [eventd] queue timeout allows, or its address is held "
    "by a script that can't be ended; the daemon's log says which, and names what blocks it",
}


def run(arguments: list[str], socket_path: str | None, environ: Mapping[str, str]) -> int:
    """Runs an event and waits for its end.

    Args:
        arguments: Timeout in seconds, component, event, and the event's own arguments.
        socket_path: The daemon's socket, None for the default.
        environ: Selects the default socket, and whether to continue after a failed script.

    Raises:
        Failure: The arguments can't be sent, or the daemon doesn't answer.
    """
    timeout = timeout_of(arguments[0])
    component, event = arguments[1:3]
    _check_component(component)
    event_arguments = os.fsencode(" ".join(arguments[3:])) if len(arguments) > 3 else None
    run_all = test_mode(environ) and "CTDB_EVENT_RUN_ALL" in environ
    request = packet.run_request(_REQID, os.fsencode(component), os.fsencode(event), event_arguments, timeout, run_all)
    path = find_socket(socket_path, environ)
    try:
        result = _take_result(_ask(path, request), packet.COMMAND_RUN)[1]
    except RemoteProtocolError as error:
        raise _malformed(path, error) from None
    show(_run_message(result, component, event))
    if result == errno.EACCES:
        from ctdb_event.refusal import may_not

        complain(f"ctdb-event: {may_not('run it on this daemon', f'operate {component}/{event}')}")
    if result in _EXPLANATIONS:
        complain(f"ctdb-event: {_EXPLANATIONS[result]}")
    return status_code(result)


def status(arguments: list[str], socket_path: str | None, environ: Mapping[str, str]) -> int:
    """Shows the results of an event's scripts in its latest run.

    Args:
        arguments: Component and event.
        socket_path: The daemon's socket, None for the default.
        environ: Selects the default socket.

    Raises:
        Failure: The arguments can't be sent, or the daemon doesn't answer.
    """
    component, event = arguments
    _check_component(component)
    request = packet.status_request(_REQID, os.fsencode(component), os.fsencode(event))
    path = find_socket(socket_path, environ)
    try:
        fields, result = _take_result(_ask(path, request), packet.COMMAND_STATUS)
        if result == 0:
            summary = fields.i32("summary")
            # decoded completely before a line is printed: half a status could be taken for a whole one
            reports = list(packet.read_reports(fields))
    except RemoteProtocolError as error:
        raise _malformed(path, error) from None
    if result != 0:
        show(_status_message(result, component, event))
        return status_code(result)
    _print_reports(reports)
    return status_code(summary)


def _check_component(component: str) -> None:
    try:
        check_name("component", component)
    except InvalidName as error:
        raise Failure(str(error), errno.EINVAL) from None


def _ask(path: str, request: bytes) -> bytes:
    """Sends one request on a separate connection and returns the whole packet of its reply.

    Raises:
        Failure: No daemon listens, or the connection ended before the reply.
        RemoteProtocolError: The reply is malformed.
    """
    import socket  # imported here: not needed to report bad arguments

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError as error:
            raise no_daemon(path, error) from None
        try:
            connection.sendall(request)
        except OSError:
            pass  # a daemon that refuses may have replied before it closed the connection: the reply has the reason
        return _receive_reply(path, connection)


def _receive_reply(path: str, connection: socket.socket) -> bytes:
    packets = Splitter(packet.packet_length, packet.DEFAULT_MAX_REPLY)
    while True:
        while (reply := packets.next()) is not None:
            if packet.request_id(reply) == _REQID:
                return reply
        try:
            data = connection.recv(_RECEIVE_SIZE)
        except OSError as error:
            raise _no_answer(path, f"lost ({error.strerror})") from None
        if not data:
            raise _no_answer(path, "closed by the daemon")
        packets.receive_data(data)


def _take_result(reply: bytes, command: int) -> tuple[packet.Fields, int]:
    fields = packet.Fields(reply, packet.HEADER_SIZE)
    answered = fields.u32("command")
    if answered != command:
        raise RemoteProtocolError(f"reply to command {answered} instead of {command}")
    return fields, fields.i32("result")


def _no_answer(path: str, reason: str) -> Failure:
    from ctdb_event.probing import refuses
    from ctdb_event.refusal import may_not

    if refuses(path):
        return Failure(may_not(f"use the event daemon at {path}"), errno.EACCES)
    advice = "whether the event ran is unknown; see the daemon's log for the reason"
    return Failure(f"no answer on {path}: connection {reason}; {advice}")


def _malformed(path: str, error: RemoteProtocolError) -> Failure:
    return Failure(f"the program that listens on {path} does not use the event protocol: {error}")


def _run_message(result: int, component: str, event: str) -> str:
    if result == 0:
        return ""
    if result == errno.ENOENT:
        return f"Event dir for {component} does not exist\n"
    outcomes = {errno.ETIMEDOUT: "timed out", errno.ECANCELED: "got cancelled", errno.ENOEXEC: "failed"}
    if result in outcomes:
        return f"Event {event} in {component} {outcomes[result]}\n"
    return f"Failed to run event {event} in {component}, result={result}\n"


def _status_message(result: int, component: str, event: str) -> str:
    if result == errno.ENOENT:
        return f"Event dir for {component} does not exist\n"
    if result == errno.EINVAL:
        return f"Event {event} has never run in {component}\n"
    return f"Unknown error ({result}) for event {event} in {component}\n"


def _print_reports(reports: list[tuple[bytes, int, int, int, bytes]]) -> None:
    previous_begin: int | None = None
    for name, begin, end, result, output in reports:
        if result == -errno.ENOMSG:
            continue  # not reached, and it has never run before
        if previous_begin is not None and begin < previous_begin:
            return  # not reached this time: this script's and the following results are from an earlier run
        previous_begin = begin
        show(_outcome(name, begin, end, result) + b"\n")
        if output or result not in (0, -errno.ENOEXEC):
            show(_indented(output))


def _outcome(name: bytes, begin: int, end: int, result: int) -> bytes:
    if result == -errno.ENOEXEC:
        word, detail = "DISABLED", None
    elif result == -errno.ETIMEDOUT:
        word, detail = "TIMEDOUT", _local_time(begin)
    elif result < 0:
        word, detail = "CANNOT RUN", f"({os.strerror(min(-result, (1 << 31) - 1))})"
    else:
        word, detail = "OK" if result == 0 else "ERROR", f"{_seconds(begin, end):.3f} {_local_time(begin)}"
    line = b"%-20b %-10b" % (name, word.encode())
    return line if detail is None else line + b" " + os.fsencode(detail)


def _seconds(begin: int, end: int) -> float:
    # in this order and with this factor, or a half millisecond may be rounded differently from CTDB's program
    begin_seconds, begin_microseconds = divmod(begin, 1_000_000)
    end_seconds, end_microseconds = divmod(end, 1_000_000)
    return (end_seconds - begin_seconds) + (end_microseconds - begin_microseconds) * 1.0e-6


def _local_time(microseconds: int) -> str:
    try:
        return time.ctime(microseconds // 1_000_000)
    except (OverflowError, ValueError, OSError):
        return "(invalid time)"


def _indented(output: bytes) -> bytes:
    text = output.rstrip(b"\n")
    if b"\n" not in text:
        return b"  OUTPUT: " + text + b"\n"
    return b"  OUTPUT:\n    " + text.replace(b"\n", b"\n    ") + b"\n"
