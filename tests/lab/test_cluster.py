"""Three real, unmodified ctdbd nodes: addresses go where they should, whatever happens to a node."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ctdb_lab import Lab, LabError, Node, Plan, wait_until
from ctdb_lab.failover import check_for_failover, demonstrate
from ctdb_lab.plan import CTDB_TOOL, eventd_path

from .steps import restore, shares, wait_until_quiet

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("able")]

# LAB_EVENTD=ctdb tries CTDB's own, for comparison.
EVENTD = eventd_path(os.environ.get("LAB_EVENTD", "ours"))
VICTIM = 1
OTHERS = (0, 2)
SOON = 30

_LOCAL_SCRIPT = """#!/bin/sh
case "$1" in
monitor) [ ! -e @NODE@/hang ] || exec sleep 1000 ;;
load) echo "$2" >>@NODE@/load ;;
speak) echo "spoken" ;;
esac
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, able: None) -> Iterator[Lab]:
    """One for all tests here: it takes 20 s to become healthy."""
    plan = Plan(eventd=EVENTD, addresses4=6, addresses6=3, scripts={"50.local": _LOCAL_SCRIPT})
    with Lab(tmp_path_factory.mktemp("lab") / "lab", plan) as made:
        yield made


@pytest.fixture
def healthy(lab: Lab) -> Lab:
    """The lab with all nodes in health and every address hosted."""
    restore(lab)
    return lab


@pytest.fixture
def victim(healthy: Lab) -> Node:
    """The node that things happen to."""
    return healthy.nodes[VICTIM]


def _is_spread(lab: Lab) -> bool:
    return lab.is_hosted_once() and all(shares(lab).values())


def _wait_until_spread(lab: Lab) -> None:
    wait_until(lambda: _is_spread(lab), SOON, "every node to host its share", lab.explain)


def test_every_node_runs_the_wanted_event_daemon(healthy: Lab) -> None:
    """Without this, all the rest could be another daemon's success."""
    for node in healthy.nodes:
        eventd = node.daemon("eventd")
        assert eventd is not None, node.explain()
        assert EVENTD in eventd.command


def test_addresses_are_spread_over_healthy_nodes(healthy: Lab) -> None:
    """By the kernels' account and by each ctdbd's."""
    _wait_until_spread(healthy)
    assert max(shares(healthy).values()) <= 5, shares(healthy)
    for node in healthy.nodes:
        wait_until(lambda node=node: node.outcomes("monitor"), SOON, "monitor", node.explain)  # type: ignore[misc]
        assert set(node.outcomes("monitor").values()) == {"OK"}


@pytest.mark.parametrize(
    ("away", "back"),
    [(("disable",), "enable"), (("stop",), "continue"), (("ban", "300"), "unban")],
    ids=["disable", "stop", "ban"],
)
def test_a_node_taken_out_and_in(healthy: Lab, victim: Node, away: tuple[str, ...], back: str) -> None:
    """Its addresses go to the others and it gets its share again."""
    victim.order(*away)
    healthy.wait_until_hosted(OTHERS)
    wait_until(lambda: healthy.is_agreed(OTHERS), SOON, "the other nodes to agree", healthy.explain)
    victim.order(back)
    _wait_until_spread(healthy)
    healthy.wait_until_healthy()


@pytest.mark.parametrize("daemon", ["ctdbd", "eventd"])
def test_a_killed_daemon_costs_one_node_only(healthy: Lab, victim: Node, daemon: str) -> None:
    """kill -9: all of the node's daemons end, the others take over, and a restart brings it back."""
    had = set(victim.addresses()) - {victim.address}
    process = victim.daemon(daemon)
    assert process is not None, victim.explain()
    assert victim.kill(process, signal.SIGKILL)
    victim.wait_until_empty()
    wait_until(lambda: had <= _addresses(healthy, OTHERS), SOON, "the others to take over", healthy.explain)
    victim.start()
    _wait_until_spread(healthy)
    healthy.wait_until_healthy()


