"""What is measured on the lab: the cases, and a failover away and back with each side's event daemon."""

from __future__ import annotations

import contextlib
import shlex
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
from ctdb_lab import Lab, Plan
from ctdb_lab.failover import timed_away, timed_back

from benchmarks.provided import NEED_SERVICE, scripts_but
from benchmarks.results import Figure, compared
from benchmarks.timing import in_turn

__all__ = [
    "CASES",
    "SETTLE_TIMEOUT",
    "TUNABLES",
    "WAITING_SCRIPT",
    "Case",
    "Samples",
    "Sides",
    "both_labs",
    "failovers",
    "figures",
]

_NODES = 3
_MOVED_NODE = 1
SETTLE_TIMEOUT = 300
"""Seconds for a cluster to become healthy and have its addresses distributed."""
TUNABLES = {"MonitorInterval": 15}
"""CTDB's default: monitor events use processors that the failover needs, so they aren't more frequent than that."""

WAITING_SCRIPT = """#!/bin/sh
case "$1" in
takeip | releaseip) sleep 0.2 ;;
esac
"""


# In place of the services whose ports 40.vsftpd and 41.httpd check: without a listener the nodes would be unhealthy. It
# removes itself, so that it costs no failover anything: what is measured is CTDB's scripts.
_LISTENING_SCRIPT = f"""#!/bin/sh
[ "$1" = startup ] || exit 0
setsid {shlex.quote(sys.executable)} -c '
import signal, socket
listeners = [socket.create_server(("", port)) for port in (21, 80)]
signal.pause()
' </dev/null >/dev/null 2>&1 &
rm "$0"
"""


@attrs.frozen(kw_only=True)
class Case:
    """A cluster to measure."""

    name: str
    """For `--only`."""
    summary: str
    count: int
    """Public addresses; the node that is disabled has a third of them."""
    family: int
    """4 or 6."""
    at_most: float
    """Limit of ours divided by C's, for both ways."""
    plotted: tuple[int, ...]
    """Other numbers of addresses, for the plot."""
    rounds: int = 3
    """Failovers of each side."""
    provided: tuple[str, ...] = ()
    """In addition to CTDB's own 00.ctdb and 10.interface, which every lab runs."""
    scripts: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    """Further scripts, and their texts."""


CASES = (
    Case(
        name="ipv6",
        summary="IPv6, Debian's scripts alone",
        count=30,
        family=6,
        at_most=0.25,
        plotted=(6, 15),
    ),
    Case(
        name="ipv4",
        summary="IPv4, Debian's scripts alone",
        count=90,
        family=4,
        at_most=1.0,
        plotted=(15, 45),
        # two seconds, of which up to one passes until ctdbd looks: only many rounds show a difference
        rounds=12,
    ),
    Case(
        name="waiting",
        summary="IPv4, and a script that waits 0.2 s",
        count=90,
        family=4,
        at_most=0.25,
        plotted=(15, 45),
        scripts={"50.waiting": WAITING_SCRIPT},
    ),
    Case(
        name="provided",
        summary="IPv4, CTDB's scripts that need no service",
        count=90,
        family=4,
        at_most=0.5,
        plotted=(15, 45),
        rounds=6,
        provided=tuple(name.removesuffix(".script") for name in scripts_but(NEED_SERVICE)),
        scripts={"39.listening": _LISTENING_SCRIPT},
    ),
)


@attrs.frozen(kw_only=True)
class Sides:
    """The two event daemons that are compared, and where their labs may be."""

    directory: Path
    theirs: str
    ours: str


@attrs.frozen(kw_only=True)
class Samples:
    """Seconds that failovers took; theirs first, then ours, in rounds."""

    away: list[list[float]]
    """From `ctdb disable` until every address was usable on another node."""
    back: list[list[float]]
    """From `ctdb enable` until the node had its share and every address was usable."""

    @property
    def medians_away(self) -> tuple[float, float]:
        """Theirs and ours."""
        theirs, ours = self.away
        return statistics.median(theirs), statistics.median(ours)


@contextlib.contextmanager
def both_labs(
    sides: Sides,
    *,
    addresses4: int,
    scripts: Mapping[str, str],
    addresses6: int = 0,
    provided: tuple[str, ...] = (),
    samba: bool = False,
) -> Iterator[list[Lab]]:
    """Runs a cluster of each side, theirs first; one is idle while the other is measured.

    Raises:
        LabError: A cluster doesn't start, or doesn't settle.
    """
    with contextlib.ExitStack() as stack:
        labs = []
        for name, eventd in (("theirs", sides.theirs), ("ours", sides.ours)):
            plan = Plan(
                eventd=eventd,
                nodes=_NODES,
                addresses4=addresses4,
                addresses6=addresses6,
                tunables=TUNABLES,
                provided=provided,
                scripts=scripts,
                samba=samba,
            )
            labs.append(stack.enter_context(Lab(sides.directory / name, plan)))
        for lab in labs:
            lab.wait_until_settled(timeout=SETTLE_TIMEOUT)
        yield labs


def failovers(case: Case, count: int, sides: Sides, rounds: int) -> Samples:
    """Starts a cluster of each side, and moves a node's addresses away and back, in turn.

    Raises:
        LabError: A cluster doesn't start, or an address is not hosted in the end.
    """
    four, six = (count, 0) if case.family == 4 else (0, count)
    back: list[list[float]] = [[], []]
    with both_labs(sides, addresses4=four, addresses6=six, provided=case.provided, scripts=case.scripts) as labs:
        away = in_turn(
            rounds,
            lambda: _away_and_back(labs[0], back[0]),
            lambda: _away_and_back(labs[1], back[1]),
            warm_up=False,
        )
    return Samples(away=away, back=back)


def _away_and_back(lab: Lab, back: list[float]) -> float:
    seconds = timed_away(lab, _MOVED_NODE, "disable")
    lab.wait_until_healthy_but(_MOVED_NODE, SETTLE_TIMEOUT)
    back.append(timed_back(lab, _MOVED_NODE, "enable"))
    lab.wait_until_settled(timeout=SETTLE_TIMEOUT)
    return seconds


def figures(case: Case, samples: Samples) -> Iterator[Figure]:
    """The move away, the move back, and both together."""
    yield compared(f"failover of {case.count} {case.summary}: away", samples.away, case.at_most)
    yield compared("  and back", samples.back, case.at_most)
    both = [
        [away + back for away, back in zip(*ways, strict=True)] for ways in zip(samples.away, samples.back, strict=True)
    ]
    yield compared("  there and back", both, case.at_most)
