"""Events one after another: scripts, round trips, start, memory, the command line and wrappers as processes."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from benchmarks.client import burst, call, check_results, run_packet, status_packet, time_calls
from benchmarks.daemons import Daemon, Node, both_running, node, running, start, stop
from benchmarks.results import Figure, Limit, LimitKind, Unit, compared, ours_only
from benchmarks.setting import NO_OP, Case, Programs, Setting, no_ops
from benchmarks.timing import in_turn, one_processor, spawn_one

__all__ = ["CASES"]

_SCRIPTS = 20
_TWENTY = no_ops(_SCRIPTS)
_EMPTY: dict[str, dict[str, str]] = {"legacy": {}}
_EVENTS = 1000
_MEMORY_LIMIT = 32.0
_DEPTH = 64
_TRIVIAL = "/bin/true"
_FLOCK = "/usr/bin/flock"


def _run_once(daemon: Daemon, packet: bytes) -> None:
    with closing(daemon.connect()) as connection:
        result, _ = call(connection, packet)
    check_results(daemon, [result])


def _twenty_scripts(setting: Setting) -> Iterator[Figure]:
    packet = run_packet("legacy", "startup")
    with both_running(setting, _TWENTY) as daemons:
        connections = [daemon.connect() for daemon in daemons]
        sides = [partial(time_calls, connection, packet, call(connection, packet)[1], 1) for connection in connections]
        theirs, ours = in_turn(setting.rounds, *sides)
        for connection in connections:
            connection.close()
    per_script = [[seconds / _SCRIPTS for seconds in side] for side in (theirs, ours)]
    yield compared("an event of 20 no-op scripts, per script", per_script, at_most=0.95)


def _round_trips(daemons: tuple[Daemon, Daemon], packet: bytes, rounds: int, depth: int = 1) -> list[list[float]]:
    connections = [daemon.connect() for daemon in daemons]
    sides = []
    for daemon, connection in zip(daemons, connections, strict=True):
        result, length = call(connection, packet)
        check_results(daemon, [result])
        # a few milliseconds: long compared with the clock's resolution, short compared with changes of the load
        sides.append(partial(time_calls, connection, packet, length, max(2, 200 // depth), depth))
    samples = in_turn(rounds, *sides)
    for connection in connections:
        connection.close()
    return samples


def _run_round_trip(setting: Setting) -> Iterator[Figure]:
    packet = run_packet("legacy", "ipreallocated")
    with one_processor(), both_running(setting, _EMPTY) as daemons:
        for daemon in daemons:
            daemon.node.settle("legacy")
        pinned = _round_trips(daemons, packet, setting.rounds)
        yield compared("RUN on an empty component, round trip on one processor", pinned, at_most=1.0)
    with both_running(setting, _EMPTY) as daemons:
        free = _round_trips(daemons, packet, setting.rounds // 2 + 1)
        yield compared("  the same wherever the kernel puts it", free)


def _status_round_trip(setting: Setting) -> Iterator[Figure]:
    run, packet = run_packet("legacy", "startup"), status_packet("legacy", "startup")
    with one_processor(), both_running(setting, _TWENTY) as daemons:
        for daemon in daemons:
            _run_once(daemon, run)
        pinned = _round_trips(daemons, packet, setting.rounds)
        yield compared("STATUS of 20 scripts, round trip on one processor", pinned, at_most=1.0)
        piped = _round_trips(daemons, packet, setting.rounds // 2 + 1, _DEPTH)
        yield compared(f"  the same, {_DEPTH} requests in one write, each", piped)
    with both_running(setting, _TWENTY) as daemons:
        for daemon in daemons:
            _run_once(daemon, run)
        free = _round_trips(daemons, packet, setting.rounds // 2 + 1)
        yield compared("  one at a time wherever the kernel puts it", free)


def _time_start(programs: Programs, on: Node) -> float:
    daemon = start(programs, on)
    stop(daemon)
    return daemon.start_time


def _start_to_listening(setting: Setting) -> Iterator[Figure]:
    with node(_EMPTY) as their_node, node(_EMPTY) as our_node:
        theirs, yardstick, ours = in_turn(
            setting.rounds,
            partial(_time_start, setting.theirs, their_node),
            partial(spawn_one, [sys.executable, "-c", "import asyncio"], our_node.environment()),
            partial(_time_start, setting.ours, our_node),
        )
    yield compared("start to listening (against python -c 'import asyncio')", (yardstick, ours), at_most=2.2)
    yield compared("  the same against C's", (theirs, ours))


def _memory(setting: Setting) -> Iterator[Figure]:
    packets = [run_packet("legacy", "ipreallocated", None, number) for number in range(1, _EVENTS + 1)]
    limit = Limit(kind=LimitKind.OURS_AT_MOST, value=_MEMORY_LIMIT)
    with both_running(setting, {"legacy": {"00.no-op": NO_OP}}) as daemons:
        before = [daemon.resident() for daemon in daemons]
        for daemon in daemons:
            with closing(daemon.connect()) as connection:
                # ten at a time, as a busy client does: with one long queue the memory would be that of the queue
                for first in range(0, _EVENTS, 10):
                    burst(connection, packets[first : first + 10])
        after = [daemon.resident() for daemon in daemons]
    yield ours_only("resident memory after the start", before, limit, unit=Unit.MEBIBYTES)
    yield ours_only("resident memory after 1,000 events", after, limit, unit=Unit.MEBIBYTES)
    growth = [late - early for early, late in zip(before, after, strict=True)]
    yield ours_only("  growth by 1,000 events", growth, None, unit=Unit.MEBIBYTES)


def _command_line(setting: Setting) -> Iterator[Figure]:
    with both_running(setting, {"legacy": {"00.no-op": NO_OP}}) as daemons:
        for daemon in daemons:
            _run_once(daemon, run_packet("legacy", "monitor"))
        environments = [daemon.node.environment() for daemon in daemons]
        question = ["status", "legacy", "monitor"]
        theirs, yardstick, ours = in_turn(
            setting.rounds,
            partial(spawn_one, [setting.theirs.command, *question], environments[0]),
            partial(spawn_one, [sys.executable, "-c", "pass"], environments[1]),
            partial(spawn_one, [setting.ours.command, *question], environments[1]),
        )
    note = f"python itself {statistics.median(yardstick) * 1000:.1f} ms"
    yield compared("ctdb-event status (against python -c pass)", (yardstick, ours), at_most=2.5)
    yield compared("  the same against C's", (theirs, ours), note=note)


def _serialised_command(setting: Setting) -> Iterator[Figure]:
    with node(_EMPTY) as on, running(setting.ours, on):
        real = on.base / "bin"
        real.mkdir()
        (real / "iptables").symlink_to(_TRIVIAL)
        environment = on.environment() | {"PATH": f"{real}:{os.environ['PATH']}"}
        plain, locked, wrapped = in_turn(
            setting.rounds,
            partial(spawn_one, [str(real / "iptables")], environment),
            partial(spawn_one, [_FLOCK, str(on.base / "lock"), str(real / "iptables")], environment),
            partial(spawn_one, [str(on.base / "var" / "eventd" / "bin" / "iptables")], environment),
        )
    yield compared("a serialised command that does nothing (against itself)", (plain, wrapped), at_most=8)
    yield compared("  the same against flock(1) around it", (locked, wrapped))


CASES = (
    Case(
        name="scripts",
        group="sequential",
        summary="one event of 20 no-op shell scripts",
        rounds=80,
        measure=_twenty_scripts,
    ),
    Case(
        name="run",
        group="sequential",
        summary="round trip of RUN on an empty component",
        rounds=150,
        measure=_run_round_trip,
    ),
    Case(
        name="status",
        group="sequential",
        summary="round trip of STATUS of an event with 20 scripts",
        rounds=150,
        measure=_status_round_trip,
    ),
    Case(
        name="start",
        group="sequential",
        summary="from the spawn to a socket that listens",
        rounds=30,
        measure=_start_to_listening,
    ),
    Case(
        name="memory",
        group="sequential",
        summary="resident memory, idle and after 1,000 events",
        rounds=1,
        measure=_memory,
    ),
    Case(
        name="command",
        group="sequential",
        summary="ctdb-event status as a process",
        rounds=50,
        measure=_command_line,
    ),
    Case(
        name="wrapper",
        group="sequential",
        summary="what the wrapper of a serialised command costs",
        rounds=200,
        measure=_serialised_command,
    ),
)
