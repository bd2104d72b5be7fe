"""What the history costs: the same daemon with and without it, in turn.

Records are collected for a fifth of a second and then written. A series of events takes longer, so the measurement
includes the writing; a failover is over before that, as on a real node. A pause after each measurement keeps the
writing out of the next one. Two processes of the same program differ by a few percent, so several pairs of daemons are
measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from benchmarks.client import burst, call, run_packet, takeip_packets, time_calls
from benchmarks.daemons import Daemon, no_ops, node, running
from benchmarks.results import Figure, Limit, LimitKind, Unit, compared
from benchmarks.setting import Case, Setting
from benchmarks.timing import in_turn

__all__ = ["CASES"]

_SCRIPTS = 20
_EVENTS = 50
"""One after another: about a second."""
_ADDRESSES = 100
_PAIRS = 10
_PAUSE = 0.8
"""Seconds that suffice to write the last records."""
_WITHOUT = "[history]\n    days = 0\n"


def _event(daemon: Daemon) -> float:
    """Runs the event of 20 scripts a few times; returns the seconds that one took."""
    packet = run_packet("legacy", "startup")
    with closing(daemon.connect()) as connection:
        result, length = call(connection, packet)
        daemon.check([result])
        seconds = time_calls(connection, packet, length, _EVENTS)
    time.sleep(_PAUSE)
    return seconds


def _failover(daemon: Daemon) -> float:
    """Takes the addresses; returns the seconds that it took."""
    packets = takeip_packets((f"10.1.0.{number}" for number in range(1, _ADDRESSES + 1)), "eth0", 16)
    with closing(daemon.connect()) as connection:
        seconds, results = burst(connection, packets)
    daemon.check(results.values())
    time.sleep(_PAUSE)
    return seconds


def _without_and_with(setting: Setting, scripts: int, work: Callable[[Daemon], float]) -> list[list[float]]:
    """Returns the times of some work without and with the history, on nodes with so many scripts."""
    samples: list[list[float]] = [[], []]
    with node(no_ops(scripts), _WITHOUT) as plain, node(no_ops(scripts)) as keeping:
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
    yield compared("100 takeip at once with the history (against without)", samples)
    longer = statistics.median(kept - not_kept for not_kept, kept in zip(*samples, strict=True))
    limit = Limit(kind=LimitKind.OURS_AT_MOST, value=0.005)
    yield Figure(name="  longer by", unit=Unit.SECONDS, ours=longer, limit=limit)


CASES = (
    Case(
        name="history",
        group="sequential",
        summary="what the history costs an event of 20 scripts, and a failover of 100 addresses",
        rounds=80,
        measure=_measure,
    ),
)
