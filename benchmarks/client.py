"""A minimal client: prebuilt packets over one blocking socket, so that its own cost is negligible."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence

from benchmarks.daemons import Daemon, DaemonError
from ctdb_eventd.protocol.packet import run_request, status_request

__all__ = [
    "Replies",
    "burst",
    "call",
    "check_results",
    "run_packet",
    "send_all",
    "status_packet",
    "takeip_packets",
    "time_calls",
]

_REPLY = struct.Struct("=IIIIi")
_TIMEOUT = 30
"""Seconds: ctdbd's default timeout for an event."""


def run_packet(component: str, event: str, args: str | None = None, reqid: int = 1) -> bytes:
    """Builds a RUN request as ctdbd sends it."""
    return run_request(reqid, component.encode(), event.encode(), args.encode() if args else None, _TIMEOUT, False)


def status_packet(component: str, event: str) -> bytes:
    """Builds a STATUS request."""
    return status_request(1, component.encode(), event.encode())


def takeip_packets(addresses: Iterable[str], interface: str, bits: int) -> list[bytes]:
    """Builds a takeip request for each address, numbered from 1."""
    return [
        run_packet("legacy", "takeip", f"{interface} {address} {bits}", reqid)
        for reqid, address in enumerate(addresses, 1)
    ]


def call(connection: socket.socket, packet: bytes) -> tuple[int, int]:
    """Sends one request; returns the reply's result and its whole length in bytes.

    Raises:
        EOFError: The daemon closed the connection.
    """
    connection.sendall(packet)
    reply = _receive(connection, b"", _REPLY.size)
    length, _, _, _, result = _REPLY.unpack_from(reply)
    _receive(connection, reply, length)
    return result, length


def time_calls(connection: socket.socket, packet: bytes, reply_length: int, count: int, depth: int = 1) -> float:
    """Repeats a request whose reply has a known length; returns seconds per request.

    Args:
        connection: Must have no other requests in flight.
        packet: The request.
        reply_length: Bytes of one reply.
        count: Number of writes.
        depth: Requests in one write; their replies are read before the next.
    """
    packets, expected = packet * depth, reply_length * depth
    # into one buffer: allocating one of this size for each reply would cost more than the round trip
    send, receive, buffer = connection.sendall, connection.recv_into, bytearray(expected)
    begin = time.perf_counter()
    for _ in range(count):
        send(packets)
        missing = expected
        while missing:
            got = receive(buffer)
            if not got:
                raise EOFError
            missing -= got
    return (time.perf_counter() - begin) / (count * depth)


class Replies:
    """Parses the replies to RUN requests from a stream of bytes.

    Attributes:
        results: Result by request id.
    """

    def __init__(self) -> None:
        self.results: dict[int, int] = {}
        self._rest = b""

    def receive(self, connection: socket.socket) -> None:
        """Reads once and parses every complete reply.

        Raises:
            EOFError: The daemon closed the connection.
        """
        data = connection.recv(262144)
        if not data:
            raise EOFError
        data = self._rest + data
        whole = len(data) - len(data) % _REPLY.size
        for _, _, reqid, _, result in _REPLY.iter_unpack(data[:whole]):
            self.results[reqid] = result
        self._rest = data[whole:]


def send_all(connection: socket.socket, data: memoryview, replies: Replies, stall: float | None = None) -> memoryview:
    """Sends everything and reads replies meanwhile, so that client and daemon can't block each other.

    Returns the rest if the daemon reads nothing for `stall` seconds (None: no limit); empty if all is sent.
    """
    while data:
        readable, writable, _ = select.select([connection], [connection], [], stall)
        if readable:
            replies.receive(connection)
        if writable:
            with contextlib.suppress(BlockingIOError):  # there is room for a small packet only
                data = data[connection.send(data, socket.MSG_DONTWAIT) :]
        if not readable and not writable:
            break
    return data


def burst(connection: socket.socket, packets: Sequence[bytes]) -> tuple[float, dict[int, int]]:
    """Sends RUN requests all at once; returns the seconds until the last reply, and the result of each."""
    replies = Replies()
    begin = time.perf_counter()
    send_all(connection, memoryview(b"".join(packets)), replies)
    while len(replies.results) < len(packets):
        replies.receive(connection)
    return time.perf_counter() - begin, replies.results


def check_results(daemon: Daemon, results: Iterable[int]) -> None:
    """Raises DaemonError unless all these results of events are 0."""
    failed = sorted(set(results) - {0})
    if failed:
        raise DaemonError(f"{daemon.label}: an event failed with {', '.join(map(os.strerror, failed))}")


def _receive(connection: socket.socket, data: bytes, length: int) -> bytes:
    while len(data) < length:
        more = connection.recv(262144)
        if not more:
            raise EOFError
        data += more
    return data
