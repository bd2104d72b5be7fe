"""Many events at once: the takeip events of a failover, and a long queue of events that exclude one another."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from benchmarks import addresses, provided, queue
from benchmarks.client import burst, check_results, takeip_packets
from benchmarks.daemons import Daemon, both_running, node
from benchmarks.results import Figure, Limit, LimitKind, Unit, compared, ours_only
from benchmarks.setting import Case, Setting
from benchmarks.timing import in_turn, one_processor, spawn_many

__all__ = ["CASES"]

_SLEEP = 0.05
_SLEEPER = "#!/bin/sh\nsleep {}\n"
# about 15 ms on a processor of 2024, in the shell itself: there is nothing to wait for
_SPINNER = "#!/bin/sh\ni=0\nwhile [ $i -lt 18000 ]; do i=$((i+1)); done\n"
# seconds: a daemon that takes longer for 100 runs them one after another; 1,000 would take 54 s and show no more
_SERIAL = 2.0


def _take(daemon: Daemon, count: int) -> float:
    packets = takeip_packets((f"10.1.{n // 250}.{n % 250 + 1}" for n in range(count)), "eth0", 16)
    with closing(daemon.connect()) as connection:
        seconds, results = burst(connection, packets)
    check_results(daemon, results.values())
    return seconds


def _failover(setting: Setting) -> Iterator[Figure]:
    with (
        node({"legacy": {"00.no-sleep": _SLEEPER.format(0)}}) as yardstick,
        both_running(setting, {"legacy": {"00.sleep": _SLEEPER.format(_SLEEP)}}) as (theirs, ours),
    ):
        no_sleep = [str(yardstick.base / "events/legacy/00.no-sleep.script")]
        # the first one warms up, and shows whether repeating it is affordable
        rounds = setting.rounds if _take(ours, 100) < _SERIAL else 1
        cost, hundred = in_turn(rounds, partial(spawn_many, no_sleep, 100), partial(_take, ours, 100), warm_up=False)
        # C's time is nearly all sleep: long, and with little variation
        serial = in_turn(min(rounds, 2), partial(_take, theirs, 100), warm_up=False)[0]
        yield compared("100 takeip at once, a script that sleeps 50 ms", (serial, hundred), at_most=1 / 25)
        ideal = [_SLEEP + seconds for seconds in cost]
        yield compared("  against the sleep and 100 bare spawns", (ideal, hundred), at_most=1.5)
        if statistics.median(hundred) > _SERIAL:
            yield Figure(
                name="  1,000 of them", unit=Unit.SECONDS, note="not tried: 100 ran one after another", failed=True
            )
            return
        cost, thousand = in_turn(
            max(1, rounds // 3), partial(spawn_many, no_sleep, 1000), partial(_take, ours, 1000), warm_up=False
        )
        ideal = [_SLEEP + seconds for seconds in cost]
        yield compared("  1,000 of them against the sleep and 1,000 bare spawns", (ideal, thousand), at_most=1.5)
        per_event = [[seconds / count for seconds in side] for count, side in ((100, hundred), (1000, thousand))]
        yield compared("  per event: 1,000 of ours against 100 of ours", per_event, at_most=1.1)


def _processor(setting: Setting) -> Iterator[Figure]:
    with both_running(setting, {"legacy": {"00.spin": _SPINNER}}) as (theirs, ours):
        samples = in_turn(setting.rounds, partial(_take, theirs, 100), partial(_take, ours, 100), warm_up=False)
    processors = len(os.sched_getaffinity(0))
    yield compared(
        "100 takeip at once, a script that only computes", samples, at_most=0.6, note=f"{processors} processors"
    )


def _queue(setting: Setting) -> Iterator[Figure]:
    # see one_processor: the work is measured, not the wake-ups
    with one_processor(), both_running(setting, {"legacy": {}}) as (theirs, ours):
        costs = {count: queue.cost_per_event(theirs, ours, count, setting.rounds) for count in (100, 1000, 10000)}
    for count, (their_cost, our_cost) in costs.items():
        yield compared(f"{count:,} queued exclusive events without scripts, each", (their_cost, our_cost))
    hundred, many = costs[100][1], costs[10000][1]
    yield compared("  each of ours: 10,000 queued against 100", (hundred, many), at_most=1.5)


def _real_addresses(setting: Setting) -> Iterator[Figure]:
    lacking = addresses.lacking()
    if lacking:
        yield Figure(name="30 IPv6 takeip with the real 10.interface", unit=Unit.SECONDS, note=lacking)
        return
    theirs = addresses.take(setting.theirs)
    ours = [addresses.take(setting.ours)]
    while len(ours) < setting.rounds and ours[0].seconds < theirs.seconds:
        ours.append(addresses.take(setting.ours))
    seconds = [taken.seconds for taken in ours]
    yield compared("30 IPv6 takeip with the real 10.interface", ([theirs.seconds], seconds), at_most=1 / 8)
    limit = Limit(kind=LimitKind.OURS_AT_LEAST, value=addresses.COUNT)
    worst = min(taken.succeeded for taken in ours)
    fewest = min(taken.present for taken in ours)
    yield ours_only("  events that succeeded", (theirs.succeeded, worst), limit, unit=Unit.COUNT)
    name = "  addresses on the interface when the last one was answered"
    yield ours_only(name, (theirs.present, fewest), limit, unit=Unit.COUNT)


CASES = (
    Case(
        name="failover",
        group="parallel",
        summary="100 and 1,000 takeip at once with a script that sleeps 50 ms",
        rounds=10,
        measure=_failover,
    ),
    Case(
        name="processor",
        group="parallel",
        summary="100 takeip at once with a script that only computes",
        rounds=5,
        measure=_processor,
    ),
    Case(
        name="queue",
        group="parallel",
        summary="cost of an event in a queue of 100, 1,000 and 10,000",
        rounds=5,
        measure=_queue,
    ),
    Case(
        name="addresses",
        group="parallel",
        summary="30 IPv6 takeip with CTDB's 10.interface in a network namespace",
        rounds=2,
        measure=_real_addresses,
    ),
    Case(
        name="provided",
        group="parallel",
        summary="60 IPv4 takeip and releaseip, and monitor, with CTDB's own scripts enabled",
        rounds=3,
        measure=provided.measure,
    ),
)
