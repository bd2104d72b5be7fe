"""Faults: which part is killed in which phase of which failover; drawn from a seed, so that each can be repeated."""

from __future__ import annotations

import enum
import itertools
import random
from collections.abc import Sequence

import attrs


class Part(enum.Enum):
    """What is killed with SIGKILL."""

    CTDBD = "ctdbd"
    BROKER = "eventd"
    SCRIPT = "script"


class Phase(enum.Enum):
    """When: by the first event of this name anywhere in the cluster, since that is the order of a takeover."""

    BEFORE = "releaseip"
    DURING = "takeip"
    AFTER = "ipreallocated"


@attrs.frozen(kw_only=True)
class Fault:
    """One round."""

    number: int
    part: Part
    phase: Phase
    moved: int
    """The node that a failover takes out or in."""
    out: bool
    """Out (`ctdb disable`), or in again (`ctdb enable`)."""
    victim: int
    """The node whose daemon is killed. A script is killed where one runs."""
    delay: float
    """Seconds after the phase has begun."""
    draw: float
    """Which of several scripts: 0 to 1, a share of their list."""

    def __str__(self) -> str:
        direction = "out" if self.out else "in"
        return f"{self.number}-{self.part.value}-{self.phase.name.lower()}-{direction}"


def faults(count: int, seed: int, nodes: int) -> Sequence[Fault]:
    """Draws the rounds. Nine in a row, counted from the first, have every part in every phase.

    What a round is depends on the seed and its number alone, however many there are.
    """
    return [_fault(number, seed, nodes) for number in range(count)]


def _fault(number: int, seed: int, nodes: int) -> Fault:
    pairs = list(itertools.product(Part, Phase))
    random.Random(f"{seed}, nine from {number // len(pairs)}").shuffle(pairs)
    part, phase = pairs[number % len(pairs)]
    chance = random.Random(f"{seed}, round {number}")
    return Fault(
        number=number,
        part=part,
        phase=phase,
        moved=chance.randrange(nodes),
        out=chance.random() < 0.5,
        victim=chance.randrange(nodes),
        delay=chance.uniform(0, 0.5),
        draw=chance.random(),
    )
