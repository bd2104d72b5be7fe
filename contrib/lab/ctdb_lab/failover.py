"""Measures failovers, for `make lab-failover` and for the benchmark."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Collection, Generator, Iterator

import attrs

from ctdb_lab.errors import LabError
from ctdb_lab.lab import Lab
from ctdb_lab.node import Node
from ctdb_lab.plan import CTDB_TOOL, Plan
from ctdb_lab.waiting import wait_until

__all__ = ["Step", "check_for_failover", "demonstrate", "timed_away", "timed_back", "wait_until_elsewhere", "why_not"]

_SECONDS = 180
# A query of the kernels takes well below a millisecond, so it can be repeated often enough for a measurement.
_POLL_SECONDS = 0.02
_HISTORY_DELAY = 0.5
"""Seconds after which the daemon has written the end of a run to its history."""


@attrs.frozen(kw_only=True)
class Step:
    """One step of the demonstration."""

    what: str
    moved: int
    """How many addresses moved to another node."""
    seconds: float
    failed: tuple[str, ...]
    """Events that failed during the step."""


def timed_away(lab: Lab, number: int, *command: str) -> float:
    """Takes a node out with a ctdb command; returns the seconds until every address is usable on another node.

    Raises:
        LabError: It took too long, or the command failed.
    """
    others = set(range(lab.plan.nodes)) - {number}
    return _timed(lab, number, command, lambda: lab.is_hosted_once(others))


def timed_back(lab: Lab, number: int, *command: str) -> float:
    """Takes a node in with a ctdb command; returns the seconds until it hosts its share and all addresses are hosted.

    All releaseip run before the first takeip, so no more addresses move when it has some and every address is hosted.

    Raises:
        LabError: It took too long, or the command failed.
    """
    return _timed(lab, number, command, lambda: _has_share(lab, number))


def _has_share(lab: Lab, number: int) -> bool:
    hosting = lab.hosting()
    return lab.is_hosted_once() and any(number in hosts for hosts in hosting.values())


def _timed(lab: Lab, number: int, command: Collection[str], is_over: Callable[[], bool]) -> float:
    # in the background: the tool itself waits until ctdbd reports the takeover as done, wherever the addresses are
    begin = time.monotonic()
    limited = ("timeout", "--kill-after=1", str(_SECONDS), CTDB_TOOL, *command)
    with subprocess.Popen(
        lab.nodes[number].entering(*limited), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as tool:
        wait_until(is_over, _SECONDS, f"`ctdb {' '.join(command)}` to take effect", lab.explain, poll=_POLL_SECONDS)
        seconds = time.monotonic() - begin
        output, _ = tool.communicate()
    if tool.returncode != 0:
        raise LabError(f"ctdb {' '.join(command)} on node {number}: exit status {tool.returncode} {output}".rstrip())
    return seconds


def why_not(plan: Plan) -> str:
    """Returns why the demonstration is not possible on such a lab; empty if it is.

    With fewer addresses than nodes, the node that comes back may get none, and there would be nothing to wait for.
    """
    if plan.nodes > 1 and max(plan.addresses4, plan.addresses6) >= plan.nodes:
        return ""
    has = f"{plan.nodes} nodes, {plan.addresses4} IPv4 and {plan.addresses6} IPv6 addresses"
    return (
        "a failover needs two nodes, and as many IPv4 or IPv6 addresses as nodes, so that each hosts some; "
        f"this lab has {has}: make lab-down, then make lab with other NODES, ADDRESSES4 or ADDRESSES6"
    )


def check_for_failover(lab: Lab) -> None:
    """Checks conditions without which the demonstration would only end by a timeout.

    Raises:
        LabError: The lab is too small, or a node was taken out.
    """
    problem = why_not(lab.plan)
    if problem:
        raise LabError(problem)
    for node in lab.nodes:
        word = node.taken_out()
        if word:
            undo = " ".join(node.entering("ctdb", "enable" if word == "disabled" else "continue"))
            raise LabError(f"node {node.number} is {word}, so the lab isn't healthy; take it in again with: {undo}")


def demonstrate(lab: Lab) -> Generator[Step, None, None]:
    """Takes the last node out and in again in every possible way; yields each completed step.

    If it is interrupted, the node is taken back in.

    Raises:
        LabError: It is not possible with this lab, or a step failed.
    """
    check_for_failover(lab)
    node = lab.nodes[-1]
    number = node.number
    for away, back in (("disable", "enable"), ("stop", "continue")):
        with _undo_on_error(lambda back=back: node.ctdb(back)):  # type: ignore[misc]
            yield _step(lab, f"ctdb {away} on node {number}", lambda away=away: timed_away(lab, number, away))  # type: ignore[misc]
            yield _step(lab, f"ctdb {back} on node {number}", lambda back=back: timed_back(lab, number, back))  # type: ignore[misc]
        lab.wait_until_healthy()
    with _undo_on_error(lambda: None if node.is_running() else node.restart_after_crash()):
        yield _step(lab, f"kill -9 of everything on node {number}", lambda: _killed(lab, number))
        yield _step(lab, f"ctdbd started again on node {number}", lambda: _restarted(lab, number), dead=number)


@contextlib.contextmanager
def _undo_on_error(undo: Callable[[], object]) -> Iterator[None]:
    """Calls `undo` if the block raises; ignores a failure of `undo`."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(LabError):
            undo()
        raise


def _step(lab: Lab, what: str, act: Callable[[], float], dead: int | None = None) -> Step:
    # addresses of a dead node don't count: they are still on its interface, but serve no clients
    begin = time.time()
    before = {address: set(hosts) - {dead} for address, hosts in lab.hosting().items()}
    try:
        seconds = act()
    except LabError as error:
        raise LabError("\n".join((str(error), *_failed_events(lab, begin)))) from error
    moved = sum(bool(set(hosts) - before[address]) for address, hosts in lab.hosting().items())
    return Step(what=what, moved=moved, seconds=seconds, failed=_failed_events(lab, begin))


def _failed_events(lab: Lab, since: float) -> tuple[str, ...]:
    time.sleep(_HISTORY_DELAY)
    return tuple(line for node in lab.nodes for line in node.failed_events(since))


def _killed(lab: Lab, number: int) -> float:
    """Kills a node. Only the other nodes' addresses are checked, since a dead node keeps its own on its interface."""
    begin = time.monotonic()
    node = lab.nodes[number]
    had = set(node.addresses())
    node.kill_all()
    wait_until_elsewhere(lab, node, had - {node.address})
    return time.monotonic() - begin


def wait_until_elsewhere(lab: Lab, node: Node, addresses: Collection[str]) -> None:
    """Waits until other nodes have a node's addresses, which may still be on that node's interface if it is dead.

    Raises:
        LabError: It took too long.
    """
    others = [other for other in lab.nodes if other is not node]
    wait_until(
        lambda: set(addresses) <= {address for other in others for address in other.addresses()},
        _SECONDS,
        f"the other nodes to take the addresses of node {node.number}",
        lab.explain,
        poll=_POLL_SECONDS,
    )


def _restarted(lab: Lab, number: int) -> float:
    begin = time.monotonic()
    lab.nodes[number].restart_after_crash()
    # not `wait_until_healthy`: ctdbd reports a node as healthy some seconds before it gets addresses
    what = f"node {number} to get its share of the addresses"
    wait_until(lambda: _has_share(lab, number), _SECONDS, what, lab.explain, poll=_POLL_SECONDS)
    return time.monotonic() - begin
