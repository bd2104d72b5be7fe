"""Outages for clients of a lab's Samba when a node fails: the faults, and the longest gap of each client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
from ctdb_lab import Lab, Node
from ctdb_lab.failover import wait_until_elsewhere
from ctdb_lab.plan import PUBLIC_INTERFACE
from ctdb_lab.writers import wait_until_served, writing

from benchmarks.lab_cases import SETTLE_TIMEOUT, WAITING_SCRIPT, Sides, both_labs
from benchmarks.results import Figure, compared

__all__ = ["FAULTS", "SCRIPTS", "Fault", "Gaps", "Scripts", "figure", "outages"]

_FAILING_NODE = 1
_CLIENTS = 6
"""One for each of that many of the node's addresses, or for all if it has fewer."""


@attrs.frozen(kw_only=True)
class Scripts:
    """Event scripts that all nodes run."""

    name: str
    """For `--scripts`."""
    summary: str
    more: Mapping[str, str] = attrs.field(hash=False)
    """In addition to CTDB's own 00.ctdb, 10.interface and 50.samba."""
    at_most: float | None
    """Limit of ours divided by C's, with the most addresses."""


SCRIPTS = (
    Scripts(name="debian", summary="Debian's scripts", more={}, at_most=None),
    Scripts(name="waiting", summary="and one that waits 0.2 s", more={"45.waiting": WAITING_SCRIPT}, at_most=0.3),
)


@attrs.frozen(kw_only=True)
class Fault:
    """A way in which a node fails, and how it is repaired."""

    name: str
    """For `--only`."""
    summary: str
    strike: Callable[[Lab, Node], object]
    mend: Callable[[Lab, Node], object]


def _kill_ctdbd(_: Lab, node: Node) -> None:
    ctdbd = node.daemon("ctdbd")
    assert ctdbd is not None, "it runs"
    node.kill(ctdbd)


def _start_again(_: Lab, node: Node) -> None:
    node.kill_all()
    node.start()


def _cut_power(lab: Lab, node: Node) -> None:
    # the cable first: a host without power sends nothing, but this one's kernel would close the connections
    lab.plug(node.number, PUBLIC_INTERFACE, put_in=False)
    node.kill_all()


def _restore_power(lab: Lab, node: Node) -> None:
    lab.plug(node.number, PUBLIC_INTERFACE, put_in=True)
    node.start()


FAULTS = (
    Fault(
        name="disable",
        summary="ctdb disable",
        strike=lambda _, node: node.order("disable"),
        mend=lambda _, node: node.order("enable"),
    ),
    Fault(
        name="stop",
        summary="ctdb stop",
        strike=lambda _, node: node.order("stop"),
        mend=lambda _, node: node.order("continue"),
    ),
    Fault(name="kill", summary="kill -9 of ctdbd", strike=_kill_ctdbd, mend=_start_again),
    Fault(name="power", summary="power failure", strike=_cut_power, mend=_restore_power),
)

Gaps = list[list[float]]
"""Of each round, and in it of each client in the order of CTDB's list of addresses: the longest time without a write,
in seconds."""


def outages(
    scripts: Scripts, count: int, faults: Sequence[Fault], sides: Sides, rounds: int
) -> Iterator[tuple[Fault, tuple[Gaps, Gaps]]]:
    """Starts a cluster of each side, and has a node of each fail and come back by each fault, in turn.

    Yields:
        For each fault the gaps with their event daemon and with ours.

    Raises:
        LabError: A cluster doesn't start, or a client is not served again.
    """
    with both_labs(sides, addresses4=count, scripts=scripts.more, samba=True) as labs:
        for fault in faults:
            theirs: Gaps = []
            ours: Gaps = []
            for number in range(rounds):
                # ctdbd looks for changes once a second, counted from the last command: each round has another offset
                pause = (number + 0.5) / rounds
                theirs.append(_outage(labs[0], fault, pause))
                ours.append(_outage(labs[1], fault, pause))
            yield fault, (theirs, ours)


def _outage(lab: Lab, fault: Fault, pause: float) -> list[float]:
    node = lab.nodes[_FAILING_NODE]
    hosted = [address for address, hosts in lab.hosting().items() if node.number in hosts]
    with writing(lab, _spread(hosted, _CLIENTS)) as writers:
        time.sleep(pause)
        begin = time.monotonic()
        fault.strike(lab, node)
        wait_until_elsewhere(lab, node, hosted)
        wait_until_served(lab, writers, time.monotonic(), SETTLE_TIMEOUT)
        gaps = [writer.longest_gap(begin) for writer in writers]
    fault.mend(lab, node)
    lab.wait_until_settled(timeout=SETTLE_TIMEOUT)
    return gaps


def _spread(addresses: Sequence[str], most: int) -> list[str]:
    """Returns at most so many, evenly spread, including the first and the last."""
    if len(addresses) <= most:
        return list(addresses)
    return [addresses[round(number * (len(addresses) - 1) / (most - 1))] for number in range(most)]


def figure(fault: Fault, scripts: Scripts, count: int, gaps: tuple[Gaps, Gaps], *, most: bool) -> Figure:
    """The longest gap of any client; the note has that of the client that was served first.

    Args:
        fault: What was done.
        scripts: What the nodes ran.
        count: Public addresses of the cluster.
        gaps: Theirs and ours.
        most: This is the greatest number of addresses, for which there is a limit.
    """
    first = " and ".join(f"{min(min(clients) for clients in side):.2f}" for side in gaps)
    return compared(
        f"{fault.summary}, {count} addresses, {scripts.summary}",
        [[max(clients) for clients in side] for side in gaps],
        scripts.at_most if most else None,
        note=f"served first: {first} s",
    )