def _addresses(lab: Lab, numbers: tuple[int, ...]) -> set[str]:
    return {address for number in numbers for address in lab.nodes[number].addresses()}


def test_a_power_failure_costs_one_node_only(healthy: Lab, victim: Node) -> None:
    """Nothing of the node has a chance to clean up, so its next start has to."""
    had = set(victim.addresses()) - {victim.address}
    victim.kill_all()
    wait_until(lambda: had <= _addresses(healthy, OTHERS), SOON, "the others to take over", healthy.explain)
    victim.start()
    healthy.wait_until_healthy()


def test_a_hung_monitor_script(healthy: Lab, victim: Node) -> None:
    """It is shown as timed out, looked at with CTDB's own debug script, and ended; the node keeps its addresses."""
    _wait_until_spread(healthy)
    healthy.wait_until_settled()
    had = set(victim.addresses())
    assert len(had) > 1, "it has to have more than its own"
    victim.order("setvar", "EventScriptTimeout", "2")
    flag = victim.directory / "hang"
    flag.touch()
    try:
        wait_until(lambda: "TIMEDOUT" in victim.ctdb("scriptstatus").stdout, SOON, "TIMEDOUT", victim.explain)
    finally:
        flag.unlink()
        victim.order("setvar", "EventScriptTimeout", "30")
    wait_until(
        lambda: 'event_debug: ===== End of hung script debug for PID="' in victim.log,
        SOON,
        "the debug script to say all that it has to",
        victim.explain,
    )
    assert set(victim.addresses()) == had, healthy.explain()
    wait_until_quiet(victim)
    healthy.wait_until_healthy()


def test_a_script_enabled_and_disabled_under_load(healthy: Lab, victim: Node) -> None:
    """Events go on without a failure, during a failover too, and the last word counts."""
    try:
        with _load(victim) as runs:
            for round_ in range(12):
                _switch(victim, "disable" if round_ % 2 else "enable")
                if round_ == 3:
                    victim.order("disable")
                if round_ == 7:
                    victim.order("enable")
                seen = runs()
                wait_until(lambda seen=seen: runs() > seen, SOON, "another event to run", victim.explain)  # type: ignore[misc]
    finally:
        _switch(victim, "enable")
    assert (victim.directory / "failures").read_text() == "", victim.explain()
    for action, word in (("disable", "DISABLED"), ("enable", "OK")):
        _switch(victim, action)
        wait_until(lambda word=word: victim.outcomes("monitor").get("50.local") == word, SOON, word, victim.explain)  # type: ignore[misc]
    healthy.wait_until_healthy()


def _switch(node: Node, action: str) -> None:
    """Has CTDB's own tool enable or disable a script; it fails, silently, if the script is being started just then."""

    def is_done() -> bool:
        done = node.ctdb("event", "script", action, "legacy", "50.local")
        assert done.returncode in (0, errno.ETXTBSY), (done, node.explain())
        return done.returncode == 0

    wait_until(is_done, SOON, f"script {action}", node.explain)


@contextlib.contextmanager
def _load(node: Node) -> Iterator[Callable[[], int]]:
    """Four clients that run events without a pause; yields how to ask for the number of those that are over."""
    done, failures, stop = (node.directory / name for name in ("done", "failures", "stop"))
    failures.write_text("")
    done.write_text("")
    loop = (
        f"while [ ! -e {stop} ]; do {CTDB_TOOL} event run 30 legacy load x >/dev/null"
        f" || echo $? >>{failures}; echo >>{done}; done"
    )
    clients = [subprocess.Popen(node.entering("sh", "-c", loop)) for _ in range(4)]
    try:
        yield lambda: done.stat().st_size
    finally:
        stop.touch()
        for client in clients:
            client.wait(timeout=SOON)
        stop.unlink()


