"""What an event costs the daemon itself while many are queued.

A queue only forms behind a running event. So the first event starts a script that removes itself and blocks on a
pipe, the gate. The others arrive meanwhile; when the gate opens there are no scripts left, so the daemon's own cost
remains.
"""

from __future__ import annotations

import fcntl
import os
import socket
import statistics
import struct
import termios
import time
from contextlib import closing
from functools import partial

from benchmarks.client import Replies, check_results, run_packet, send_all
from benchmarks.daemons import Daemon
from benchmarks.timing import in_turn

__all__ = ["cost_per_event"]

_GATE = '#!/bin/sh\nrm "$0"\nread _ < {}\n'
_STALL = 0.5
"""Seconds without progress after which the daemon is assumed to leave the rest in the socket deliberately."""
_LEAST = 1e-6
"""Seconds: the least value of a sample, so that a ratio is defined."""


def cost_per_event(theirs: Daemon, ours: Daemon, count: int, rounds: int) -> tuple[list[float], list[float]]:
    """Measures both daemons in turn; returns the samples of each, in seconds per event."""
    sides = []
    for daemon in (theirs, ours):
        gate = daemon.node.base / "gate"
        if not gate.exists():
            os.mkfifo(gate)
        # the end of the gate's script is measured apart and subtracted
        sides += [partial(_queue, daemon, 0), partial(_queue, daemon, count)]
    # short queues vary more and need more samples
    samples = rounds * max(1, 10_000 // max(count, 1_000))
    gate_theirs, all_theirs, gate_ours, all_ours = in_turn(samples, *sides)
    return _per_event(gate_theirs, all_theirs, count), _per_event(gate_ours, all_ours, count)


def _per_event(gate: list[float], whole: list[float], count: int) -> list[float]:
    empty = statistics.median(gate)
    return [max(seconds - empty, _LEAST) / count for seconds in whole]


def _queue(daemon: Daemon, count: int) -> float:
    gate = daemon.node.base / "gate"
    daemon.node.add_script("legacy", "00.gate", _GATE.format(gate))
    packets = [run_packet("legacy", "ipreallocated", None, reqid) for reqid in range(1, count + 2)]
    replies = Replies()
    with closing(daemon.connect()) as connection:
        connection.sendall(packets[0])
        with open(gate, "wb", buffering=0) as handle:  # returns when the script opens it to read
            begin = time.perf_counter()
            rest = send_all(connection, memoryview(b"".join(packets[1:])), replies, _STALL)
            stalled = bool(rest) or not _wait_until_read(connection)
            intake = 0.0 if stalled else time.perf_counter() - begin
            begin = time.perf_counter()
            handle.write(b"\n")
        send_all(connection, rest, replies)
        while len(replies.results) <= count:
            replies.receive(connection)
        drain = time.perf_counter() - begin
    check_results(daemon, replies.results.values())
    return intake + drain


def _wait_until_read(connection: socket.socket) -> bool:
    """Waits until the daemon has read what was sent; False if it stops reading."""
    before, since = -1, time.perf_counter()
    while True:
        # there is no notification of what the peer has read, so this polls, at intervals shorter than an event
        unread: int = struct.unpack("=i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]
        now = time.perf_counter()
        if unread == 0:
            return True
        if unread != before:
            before, since = unread, now
        elif now - since > _STALL:
            return False
        time.sleep(0.00005)
