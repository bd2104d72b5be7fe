"""Each part killed in each phase of a failover: afterwards all is as it was, and nothing is left lying about.

LAB_FAULTS is the number of rounds (50 for a full run), LAB_SEED draws other ones. What can't be promised is in
docs/lab.md.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import attrs
import pytest
from ctdb_lab import Lab, LabError, NoAnswer, Node, Plan, wait_until
from ctdb_lab.plan import CTDB_TOOL, eventd_path
from ctdb_lab.processes import Process

from .faults import Fault, Part, Phase, faults
from .steps import descriptors, held_locks, resident, restore, wait_until_quiet

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("able")]

NODES = 3
ROUNDS = int(os.environ.get("LAB_FAULTS") or 3)
# With this one the first three rounds, which are all that usually run, have every part and every phase.
SEED = int(os.environ.get("LAB_SEED") or 424)
PHASE_SECONDS = 30
ENABLE_SECONDS = 200
SETTLE_SECONDS = 30
# What Python's allocator may keep of a burst; a leak of one event's data per round would pass it in 50 rounds.
GROWTH = 6.0

# Says in which phase a takeover is, and makes each phase long enough to be hit.
_PACE = """#!/bin/sh
case "$1" in
releaseip | takeip | ipreallocated)
	echo "$1" >>@NODE@/phases
	sleep 0.4
	;;
esac
"""


@attrs.frozen(kw_only=True)
class Usage:
    """What an idle event daemon has of the machine."""

    descriptors: int
    memory: float


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, able: None) -> Iterator[Lab]:
    """One lab for all rounds: what one leaves behind must not harm the next."""
    plan = Plan(eventd=eventd_path("ours"), nodes=NODES, addresses4=9, addresses6=3, scripts={"20.pace": _PACE})
    with Lab(tmp_path_factory.mktemp("lab") / "lab", plan) as made:
        for node in made.nodes:
            (node.directory / "phases").touch()
        yield made


@pytest.fixture(scope="module")
def before(lab: Lab) -> Usage:
    """The most that any node's event daemon has after a failover, but before any fault."""
    lab.wait_until_healthy()
    for order in ("disable", "enable"):
        lab.nodes[0].order(order)
        lab.wait_until_healthy() if order == "enable" else lab.wait_until_hosted({1, 2})
    usages = []
    for node in lab.nodes:
        wait_until_quiet(node)
        usages.append(_usage(node))
    return Usage(descriptors=max(usage.descriptors for usage in usages), memory=max(usage.memory for usage in usages))


@pytest.mark.parametrize("fault", faults(ROUNDS, SEED, NODES), ids=str)
def test_a_fault_leaves_nothing_behind(lab: Lab, before: Usage, fault: Fault) -> None:
    """Every address is hosted once, no process, lock or rule is left over, and the event daemons are as before."""
    restore(lab)
    survivors = {node.number: _eventd(node).pid for node in lab.nodes}
    _strike(lab, fault)
    _restart_the_dead(lab)
    _enable(lab, lab.nodes[fault.moved])
    lab.wait_until_healthy()
    if fault.part is Part.SCRIPT:
        _unblock(lab)
    for node in lab.nodes:
        _check_is_clean(node)
        _check_usage(node, before, survived=survivors[node.number] == _eventd(node).pid)


# The fault itself


