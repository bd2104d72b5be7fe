"""Failovers that are timed: `make lab-failover` shows them, and the benchmark measures with the same functions."""

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
# Asking the kernels costs well below a millisecond, so it can be done often enough for a figure.
_POLL_SECONDS = 0.02
_UNTIL_WRITTEN = 0.5
"""Seconds after which the daemon has written the end of a run to its history."""


@attrs.frozen(kw_only=True)
class Step:
    """One step of the demonstration."""

    what: str
    moved: int
    """Addresses that another node hosts than before."""
    seconds: float
    failed: tuple[str, ...]
    """Events that failed meanwhile."""


def timed_away(lab: Lab, number: int, *command: str) -> float:
    """Takes a node out with a ctdb command; returns the seconds until every address is usable on another node.

    Raises:
        LabError: It took too long, or the command failed.
    """
    others = set(range(lab.plan.nodes)) - {number}
    return _timed(lab, number, command, lambda: lab.is_hosted_once(others))


def timed_back(lab: Lab, number: int, *command: str) -> float:
    """Takes a node in with a ctdb command; returns the seconds until it hosts its share and nothing is missing.

    All releaseip come before the first takeip, so nothing more moves when it has some and every address is hosted.

    Raises:
        LabError: It took too long, or the command failed.
    """
    return _timed(lab, number, command, lambda: _has_share(lab, number))


def _has_share(lab: Lab, number: int) -> bool:
    hosting = lab.hosting()
    return lab.is_hosted_once() and any(number in hosts for hosts in hosting.values())


def _timed(lab: Lab, number: int, command: Collection[str], is_over: Callable[[], bool]) -> float:
    # in the background: the tool itself waits until ctdbd calls the takeover done, whatever became of the addresses
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
    """Says why the demonstration could not be given on such a lab; empty if it can.

    With fewer addresses the node that comes back may rightly get none, and there would be nothing to wait for.
    """
    if plan.nodes > 1 and max(plan.addresses4, plan.addresses6) >= plan.nodes:
        return ""
    has = f"{plan.nodes} nodes, {plan.addresses4} IPv4 and {plan.addresses6} IPv6 addresses"
    return (
        "a failover needs two nodes, and as many IPv4 or IPv6 addresses as nodes, so that each hosts some; "
        f"this lab has {has}: make lab-down, then make lab with other NODES, ADDRESSES4 or ADDRESSES6"
    )


def check_for_failover(lab: Lab) -> None:
    """Finds out at once what else would be waited for in vain.

    Raises:
        LabError: The lab is too small, or somebody has taken a node out.
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
    """Takes the last node out and in again in every way there is; yields each step when it is over.

    However it is broken off, the node is asked to come back.

    Raises:
        LabError: It can't be given here, or a step failed.
    """
    check_for_failover(lab)
    node = lab.nodes[-1]
    number = node.number
    for away, back in (("disable", "enable"), ("stop", "continue")):
        with _undone(lambda back=back: node.ctdb(back)):  # type: ignore[misc]
            yield _step(lab, f"ctdb {away} on node {number}", lambda away=away: timed_away(lab, number, away))  # type: ignore[misc]
            yield _step(lab, f"ctdb {back} on node {number}", lambda back=back: timed_back(lab, number, back))  # type: ignore[misc]
        lab.wait_until_healthy()
    with _undone(lambda: None if node.is_running() else node.restart_after_crash()):
        yield _step(lab, f"kill -9 of everything on node {number}", lambda: _killed(lab, number))
        yield _step(lab, f"ctdbd started again on node {number}", lambda: _restarted(lab, number), dead=number)


@contextlib.contextmanager
def _undone(undo: Callable[[], object]) -> Iterator[None]:
    """Undoes what was done in it if it doesn't come to its end, as far as that is possible."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(LabError):
            undo()
        raise


def _step(lab: Lab, what: str, act: Callable[[], float], dead: int | None = None) -> Step:
    # a dead node's addresses are on its interface still, but nobody is served there
    begin = time.time()
    before = {address: set(hosts) - {dead} for address, hosts in lab.hosting().items()}
    try:
        seconds = act()
    except LabError as error:
        raise LabError("\n".join((str(error), *_failed_events(lab, begin)))) from error
    moved = sum(bool(set(hosts) - before[address]) for address, hosts in lab.hosting().items())
    return Step(what=what, moved=moved, seconds=seconds, failed=_failed_events(lab, begin))


def _failed_events(lab: Lab, since: float) -> tuple[str, ...]:
    time.sleep(_UNTIL_WRITTEN)
    return tuple(line for node in lab.nodes for line in node.failed_events(since))


def _killed(lab: Lab, number: int) -> float:
    """A dead host's addresses stay on its interface, where they bother nobody: so only the others are asked."""
    begin = time.monotonic()
    node = lab.nodes[number]
    had = set(node.addresses())
    node.kill_all()
    wait_until_elsewhere(lab, node, had - {node.address})
    return time.monotonic() - begin


def wait_until_elsewhere(lab: Lab, node: Node, addresses: Collection[str]) -> None:
    """Returns when other nodes have a node's addresses, which may still be on the interface of a dead one.

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
    # ctdbd calls a node healthy some seconds before it gives it anything
    what = f"node {number} to get its share of the addresses"
    wait_until(lambda: _has_share(lab, number), _SECONDS, what, lab.explain, poll=_POLL_SECONDS)
    return time.monotonic() - begin
