"""Whether `ctdb-node rehearse` is right: what it forecasts for a failover, and what that takes in the lab."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from ctdb_lab import Lab, LabError, Node, Plan
from ctdb_lab.plan import eventd_path
from ctdb_lab.waiting import wait_until

from benchmarks.lab_cases import SETTLE_TIMEOUT, TUNABLES, Sides
from benchmarks.results import Figure, Limit, LimitKind, compared

__all__ = ["NAME", "SUMMARY", "Run", "measure", "takeover_seconds"]

NAME = "forecast"
"""For `--only`."""
_COUNT = 60
SUMMARY = f"forecast for {_COUNT} IPv4, and a script that sleeps 1 s in takeip"
_ROUNDS = 6
_SCRIPTS = {"50.sleeping": '#!/bin/sh\n[ "$1" != takeip ] || sleep 1\n'}
# a node that returns stays without addresses: the next failover moves all of them, to a node that has none
_ALL_MOVE = {"NoIPFailback": 1}
_WITHIN = Limit(kind=LimitKind.RATIO_NEAR_ONE, value=0.15)
_ENOUGH_RUNS = "1000"


@attrs.frozen(kw_only=True)
class Run:
    """A completed run of an event."""

    event: str
    begin: float
    """When ctdbd asked for it; seconds since the epoch."""
    end: float


def takeover_seconds(nodes: Iterable[Sequence[Run]], count: int) -> float | None:
    """Returns the seconds from the first releaseip to the end of the last ipreallocated of the same takeover.

    ctdbd may have asked for another ipreallocated since, when it found nothing more to move: that isn't counted.

    Args:
        nodes: The runs of each node.
        count: How many addresses were released on one and taken on another.

    Returns:
        None if that isn't over, or not so many were moved.
    """
    nodes = list(nodes)
    every = [run for runs in nodes for run in runs]
    released, taken = ([run for run in every if run.event == event] for event in ("releaseip", "takeip"))
    if len(released) != count or len(taken) != count:
        return None
    # begin, not end: ctdbd goes on as soon as it has the answer, which is shortly before the run has ended
    moving = max(run.begin for run in taken)
    after = [[run for run in runs if run.event == "ipreallocated" and run.begin >= moving] for runs in nodes]
    if not all(after):
        return None
    lasts = (min(runs, key=lambda run: run.begin) for runs in after)
    return max(run.end for run in lasts) - min(run.begin for run in released)


def measure(sides: Sides, rounds: int | None) -> Iterator[Figure]:
    """Rehearses the configuration of a lab's node, and moves all addresses from one node to the other, in turn.

    Raises:
        LabError: The lab doesn't start or doesn't settle, an address doesn't move, or the rehearsal fails.
    """
    plan = Plan(
        eventd=sides.ours,
        nodes=2,
        addresses4=_COUNT,
        addresses6=0,
        tunables=TUNABLES | _ALL_MOVE,
        scripts=_SCRIPTS,
    )
    with Lab(sides.directory / NAME, plan) as lab:
        lab.wait_until_settled(timeout=SETTLE_TIMEOUT)
        # ctdbd has spread the addresses
        _moved_from(lab, lab.nodes[1])
        real: list[float] = []
        forecast: list[float] = []
        for _ in range(rounds or _ROUNDS):
            # in this order, since what counts of a rehearsal is its end: so the two are close in time
            forecast.append(_forecast(lab.nodes[0].directory / "etc"))
            real.append(_taken_over(lab))
    note = "the other is the lab's takeover, from the first releaseip to the last ipreallocated"
    yield attrs.evolve(compared(SUMMARY, [real, forecast], note=note), limit=_WITHIN)


def _taken_over(lab: Lab) -> float:
    node = next(node for node in lab.nodes if any(node.number in hosts for hosts in lab.hosting().values()))
    begin = time.time()
    _moved_from(lab, node)
    found: list[float] = []

    def is_recorded() -> bool:
        runs = [_completed(each.runs(begin, "--limit", _ENOUGH_RUNS), begin) for each in lab.nodes]
        found.extend(filter(None, [takeover_seconds(runs, _COUNT)]))
        return bool(found)

    wait_until(is_recorded, SETTLE_TIMEOUT, "the histories of the nodes to have the takeover", lab.explain)
    return found[0]


def _completed(runs: Iterable[Mapping[str, Any]], since: float) -> list[Run]:
    # the history is asked for whole seconds
    return [
        Run(event=run["event"], begin=run["queued"], end=run["queued"] + run["waited"] + run["seconds"])
        for run in runs
        if run["outcome"] and run["queued"] >= since
    ]


def _moved_from(lab: Lab, node: Node) -> None:
    node.order("disable")
    lab.wait_until_healthy_but(node.number, SETTLE_TIMEOUT)
    node.order("enable")
    lab.wait_until_settled(timeout=SETTLE_TIMEOUT)


def _forecast(configuration: Path) -> float:
    # beside this interpreter's programs: what --ours names may be alone where it is
    command = [str(Path(eventd_path("ours")).with_name("ctdb-node")), "rehearse", "--config-dir", str(configuration)]
    done = subprocess.run(
        [*command, "--rounds", "1", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    # 1 is "not ready", above all because this machine lacks the lab's interface
    if done.returncode not in (0, 1) or not done.stdout:
        raise LabError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    forecast = json.loads(done.stdout)["time"]
    if forecast["addresses"] != _COUNT:
        raise LabError(f"{' '.join(command)} moved {forecast['addresses']} addresses, not {_COUNT}")
    return float(forecast["total"])
