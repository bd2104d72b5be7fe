"""What clients of a lab's Samba go without when a node goes: the faults, and the longest gap that each client saw."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
from ctdb_lab import Lab, Node, Plan
from ctdb_lab.failover import wait_until_elsewhere
from ctdb_lab.plan import PUBLIC_INTERFACE
from ctdb_lab.writers import Writer, wait_until_served, writing

from benchmarks.lab_cases import WAITING_SCRIPT, Sides
from benchmarks.results import Figure, compared

__all__ = ["FAULTS", "SCRIPTS", "Fault", "Gaps", "Scripts", "figure", "outages"]

_NODES = 3
_NUMBER = 1
"""The node that goes."""
_CLIENTS = 6
"""Of so many of its addresses, or of all that it has."""
_SECONDS = 300
# Each monitor event uses the processors that the failover needs: as rare as on a real node, by default.
_TUNABLES = {"MonitorInterval": 15}


@attrs.frozen(kw_only=True)
class Scripts:
    """Event scripts that all nodes run."""

    name: str
    """For `--scripts`."""
    summary: str
    more: Mapping[str, str] = attrs.field(hash=False)
    """Besides CTDB's own 00.ctdb, 10.interface and 50.samba."""
    at_most: float | None
    """Limit of ours divided by C's, with the most addresses."""


SCRIPTS = (
    Scripts(name="debian", summary="Debian's scripts", more={}, at_most=None),
    Scripts(name="waiting", summary="and one that waits 0.2 s", more={"45.waiting": WAITING_SCRIPT}, at_most=0.3),
)


@attrs.frozen(kw_only=True)
class Fault:
    """A way in which a node goes, and how it comes back."""

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
    # first the cable: a host without power sends nothing, but the kernel of this one would end its connections
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
    """Brings a cluster of each side up, and takes a node of each out and in again by each fault, in turn.

    Yields:
        For each fault the gaps with their event daemon and with ours.

    Raises:
        LabError: A cluster doesn't come up, or a client is not served again.
    """
    with contextlib.ExitStack() as stack:
        labs = [
            stack.enter_context(Lab(sides.directory / name, _plan(scripts, count, eventd)))
            for name, eventd in (("theirs", sides.theirs), ("ours", sides.ours))
        ]
        for lab in labs:
            lab.wait_until_settled(timeout=_SECONDS)
        for fault in faults:
            theirs: Gaps = []
            ours: Gaps = []
            for number in range(rounds):
                # ctdbd looks for changes once a second, in step with what was done before: each round differs
                pause = (number + 0.5) / rounds
                theirs.append(_outage(labs[0], fault, pause))
                ours.append(_outage(labs[1], fault, pause))
            yield fault, (theirs, ours)


def _plan(scripts: Scripts, count: int, eventd: str) -> Plan:
    return Plan(
        eventd=eventd,
        nodes=_NODES,
        addresses4=count,
        addresses6=0,
        tunables=_TUNABLES,
        scripts=scripts.more,
        samba=True,
    )


def _outage(lab: Lab, fault: Fault, pause: float) -> list[float]:
    node = lab.nodes[_NUMBER]
    hosted = [address for address, hosts in lab.hosting().items() if node.number in hosts]
    with writing(lab, _spread(hosted, _CLIENTS)) as writers:
        time.sleep(pause)
        begin = time.monotonic()
        fault.strike(lab, node)
        wait_until_elsewhere(lab, node, hosted)
        gaps = _gaps(lab, writers, begin)
    fault.mend(lab, node)
    lab.wait_until_settled(timeout=_SECONDS)
    return gaps


def _spread(addresses: Sequence[str], most: int) -> list[str]:
    """Some of them, the first and the last among these."""
    if len(addresses) <= most:
        return list(addresses)
    return [addresses[round(number * (len(addresses) - 1) / (most - 1))] for number in range(most)]


def _gaps(lab: Lab, writers: Sequence[Writer], begin: float) -> list[float]:
    wait_until_served(lab, writers, time.monotonic(), _SECONDS)
    return [writer.longest_gap(begin) for writer in writers]


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
