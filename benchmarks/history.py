"""What the history costs: the same daemon with and without it, in turn.

Events in a row take longer than the fifth of a second for which records are gathered, so that the writing falls into
what is measured. A failover is over before that, as on a real node, so that it gets longer by what the event loop does
for the history: its processor time tells more than the clock, of which the scripts are most. Then comes a pause, so
that nothing of the writing falls into the other's turn. Two processes of the same program differ by some percent of
their time, so that several pairs of them are measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from benchmarks.client import burst, call, check_results, run_packet, takeip_packets, time_calls
from benchmarks.daemons import Daemon, node, running
from benchmarks.results import Figure, Limit, LimitKind, Unit, compared
from benchmarks.setting import Case, Setting, no_ops
from benchmarks.timing import in_turn

__all__ = ["CASES"]

_SCRIPTS = 20
_EVENTS = 25
"""One after another: about a second."""
_ADDRESSES = 100
_PAIRS = 10
_PAUSE = 0.6
"""Seconds in which the last records are written."""
_WITHOUT = "[history]\n    days = 0\n"


def _event(daemon: Daemon) -> float:
    """Runs the event of 20 scripts a few times; returns the seconds that one took."""
    packet = run_packet("legacy", "startup")
    with closing(daemon.connect()) as connection:
        result, length = call(connection, packet)
        check_results(daemon, [result])
        seconds = time_calls(connection, packet, length, _EVENTS)
    time.sleep(_PAUSE)
    return seconds


def _failover(daemon: Daemon) -> float:
    """Takes the addresses; returns the processor time that it took the event loop, in seconds."""
    packets = takeip_packets((f"10.1.0.{number}" for number in range(1, _ADDRESSES + 1)), "eth0", 16)
    before = daemon.loop_time()
    with closing(daemon.connect()) as connection:
        _, results = burst(connection, packets)
    seconds = daemon.loop_time() - before
    check_results(daemon, results.values())
    time.sleep(_PAUSE)
    return seconds


def _without_and_with(setting: Setting, scripts: int, work: Callable[[Daemon], float]) -> list[list[float]]:
    """Returns the times of some work without and with the history, on nodes of so many scripts."""
    components = no_ops(scripts)
    samples: list[list[float]] = [[], []]
    with node(components, _WITHOUT) as plain, node(components) as keeping:
        for _ in range(_PAIRS):
            with running(setting.ours, plain) as without, running(setting.ours, keeping) as with_it:
                pair = in_turn(max(1, setting.rounds // _PAIRS), partial(work, without), partial(work, with_it))
            for side, more in zip(samples, pair, strict=True):
                side += more
    return samples


def _measure(setting: Setting) -> Iterator[Figure]:
    samples = _without_and_with(setting, _SCRIPTS, _event)
    yield compared("an event of 20 no-op scripts with the history (against without)", samples, at_most=1.02)
    samples = _without_and_with(setting, 1, _failover)
    yield compared("event loop for 100 takeip with the history (against without)", samples)
    longer = statistics.median(kept - not_kept for not_kept, kept in zip(*samples, strict=True))
    limit = Limit(kind=LimitKind.OURS_AT_MOST, value=0.005)
    yield Figure(name="  longer by", unit=Unit.SECONDS, ours=longer, limit=limit)


CASES = (
    Case(
        name="history",
        group="sequential",
        summary="what the history costs an event of 20 scripts, and a failover of 100 addresses",
        rounds=50,
        measure=_measure,
    ),
)