def _strike(lab: Lab, fault: Fault) -> None:
    moved = lab.nodes[fault.moved]
    # a node that has just come back is healthy before ctdbd gives it anything, and then nothing would move
    wait_until(
        lambda: any(moved.number in hosts for hosts in lab.hosting().values()),
        PHASE_SECONDS,
        f"an address on node {moved.number}",
        lab.explain,
    )
    if not fault.out:
        moved.order("disable")
        lab.wait_until_hosted(set(range(NODES)) - {fault.moved})
    begin = _count(lab, fault.phase)
    order = "disable" if fault.out else "enable"
    with subprocess.Popen(
        moved.entering(CTDB_TOOL, order), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as tool:
        try:
            wait_until(
                lambda: _count(lab, fault.phase) > begin,
                PHASE_SECONDS,
                f"{fault.phase.value} after ctdb {order} on node {fault.moved}",
                lab.explain,
                poll=0.02,
            )
            _kill(lab, fault)
        finally:
            # its ctdbd may be dead by now, and it would wait for long
            tool.terminate()


def _count(lab: Lab, phase: Phase) -> int:
    """How many events of this name there were so far."""
    return sum((node.directory / "phases").read_text().split().count(phase.value) for node in lab.nodes)


def _kill(lab: Lab, fault: Fault) -> None:
    # not a wait for something: the moment of the fault is what is drawn
    time.sleep(fault.delay)
    if fault.part is Part.SCRIPT:
        _kill_a_script(lab, fault.draw)
        return
    process = lab.nodes[fault.victim].daemon(fault.part.value)
    assert process is not None, lab.explain()
    assert lab.nodes[fault.victim].kill(process)


def _kill_a_script(lab: Lab, draw: float) -> None:
    def has_killed() -> bool:
        running: list[tuple[Node, Process]] = [(node, script) for node in lab.nodes for script in node.scripts()]
        if not running:
            return False
        node, script = running[int(draw * len(running))]
        return node.kill(script)

    # in any case a monitor comes along
    wait_until(has_killed, PHASE_SECONDS, "a script to kill", lab.explain, poll=0.01)


def _restart_the_dead(lab: Lab) -> None:
    """As an administrator would; that nothing is left of the former life is checked on the way."""
    for node in lab.nodes:
        if not _is_alive(node):
            node.restart_after_crash()


def _enable(lab: Lab, node: Node) -> None:
    """Asks again if the ctdb tool got no answer, as an administrator would: the cluster may be recovering."""

    def has_asked() -> bool:
        try:
            return node.ctdb("enable").returncode == 0
        except NoAnswer:
            return False

    wait_until(has_asked, ENABLE_SECONDS, f"ctdb enable on node {node.number}", lab.explain)


def _is_alive(node: Node) -> bool:
    # an event daemon's end is ctdbd's end too, but a moment later
    try:
        wait_until(lambda: node.daemon("ctdbd") and node.daemon("eventd") and node.is_running(), 2, "both")
    except LabError:
        return False
    return True


# What must hold afterwards


def _check_is_clean(node: Node) -> None:
    wait_until_quiet(node)
    wait_until(
        lambda: not held_locks(node),
        SETTLE_SECONDS,
        f"the locks of node {node.number} to be free",
        lambda: f"{held_locks(node)}\n{node.explain()}",
    )
    # a rule for an address that is elsewhere does no harm: CTDB's takeip removes it when the address comes back
    wait_until(
        lambda: not _blocked(node),
        SETTLE_SECONDS,
        f"node {node.number} to let through what is for its own addresses",
        lambda: f"it drops what is for {_blocked(node)}\n{node.explain()}",
    )


def _unblock(lab: Lab) -> None:
    """Moves the addresses once more if a killed releaseip has left one blocked on a node that CTDB lets keep it."""
    for node in lab.nodes:
        if _blocked(node):
            node.order("disable")
            lab.wait_until_hosted(set(range(NODES)) - {node.number})
            _enable(lab, node)
            lab.wait_until_healthy()


def _blocked(node: Node) -> list[str]:
    """Addresses that the node hosts and drops everything for, as releaseip does while it works."""
    rules = node.run("iptables", "-S", "INPUT").stdout + node.run("ip6tables", "-S", "INPUT").stdout
    words = [rule.split() for rule in rules.splitlines() if rule.endswith("-j DROP")]
    dropped = [rule[rule.index("-d") + 1].partition("/")[0] for rule in words]
    return [address for address in dropped if address in node.addresses()]


def _check_usage(node: Node, before: Usage, *, survived: bool) -> None:
    wait_until(
        lambda: _usage(node).descriptors <= before.descriptors,
        SETTLE_SECONDS,
        f"the event daemon of node {node.number} to have {before.descriptors} descriptors",
        lambda: f"it has {_usage(node).descriptors}\n{node.explain()}",
    )
    grown = _usage(node).memory - before.memory
    assert grown < GROWTH, f"node {node.number} has {grown:.1f} MiB more, after a restart: {not survived}"


def _usage(node: Node) -> Usage:
    eventd = _eventd(node)
    return Usage(descriptors=descriptors(eventd), memory=resident(eventd))


def _eventd(node: Node) -> Process:
    eventd = node.daemon("eventd")
    assert eventd is not None, node.explain()
    return eventd
