"""Failovers that are timed: `make lab-failover` shows them, and the benchmark measures with the same functions."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection, Iterator

import attrs

from ctdb_lab.errors import LabError
from ctdb_lab.lab import Lab
from ctdb_lab.plan import CTDB_TOOL
from ctdb_lab.waiting import wait_until

__all__ = ["Step", "demonstrate", "timed_away", "timed_back"]

_SECONDS = 180
# Asking the kernels costs well below a millisecond, so it can be done often enough for a figure.
_POLL_SECONDS = 0.02


@attrs.frozen(kw_only=True)
class Step:
    """One step of the demonstration."""

    what: str
    moved: int
    """Addresses that another node hosts than before."""
    seconds: float


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
    with subprocess.Popen(
        lab.nodes[number].entering(CTDB_TOOL, *command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as tool:
        wait_until(is_over, _SECONDS, f"`ctdb {' '.join(command)}` to take effect", lab.explain, poll=_POLL_SECONDS)
        seconds = time.monotonic() - begin
        output, _ = tool.communicate(timeout=_SECONDS)
    if tool.returncode != 0:
        raise LabError(f"ctdb {' '.join(command)} on node {number}: {output}")
    return seconds


def demonstrate(lab: Lab) -> Iterator[Step]:
    """Takes the last node out and in again in every way there is; yields each step when it is over."""
    number = lab.plan.nodes - 1
    for away, back in (("disable", "enable"), ("stop", "continue")):
        yield _step(lab, f"ctdb {away} on node {number}", lambda away=away: timed_away(lab, number, away))  # type: ignore[misc]
        yield _step(lab, f"ctdb {back} on node {number}", lambda back=back: timed_back(lab, number, back))  # type: ignore[misc]
        lab.wait_until_healthy()
    yield _step(lab, f"kill -9 of everything on node {number}", lambda: _killed(lab, number))
    yield _step(lab, f"ctdbd started again on node {number}", lambda: _restarted(lab, number))


def _step(lab: Lab, what: str, act: Callable[[], float]) -> Step:
    before = lab.hosting()
    seconds = act()
    after = lab.hosting()
    moved = sum(bool(set(hosts) - set(before[address])) for address, hosts in after.items())
    return Step(what=what, moved=moved, seconds=seconds)


def _killed(lab: Lab, number: int) -> float:
    """A dead host's addresses stay on its interface, where they bother nobody: so only the others are asked."""
    begin = time.monotonic()
    node = lab.nodes[number]
    had = set(node.addresses())
    node.kill_all()
    others = [other for other in lab.nodes if other is not node]
    wait_until(
        lambda: had - {node.address} <= {address for other in others for address in other.addresses()},
        _SECONDS,
        "the other nodes to take the dead one's addresses",
        lab.explain,
        poll=_POLL_SECONDS,
    )
    return time.monotonic() - begin


def _restarted(lab: Lab, number: int) -> float:
    begin = time.monotonic()
    lab.nodes[number].restart_after_crash()
    lab.wait_until_healthy()
    return time.monotonic() - begin
