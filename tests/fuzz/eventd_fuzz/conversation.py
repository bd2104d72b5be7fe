"""Sends what a client says on one connection, takes what comes, and judges it by the model."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from typing import Any

import attrs
import msgpack

from eventd_fuzz.model import Answer, End, Expected, Stream, read

__all__ = ["Conversation", "Wrong", "converse", "judge"]

_TIMEOUT = 60_000
"""Milliseconds without a byte after which the daemon counts as hung."""
_LAST_ID = 1 << 62
_LAST = {"id": _LAST_ID, "method": "ping"}
_PLENTY = 100_000
"""Bytes of answers from which on the daemon may close a broken connection without having sent all of them."""


class Wrong(Exception):
    """The daemon did what the protocol doesn't say."""


@attrs.frozen
class Conversation:
    """What one connection was."""

    packets: int
    """That the daemon had to look at."""
    answers: int
    refused: int
    """Answers that are errors, and the message that ended the connection."""


def converse(path: str, data: bytes) -> Conversation:
    """Sends `data` on a connection of its own.

    Raises:
        Wrong: The daemon hangs, or answers what it must not, or doesn't what it must.
    """
    stream = read(data)
    if stream.native and stream.end is End.OPEN:
        body = msgpack.packb(_LAST)
        data += struct.pack(">I", len(body)) + body
    received = _exchange(path, data, stream)
    answers, notes = _native_answers(received) if stream.native else (_ctdb_answers(received), set())
    refused = judge(stream, answers, notes, len(received))
    broken = stream.end in (End.BROKEN, End.VERSION)
    return Conversation(len(stream.requests) + broken, len(answers), refused + broken)


def _exchange(path: str, data: bytes, stream: Stream) -> bytes:
    received = bytearray()
    is_open = stream.end is End.OPEN
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.setblocking(False)
        poller = select.poll()
        poller.register(client, select.POLLIN | select.POLLOUT)
        left = memoryview(data)
        while not is_open or left or not _is_complete(received, stream):
            ready = poller.poll(_TIMEOUT)
            if not ready:
                raise Wrong(f"hangs: {stream.end.value}, {len(stream.requests)} requests, {len(received)} bytes came")
            if left and ready[0][1] & select.POLLOUT:
                left = _send(client, left)
                if not left:
                    poller.modify(client, select.POLLIN)
                    if not is_open:
                        _end(client)
            if ready[0][1] & (select.POLLIN | select.POLLHUP | select.POLLERR):
                try:
                    more = client.recv(1 << 18)
                except BlockingIOError:
                    continue
                except ConnectionResetError:
                    more = b""
                if not more:
                    if is_open:
                        raise Wrong(f"closed the connection, though {stream.end.value}")
                    break
                received += more
    return bytes(received)


def _send(client: socket.socket, left: memoryview) -> memoryview:
    try:
        return left[client.send(left) :]
    except BlockingIOError:
        return left
    except OSError:
        return left[:0]  # it was closed: what came before that says whether it might


def _end(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # closed by the daemon


_LAST_ANSWER = b"\x82\xa2id" + msgpack.packb(_LAST_ID) + b"\xa6result\x80"


def _is_complete(received: bytearray, stream: Stream) -> bool:
    if stream.native:
        return _LAST_ANSWER in received[-(1 << 16) :]
    position = count = 0
    while position + 4 <= len(received):
        position += struct.unpack_from("=I", received, position)[0]
        count += position <= len(received)
    return count >= len(stream.requests)


# ---------------------------------------------------------------------- what came


def _ctdb_answers(received: bytes) -> list[tuple[int, Answer]]:
    answers: list[tuple[int, Answer]] = []
    position = 0
    while position < len(received):
        if len(received) - position < 20:
            raise Wrong(f"reply of fewer than 20 bytes: {received[position:].hex(' ')}")
        length, _, request_id, command, result = struct.unpack_from("=IIIIi", received, position)
        if not 20 <= length <= len(received) - position or (length > 20 and (command, result) != (2, 0)):
            raise Wrong(f"reply of {length} bytes to command {command}, result {result}")
        answers.append((request_id, ("reply", (command, result))))
        position += length
    return answers


def _native_answers(received: bytes) -> tuple[list[tuple[int, Answer]], set[int]]:
    answers: list[tuple[int, Answer]] = []
    notes: set[int] = set()
    for content in _frames(received):
        match content:
            case {"id": int(request_id), "result": value}:
                answers.append((request_id, ("result", value)))
            case {"id": int(request_id), "error": {"code": str(code), "message": str(), "data": {"kind": str(kind)}}}:
                answers.append((request_id, ("error", (kind, code))))
            case {"id": int(request_id), "note": str(), "number": int(), "data": dict()}:
                notes.add(request_id)
            case _:
                raise Wrong(f"frame that is no reply, error or note: {content!r:.300}")
    return answers, notes


def _frames(received: bytes) -> Iterator[Any]:
    position = 0
    while position < len(received):
        size = struct.unpack_from(">I", received, position)[0] if len(received) - position >= 4 else -1
        if not 0 <= size <= len(received) - position - 4:
            return  # the connection was closed in the middle, or this is for `_is_complete` to wait for
        yield msgpack.unpackb(received[position + 4 : position + 4 + size], raw=False, unicode_errors="surrogateescape")
        position += 4 + size


def judge(stream: Stream, answers: list[tuple[int, Answer]], notes: set[int], size: int) -> int:
    """Finds for each answer the request that it may be the answer to; returns how many are refusals."""
    if stream.native and stream.end is End.OPEN:
        answers.remove((_LAST_ID, ("result", {})))
    if stream.end is End.VERSION:
        if answers != [(0, ("error", ("VersionNotSupported", "EPROTONOSUPPORT")))]:
            raise Wrong(f"another version of the preface was answered by {answers!r:.300}")
        return 0
    by_id: dict[int, list[Expected]] = {}
    for expected in stream.requests:
        by_id.setdefault(expected.id, []).append(expected)
    given: dict[int, list[Answer]] = {}
    for request_id, answer in answers:
        given.setdefault(request_id, []).append(answer)
    for request_id in given.keys() - by_id.keys():
        raise Wrong(f"answer for id {request_id}, which nobody used: {given[request_id]!r:.300}")
    may_lack = stream.end is not End.OPEN and size > _PLENTY
    for request_id, requests in by_id.items():
        if not _fit(given.get(request_id, []), requests, may_lack):
            asked = ", ".join(expected.about for expected in requests)
            raise Wrong(f"id {request_id} ({asked}) was answered by {given.get(request_id, 'nothing')!r:.300}")
    strange = notes - {expected.id for expected in stream.requests if expected.notes}
    if strange:
        raise Wrong(f"notes about {sorted(strange)}, which asked for none")
    return sum(what == "error" or (what == "reply" and value[1] != 0) for _, (what, value) in answers)


def _fit(answers: list[Answer], requests: list[Expected], may_lack: bool) -> bool:
    """Returns whether each answer belongs to another one of the requests, and each that must be answered is."""
    if not answers:
        return may_lack or all(expected.may_wait for expected in requests)
    return any(
        expected.allows(answers[0]) and _fit(answers[1:], requests[:index] + requests[index + 1 :], may_lack)
        for index, expected in enumerate(requests)
    )
