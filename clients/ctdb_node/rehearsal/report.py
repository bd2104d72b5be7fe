"""A rehearsal's result, as text for people and as JSON. No I/O."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ctdb_node.rehearsal.findings import Finding
from ctdb_node.rehearsal.forecast import Cost, Forecast, costs, forecast
from ctdb_node.rehearsal.observed import Observations, Request

__all__ = ["Rehearsed", "as_json", "as_text"]

_WIDTH = 100
_MAX_COSTS = 5
_MAX_CALLS = 10


@attrs.frozen(kw_only=True)
class Rehearsed:
    """All of it, for one event daemon."""

    request: Request
    seen: Observations
    findings: tuple[Finding, ...]
    budget: float

    @property
    def ready(self) -> bool:
        """Whether no problem was found."""
        return not any(each.problem for each in self.findings)

    @property
    def forecast(self) -> Forecast | None:
        """How long a failover takes; None if no address was moved."""
        return forecast(self.seen.rounds, self.budget)

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What scripts cost."""
        return costs(self.seen.events)


def as_text(results: Sequence[Rehearsed]) -> str:
    """Returns the report: verdict, findings, times, and what a rehearsal can't observe.

    Args:
        results: The result of this project's daemon, and that of another daemon if one was compared.
    """
    first = results[0]
    lines = [
        "READY" if first.ready else "NOT READY",
        f"Rehearsed: {_rehearsed(first)}.",
        *_found("Problems", [each for each in first.findings if each.problem]),
        *_found("Notes", [each for each in first.findings if not each.problem]),
        *_times(first),
    ]
    for other in results[1:]:
        lines += _compared(first, other)
    return "\n".join((*lines, *_not_seen(first)))


def _rehearsed(result: Rehearsed) -> str:
    request, seen = result.request, result.seen
    scripts = f"{len(seen.texts)} enabled scripts"
    if not request.addresses:
        return f"{scripts}; no address, as public_addresses has none (--addresses N makes some up)"
    made_up = f", {request.made_up} of them made up" if request.made_up else ""
    interfaces = ", ".join(sorted({each.interface for each in request.addresses}))
    return (
        f"{scripts}, {len(request.addresses)} addresses{made_up} on {interfaces}, "
        f"{request.rounds} rounds one after another and side by side"
    )


def _found(title: str, found: Sequence[Finding]) -> Iterator[str]:
    if not found:
        return
    yield from ("", f"{title}:")
    for number, each in enumerate(found, start=1):
        yield textwrap.fill(
            f"{number}. {each.text}.", _WIDTH, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False
        )
        yield from (f"      {line}".rstrip() for line in each.details)
        if each.advice:
            yield textwrap.fill(
                f"   -> {each.advice}.",
                _WIDTH,
                subsequent_indent="      ",
                break_long_words=False,
                break_on_hyphens=False,
            )


def _times(result: Rehearsed) -> Iterator[str]:
    found = result.forecast
    if found is None:
        return
    yield from ("", "Time:")
    yield f"  {'':24}{'side by side':>14}{'one after another':>20}"
    yield f"  {f'take {found.addresses} addresses':24}{found.take:>12.2f} s{found.take_alone:>18.2f} s"
    yield f"  {f'release {found.addresses} addresses':24}{found.release:>12.2f} s{found.release_alone:>18.2f} s"
    yield f"  A failover of both takes {found.total:.2f} s of the {found.budget:g} s that ctdbd gives it."
    yield f"  {_most(found)}"
    if result.costs:
        yield "  Time of scripts for one address, side by side:"
    for cost in result.costs[:_MAX_COSTS]:
        yield f"    {cost.script:24} {cost.event:10} {cost.seconds * 1000:8.0f} ms {cost.share:6.0%}"


def _most(found: Forecast) -> str:
    if found.most is None:
        return "One address is not enough to estimate how that grows."
    if found.at_least:
        return f"At least {found.most} addresses would fit."
    return f"About {found.most} addresses would fit."


def _compared(ours: Rehearsed, other: Rehearsed) -> Iterator[str]:
    yield from ("", f"Against {other.seen.daemon}:")
    yield f"  {'':24}{'ctdb-eventd':>14}{'the other':>14}"
    mine, its = ours.forecast, other.forecast
    if mine is not None and its is not None:
        yield f"  {f'take {mine.addresses} addresses':24}{mine.take:>12.2f} s{its.take:>12.2f} s"
        yield f"  {f'release {mine.addresses} addresses':24}{mine.release:>12.2f} s{its.release:>12.2f} s"
    yield f"  {'problems':24}{_problems(ours):>14}{_problems(other):>14}"
    for each in other.findings:
        if each.problem:
            yield textwrap.fill(f"  With the other: {each.text}.", _WIDTH, subsequent_indent="    ")


def _problems(result: Rehearsed) -> int:
    return sum(each.problem for each in result.findings)


def _not_seen(result: Rehearsed) -> Iterator[str]:
    yield from ("", "What a rehearsal can't see:")
    yield "  - other nodes: `ctdb` answers as in a cluster of this node alone, without databases"
    yield "  - the real network: interfaces are stand-ins, without this machine's addresses, routes and neighbours"
    calls = result.seen.calls
    if not calls:
        yield "  - services: commands for them are stubs, and were not called"
    else:
        yield "  - services: these commands were only recorded, and succeeded"
        most = sorted(calls.items(), key=lambda call: (-call[1], call[0]))
        yield from (f"      {count:5} times {call}" for call, count in most[:_MAX_CALLS])
        if len(most) > _MAX_CALLS:
            yield f"      and {len(most) - _MAX_CALLS} more; --json has all, --real COMMAND lets one run"
    if result.seen.read_only:
        paths = ", ".join(result.seen.read_only)
        yield f"  - writes to {paths}: no writable layer can be put over them, so they are read-only here"


def as_json(results: Sequence[Rehearsed]) -> dict[str, Any]:
    """Returns one object; its keys are in the documentation."""
    first = results[0]
    return {
        "format": 1,
        "ready": first.ready,
        "addresses": len(first.request.addresses),
        "made_up": first.request.made_up,
        "rounds": first.request.rounds,
        "scripts": sorted(first.seen.texts),
        "findings": [attrs.asdict(each) for each in first.findings],
        "time": _forecast_json(first.forecast),
        "costs": [attrs.asdict(each) for each in first.costs],
        "calls": dict(first.seen.calls),
        "read_only": list(first.seen.read_only),
        "against": [
            {
                "daemon": each.seen.daemon,
                "ready": each.ready,
                "findings": [attrs.asdict(finding) for finding in each.findings],
                "time": _forecast_json(each.forecast),
            }
            for each in results[1:]
        ],
    }


def _forecast_json(found: Forecast | None) -> dict[str, Any] | None:
    return None if found is None else {**attrs.asdict(found), "total": found.total}
