"""The native dialect: round trips against C, subscribers, many clients, an upgrade, `ps` as a process."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.client import call, run_packet, status_packet, time_calls
from benchmarks.daemons import Daemon, DaemonError, both_running, node, running
from benchmarks.results import Figure, Limit, LimitKind, Unit, compared, ours_only
from benchmarks.setting import Case, Setting, no_ops
from benchmarks.timing import in_turn, one_processor, spawn_one
from ctdb_eventd.protocol import frames

__all__ = ["CASES"]

_TWENTY = no_ops(20)
# even the smallest real script runs a command
_WORKING = {"legacy": {f"{number:02}.works": "#!/bin/sh\n/bin/true\nexit 0\n" for number in range(20)}}
_DEPTH = 64
_CLIENTS = 1000
_SUBSCRIBERS = 100
_STATUS = {"component": "legacy", "event": "startup"}
_MAX_REPLY = 1 << 24


def _connect(daemon: Daemon) -> socket.socket:
    """Opens a connection that speaks the native dialect."""
    connection = daemon.connect()
    connection.sendall(frames.PREFACE)
    return connection


def _receive_frame(connection: socket.socket) -> bytes:
    data = bytearray()
    while not (length := frames.frame_length(data, _MAX_REPLY)) or len(data) < length:
        more = connection.recv(262144)
        if not more:
            raise EOFError
        data += more
    if len(data) != length:
        raise DaemonError("more than one frame was received")
    return bytes(data)


def _ask(connection: socket.socket, request: bytes) -> tuple[dict[str, Any], int]:
    """Makes one call; returns the reply and its length in bytes."""
    connection.sendall(request)
    frame = _receive_frame(connection)
    _, content = frames.unpack(frame)
    if "result" not in content:
        raise DaemonError(f"the call failed: {content}")
    return content, len(frame)


def _run_legacy(daemon: Daemon) -> None:
    with contextlib.closing(daemon.connect()) as connection:
        call(connection, run_packet("legacy", "startup"))


def _native_round_trips(daemons: tuple[Daemon, Daemon], rounds: int, depth: int = 1) -> list[list[float]]:
    theirs, ours = daemons
    count = max(2, 200 // depth)
    with contextlib.closing(theirs.connect()) as plain, contextlib.closing(_connect(ours)) as native:
        packet, request = status_packet("legacy", "startup"), frames.request(1, "status", _STATUS)
        their_length, our_length = call(plain, packet)[1], _ask(native, request)[1]
        return in_turn(
            rounds,
            partial(time_calls, plain, packet, their_length, count, depth),
            partial(time_calls, native, request, our_length, count, depth),
        )


def _status_round_trip(setting: Setting) -> Iterator[Figure]:
    with one_processor(), both_running(setting, _TWENTY) as daemons:
        for daemon in daemons:
            _run_legacy(daemon)
        single = _native_round_trips(daemons, setting.rounds)
        yield compared("native STATUS of 20 scripts against C's, round trip on one processor", single, at_most=1.0)
        piped = _native_round_trips(daemons, setting.rounds // 2 + 1, _DEPTH)
        yield compared(f"  the same, {_DEPTH} requests in one write, each", piped, at_most=1.0)


class _Watchers:
    """Connections that have subscribed to everything; a separate process reads them as fast as it can."""

    def __init__(self, daemon: Daemon, count: int) -> None:
        ready, report = os.pipe()
        stop, self._keep_open = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                os.close(self._keep_open)
                _watch(daemon, count, stop, report)
            finally:
                os._exit(0)
        os.close(report)
        os.close(stop)
        reported = os.read(ready, 1)
        os.close(ready)
        if not reported:
            self.close()
            raise DaemonError(f"{count} clients could not subscribe")

    def close(self) -> None:
        os.close(self._keep_open)
        os.waitpid(self._pid, 0)


def _watch(daemon: Daemon, count: int, stop: int, report: int) -> None:
    """Subscribes, reports that by a byte to `report`, and reads until `stop` is closed."""
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        selector.register(stop, selectors.EVENT_READ)
        for _ in range(count):
            connection = stack.enter_context(contextlib.closing(_connect(daemon)))
            connection.sendall(frames.request(1, "subscribe", {}) + frames.request(2, "ping", {}))
            _receive_frame(connection)
            selector.register(connection, selectors.EVENT_READ)
        os.write(report, b".")
        while True:
            for key, _ in selector.select():
                if key.fd == stop:
                    return
                if not os.read(key.fd, 262144):
                    selector.unregister(key.fileobj)


def _watched_run(setting: Setting) -> Iterator[Figure]:
    packet = run_packet("legacy", "startup")
    with node(_TWENTY) as alone, node(_TWENTY) as watched, contextlib.ExitStack() as stack:
        sides = []
        for its_node, watchers in ((alone, 0), (watched, 1)):
            daemon = stack.enter_context(running(setting.ours, its_node))
            if watchers:
                stack.callback(_Watchers(daemon, watchers).close)
            connection = stack.enter_context(contextlib.closing(daemon.connect()))
            sides.append(partial(time_calls, connection, packet, call(connection, packet)[1], 1))
        samples = in_turn(setting.rounds, *sides)
    yield compared("an event of 20 scripts with a subscriber against one without", samples, at_most=1.05)


@contextlib.contextmanager
def _many_descriptors(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _crowd(setting: Setting) -> Iterator[Figure]:
    growth, working = _beside_a_crowd(setting, _WORKING)
    limit = Limit(kind=LimitKind.OURS_AT_MOST, value=32.0)
    name = f"memory growth by {_CLIENTS} clients, {_SUBSCRIBERS} of them subscribers, one deaf"
    yield ours_only(name, (0.0, growth), limit, unit=Unit.MEBIBYTES)
    yield compared("  events of 20 scripts with a command beside them, against alone", working, at_most=1 / 0.9)
    # each start of a script copies and closes the descriptor of every client; with no-ops that is most of the cost
    _, idle = _beside_a_crowd(setting, _TWENTY)
    yield compared("  events of 20 no-op scripts beside them, against alone", idle)


def _beside_a_crowd(setting: Setting, scripts: dict[str, dict[str, str]]) -> tuple[float, list[list[float]]]:
    """Returns the memory that many clients cost, in MiB, and the times of events without and with them."""
    packet = run_packet("legacy", "startup")
    with node(scripts) as quiet_node, node(scripts) as crowded_node, contextlib.ExitStack() as stack:
        # before our own limit is raised: the daemon must work with the usual one
        daemons = [stack.enter_context(running(setting.ours, its_node)) for its_node in (quiet_node, crowded_node)]
        crowded = daemons[1]
        stack.enter_context(_many_descriptors(2 * _CLIENTS))
        asking = [stack.enter_context(contextlib.closing(daemon.connect())) for daemon in daemons]
        lengths = [call(connection, packet)[1] for connection in asking]
        for connection, length in zip(asking, lengths, strict=True):
            time_calls(connection, packet, length, 20)
        before = crowded.resident()
        for _ in range(_CLIENTS - _SUBSCRIBERS):
            idle = stack.enter_context(contextlib.closing(_connect(crowded)))
            _ask(idle, frames.request(1, "ping", {}))
        deaf = stack.enter_context(contextlib.closing(_connect(crowded)))
        deaf.sendall(frames.request(1, "subscribe", {}))
        stack.callback(_Watchers(crowded, _SUBSCRIBERS - 1).close)
        samples = in_turn(
            setting.rounds,
            *(
                partial(time_calls, connection, packet, length, 1)
                for connection, length in zip(asking, lengths, strict=True)
            ),
        )
        _fill(crowded, asking[1], packet, lengths[1])
        return crowded.resident() - before, samples


def _fill(daemon: Daemon, connection: socket.socket, packet: bytes, length: int) -> None:
    """Runs events until notes for the client that doesn't read are dropped: then its buffer is full."""
    end = time.monotonic() + 60
    while not _stats(daemon)["notes_lost"]:
        if time.monotonic() > end:
            raise DaemonError(f"{daemon.label}: no note was dropped within a minute")
        time_calls(connection, packet, length, 20)