def test_the_demonstration_counts_what_moves(healthy: Lab) -> None:
    """The last step as well, before which the dead node's addresses are on its interface still."""
    _wait_until_spread(healthy)
    steps = list(demonstrate(healthy))
    assert len(steps) == 6
    assert all(step.moved >= 2 for step in steps), steps


@pytest.mark.parametrize("done", [1, 3, 5], ids=["disabled", "stopped", "killed"])
def test_a_demonstration_that_is_broken_off_takes_the_node_in_again(healthy: Lab, done: int) -> None:
    steps = demonstrate(healthy)
    for _ in range(done):
        next(steps)
    steps.close()
    assert healthy.nodes[-1].is_running()
    assert not healthy.nodes[-1].taken_out()
    healthy.wait_until_healthy()


def test_a_failover_with_a_node_that_is_out_is_refused_at_once(healthy: Lab, victim: Node) -> None:
    for away, word, back in (("disable", "disabled", "enable"), ("stop", "stopped", "continue")):
        victim.order(away)
        wait_until(lambda word=word: victim.taken_out() == word, SOON, word, victim.explain)  # type: ignore[misc]
        with pytest.raises(LabError, match=f"node {VICTIM} is {word}, .* ctdb {back}"):
            check_for_failover(healthy)
        victim.order(back)
        wait_until(lambda: not victim.taken_out(), SOON, back, victim.explain)


def test_log_rotation(victim: Node) -> None:
    """ctdbd passes its SIGHUP on; from then on both write to a new file."""
    log = victim.directory / "log" / "log.ctdb"
    rotated = log.rename(log.with_suffix(".ctdb.1"))
    ctdbd = victim.daemon("ctdbd")
    assert ctdbd is not None, victim.explain()
    victim.kill(ctdbd, signal.SIGHUP)

    def is_in_the_new_log() -> bool:
        victim.order("event", "run", "30", "legacy", "speak")
        return "50.local: spoken" in victim.log

    wait_until(is_in_the_new_log, SOON, "the event daemon to write to the new log", victim.explain)
    length = rotated.stat().st_size
    assert is_in_the_new_log()
    assert rotated.stat().st_size == length


def test_reloadips(healthy: Lab) -> None:
    """An address taken off the list leaves its node, one put on the list is hosted, and back again."""
    files = [node.directory / "etc" / "public_addresses" for node in healthy.nodes]
    former = files[0].read_text()
    gone = healthy.plan.public_addresses[0]
    new = "10.100.9.9"
    _reload(healthy, files, former.replace(f"{gone.line}\n", f"{new}/16 pub0\n"))
    wait_until(
        lambda: _hosts(healthy, new) == 1 and _hosts(healthy, gone.address) == 0,
        SOON,
        f"{new} to be hosted once, and {gone.address} no more",
        healthy.explain,
    )
    _reload(healthy, files, former)
    healthy.wait_until_healthy()
    assert _hosts(healthy, new) == 0, healthy.explain()


def _reload(lab: Lab, files: list[Path], text: str) -> None:
    for path in files:
        path.write_text(text)
    lab.nodes[0].order("reloadips", "all")


def _hosts(lab: Lab, address: str) -> int:
    return sum(address in node.addresses() for node in lab.nodes)


def test_monitor_events_go_on_on_every_node(healthy: Lab) -> None:
    """ctdbd repeats them by its own interval: after all that happened before, each node still does."""
    for node in healthy.nodes:
        before = time.time()
        # a script's begin time is shown in whole seconds
        wait_until(lambda node=node, before=before: _last_monitor(node) > before, SOON, "a monitor", node.explain)  # type: ignore[misc]


def _last_monitor(node: Node) -> float:
    for line in node.ctdb("scriptstatus").stdout.splitlines():
        if line.startswith("00.ctdb"):
            return time.mktime(time.strptime(" ".join(line.split()[3:])))
    return 0
