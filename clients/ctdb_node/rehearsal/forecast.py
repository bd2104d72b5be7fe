"""Estimates how a failover's time grows with the number of addresses, and how many fit its time limit. No I/O."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import attrs

from ctdb_node.rehearsal.observed import ALONE, FEW, TOGETHER, Event, Round

__all__ = ["Cost", "Forecast", "costs", "forecast"]

_MAX_EXTRAPOLATION = 10
"""The measurements are extrapolated up to so many times as many addresses."""


@attrs.frozen(kw_only=True)
class Forecast:
    """The time of a failover."""

    addresses: int
    """How many were moved."""
    take: float
    """Seconds for startipreallocate, all takeip side by side, and ipreallocated: median of the rounds."""
    release: float
    """The same for releaseip."""
    take_alone: float
    """As `take`, one after another."""
    release_alone: float
    budget: float
    """Seconds that ctdbd gives all of it."""
    fits: bool
    most: int | None
    """How many addresses would fit, if the time grows as measured; None if that can't be estimated."""
    at_least: bool
    """More than `most` may fit: it is the limit of the extrapolation."""

    @property
    def total(self) -> float:
        """Seconds of releasing and taking, to which ctdbd's limit applies."""
        return self.take + self.release


@attrs.frozen(kw_only=True)
class Cost:
    """What a script costs for one address, by its running time side by side."""

    script: str
    event: str
    seconds: float
    """Of one run, on average."""
    share: float
    """Of all scripts' time, 0 to 1."""


def forecast(rounds: Sequence[Round], budget: float) -> Forecast | None:
    """Returns the forecast; None if nothing was moved.

    Args:
        rounds: All rounds, of every kind.
        budget: Seconds that ctdbd gives a takeover run: 3 times TakeoverTimeout.
    """
    together = [each for each in rounds if each.kind == TOGETHER]
    if not together or not together[0].count:
        return None
    alone = [each for each in rounds if each.kind == ALONE]
    few = [each for each in rounds if each.kind == FEW]
    count, total = together[0].count, _median(each.take_seconds + each.release_seconds for each in together)
    most, at_least = _most(count, total, few, budget)
    return Forecast(
        addresses=count,
        take=_median(each.take_seconds for each in together),
        release=_median(each.release_seconds for each in together),
        take_alone=_median(each.take_seconds for each in alone),
        release_alone=_median(each.release_seconds for each in alone),
        budget=budget,
        fits=total <= budget,
        most=most,
        at_least=at_least,
    )


def _median(seconds: Iterable[float]) -> float:
    found = list(seconds)
    return statistics.median(found) if found else 0.0


def _most(count: int, total: float, few: Sequence[Round], budget: float) -> tuple[int | None, bool]:
    if not few or few[0].count >= count:
        return None, False
    fewer = _median(each.take_seconds + each.release_seconds for each in few)
    for_each = (total - fewer) / (count - few[0].count)
    farthest = count * _MAX_EXTRAPOLATION
    # if more addresses took no longer, the time for each was too short to be measured
    most = int(count + (budget - total) / for_each) if for_each > 0 else farthest
    return (farthest, True) if most >= farthest else (max(most, 0), False)


def costs(events: Sequence[Event]) -> tuple[Cost, ...]:
    """Returns what scripts cost for addresses side by side, the most expensive first."""
    spent: dict[tuple[str, str], list[float]] = {}
    for event in events:
        if event.kind == TOGETHER and event.address is not None:
            for script in event.scripts:
                if script.seconds > 0:
                    spent.setdefault((script.name, event.event), []).append(script.seconds)
    whole = sum(sum(each) for each in spent.values())
    found = [
        Cost(script=script, event=event, seconds=statistics.fmean(each), share=sum(each) / whole)
        for (script, event), each in spent.items()
    ]
    return tuple(sorted(found, key=lambda cost: (-cost.share, cost.script, cost.event)))