def _stats(daemon: Daemon) -> dict[str, Any]:
    with contextlib.closing(_connect(daemon)) as connection:
        stats: dict[str, Any] = _ask(connection, frames.request(1, "stats", {}))[0]["result"]
    return stats


def _ps(setting: Setting) -> Iterator[Figure]:
    with node(_TWENTY) as its_node, running(setting.ours, its_node):
        environment = its_node.environment()
        yardstick, ours = in_turn(
            setting.rounds,
            partial(spawn_one, [sys.executable, "-c", "pass"], environment),
            partial(spawn_one, [setting.ours.command, "ps", "--plain"], environment),
        )
    note = f"python itself {statistics.median(yardstick) * 1000:.1f} ms"
    yield compared("ctdb-event ps --plain (against python -c pass)", (yardstick, ours), at_most=3.0, note=note)


def _silence(daemon: Daemon) -> float:
    """Upgrades a daemon; returns the longest time for which another client waited for a reply meanwhile."""
    with contextlib.closing(_connect(daemon)) as upgrading, contextlib.closing(_connect(daemon)) as asking:
        ping = frames.request(1, "ping", {})
        _ask(asking, ping)
        upgrading.sendall(frames.request(1, "upgrade", {}))
        longest, over = 0.0, False
        while not over:
            over = bool(select.select([upgrading], [], [], 0)[0])
            begin = time.monotonic()
            _ask(asking, ping)
            longest = max(longest, time.monotonic() - begin)
        _, content = frames.unpack(_receive_frame(upgrading))
        if "result" not in content:
            raise DaemonError(f"the upgrade failed: {content}")
    return longest


def _time_start(setting: Setting) -> float:
    with node(_TWENTY) as its_node, running(setting.ours, its_node) as daemon:
        return daemon.start_time


def _upgrade(setting: Setting) -> Iterator[Figure]:
    with node(_TWENTY) as its_node, running(setting.ours, its_node) as daemon:
        _run_legacy(daemon)
        starts, silences = in_turn(setting.rounds, partial(_time_start, setting), partial(_silence, daemon))
    yield compared("time without an answer in an upgrade (against a start of ours)", (starts, silences))
    limit = Limit(kind=LimitKind.OURS_AT_MOST, value=0.3)
    median = (statistics.median(starts), statistics.median(silences))
    yield ours_only("  the same, median", median, limit, unit=Unit.SECONDS)
    yield ours_only("  the same, worst", (max(starts), max(silences)), None, unit=Unit.SECONDS)


CASES = (
    Case(
        name="native",
        group="native",
        summary="round trip of STATUS in the native dialect",
        rounds=150,
        measure=_status_round_trip,
    ),
    Case(
        name="watched",
        group="native",
        summary="an event of 20 scripts that somebody watches",
        rounds=80,
        measure=_watched_run,
    ),
    Case(
        name="crowd",
        group="native",
        summary="1,000 clients, 100 subscribers, one of them never reading",
        rounds=60,
        measure=_crowd,
    ),
    Case(
        name="upgrade",
        group="native",
        summary="time for which nobody is answered while the daemon is upgraded",
        rounds=30,
        measure=_upgrade,
    ),
    Case(name="ps", group="native", summary="ctdb-event ps --plain as a process", rounds=50, measure=_ps),
)
