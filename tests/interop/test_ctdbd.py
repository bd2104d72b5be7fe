"""A real, unmodified ctdbd with our event daemon under it, with CTDB's own scripts: a lab of one node.

INTEROP_EVENTD names another event daemon to try, such as CTDB's own for comparison.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator

import pytest
from ctdb_lab import Lab, Node, Plan, wait_until

from .programs import CTDB_TOOL, Maker

pytestmark = pytest.mark.interop

EVENTD = os.environ.get("INTEROP_EVENTD", Maker.OURS.daemon)
IS_OURS = EVENTD == Maker.OURS.daemon

# ctdbd's death ends our daemon within a moment (50 ms measured); CTDB's own looks for it every 5 s only.
END_SECONDS = 3 if IS_OURS else 10

# Where a local script hangs, fails or succeeds as the test wants: the files are made by the tests.
_LOCAL_SCRIPT = """#!/bin/sh
case "$1" in
monitor)
  [ -e @NODE@/hang ] && exec sleep 1000
  [ ! -e @NODE@/fail ] || { echo "told to fail"; exit 1; }
  ;;
slow) exec sleep 1000 ;;
speak) echo "spoken" ;;
esac
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One node for all tests here: it takes 12 s to become healthy."""
    plan = Plan(eventd=EVENTD, nodes=1, addresses4=1, addresses6=0, scripts={"50.local": _LOCAL_SCRIPT})
    with Lab(tmp_path_factory.mktemp("lab") / "lab", plan) as made:
        yield made


@pytest.fixture
def running(lab: Lab) -> Node:
    """The node with ctdbd up, healthy or not."""
    (node,) = lab.nodes
    if not node.is_running():
        node.kill_all()
        node.start()
    return node


@pytest.fixture
def healthy(lab: Lab, running: Node) -> Node:
    """The node in full health, with its public address."""
    lab.wait_until_healthy()
    return running


def _pid(node: Node, daemon: str) -> int:
    process = node.daemon(daemon)
    assert process is not None, node.explain()
    return process.pid


def _status(node: Node, event: str) -> dict[str, str]:
    shown = node.ctdb("event", "status", "legacy", event).stdout
    rows = [line for line in shown.splitlines() if line[:2].isdecimal()]
    return {row.split()[0]: row.split()[1] for row in rows}


def _hosts_nothing(lab: Lab) -> bool:
    """Whether no kernel has the public address, whatever ctdbd says."""
    return not any(lab.hosting().values())


def _last_monitor(node: Node) -> str:
    return node.ctdb("event", "status", "legacy", "monitor").stdout


def test_the_node_runs_the_wanted_event_daemon(running: Node) -> None:
    """Without this, all the rest could be CTDB's own daemon's success."""
    eventd, ctdbd = running.daemon("eventd"), running.daemon("ctdbd")
    assert eventd is not None
    assert ctdbd is not None
    assert EVENTD in eventd.command.split()
    # by the number that the node itself knows ctdbd by
    assert f"-P {ctdbd.inner}" in eventd.command


def test_it_becomes_healthy_and_hosts_the_public_address(lab: Lab, healthy: Node) -> None:
    """ctdbd says so, and the kernel agrees."""
    assert "OK (THIS NODE)" in healthy.ctdb("nodestatus").stdout
    assert f"pnn:0 {healthy.address}" in healthy.ctdb("status").stdout
    (public,) = lab.plan.public_addresses
    wait_until(lambda: f"{public.address} 0" in healthy.ctdb("ip").stdout, 10, "ctdb ip to agree", healthy.explain)
    assert lab.is_hosted_once()


@pytest.mark.parametrize("event", ["init", "setup", "startrecovery", "recovered", "startup", "ipreallocated", "takeip"])
def test_every_event_of_the_start_ran_and_succeeded(healthy: Node, event: str) -> None:
    """ctdbd would go on after some failures, so health alone doesn't say this."""
    assert _status(healthy, event) == {"00.ctdb": "OK", "10.interface": "OK", "50.local": "OK"}


def test_scriptstatus_shows_the_monitor_event(healthy: Node) -> None:
    """Both of CTDB's ways to ask show the same."""
    shown = healthy.ctdb("scriptstatus")
    assert shown.returncode == 0
    for script in ("00.ctdb", "10.interface"):
        assert f"{script:20} OK " in shown.stdout
    assert _status(healthy, "monitor")["10.interface"] == "OK"


def test_monitor_runs_again_and_again(healthy: Node) -> None:
    """ctdbd repeats it by its own interval, so the begin times move on."""
    first = _last_monitor(healthy)
    wait_until(lambda: _last_monitor(healthy) != first, 15, "another monitor event", healthy.explain)


def test_a_script_is_disabled_and_enabled(healthy: Node) -> None:
    """The next monitor event leaves it out, and takes it in again."""
    for action, word in (("disable", "DISABLED"), ("enable", "OK")):
        assert healthy.ctdb("event", "script", action, "legacy", "50.local").returncode == 0
        wait_until(
            lambda word=word: _status(healthy, "monitor").get("50.local") == word,  # type: ignore[misc]
            15,
            f"50.local to be {word}",
            healthy.explain,
        )


def test_a_failing_script_makes_the_node_unhealthy(lab: Lab, healthy: Node) -> None:
    """And healthy again when it stops failing."""
    flag = healthy.directory / "fail"
    flag.touch()
    try:
        wait_until(
            lambda: "UNHEALTHY" in healthy.ctdb("nodestatus").stdout,
            20,
            "the node to become unhealthy",
            healthy.explain,
        )
        assert "OUTPUT: told to fail" in healthy.ctdb("scriptstatus").stdout
        wait_until(lambda: _hosts_nothing(lab), 20, "the address to be released", healthy.explain)
    finally:
        flag.unlink()
    lab.wait_until_healthy()


def test_disable_releases_the_address_and_enable_takes_it_back(lab: Lab, healthy: Node) -> None:
    """The real releaseip, with iptables and all."""
    assert healthy.ctdb("disable").returncode == 0
    try:
        wait_until(lambda: _hosts_nothing(lab), 20, "the address to be released", healthy.explain)
        wait_until(lambda: "OK" in _status(healthy, "releaseip").values(), 5, "releaseip to be over", healthy.explain)
        assert set(_status(healthy, "releaseip").values()) == {"OK"}
    finally:
        assert healthy.ctdb("enable").returncode == 0
    lab.wait_until_healthy()


def test_a_hung_monitor_script_times_out_is_debugged_and_ended(lab: Lab, healthy: Node) -> None:
    """With CTDB's own debug script, which asks the event daemon for the status of the very event."""
    assert healthy.ctdb("setvar", "EventScriptTimeout", "2").returncode == 0
    flag = healthy.directory / "hang"
    flag.touch()
    try:
        wait_until(
            lambda: _status(healthy, "monitor").get("50.local") == "TIMEDOUT",
            20,
            "monitor to time out",
            healthy.explain,
        )
    finally:
        flag.unlink()
        healthy.ctdb("setvar", "EventScriptTimeout", "30")
    wait_until(lambda: "event_debug: " in healthy.log, 10, "the debug script's output", healthy.explain)
    wait_until(lambda: not _sleepers(healthy), 20, "the hung script to be ended", healthy.explain)
    lab.wait_until_healthy()


def _sleepers(node: Node) -> list[int]:
    return [process.pid for process in node.processes() if process.command == "sleep 1000"]


def test_log_rotation(healthy: Node) -> None:
    """ctdbd passes its SIGHUP on; from then on both write to a new file."""
    log = healthy.directory / "log" / "log.ctdb"
    rotated = log.rename(log.with_suffix(".ctdb.1"))
    os.kill(_pid(healthy, "ctdbd"), signal.SIGHUP)

    def is_in_the_new_log() -> bool:
        assert healthy.ctdb("event", "run", "30", "legacy", "speak").returncode == 0
        return "50.local: spoken" in healthy.log

    wait_until(is_in_the_new_log, 10, "the event daemon to write to the new log", healthy.explain)
    length = rotated.stat().st_size
    assert is_in_the_new_log()
    assert rotated.stat().st_size == length


def test_our_command_line_in_the_place_of_ctdbs(healthy: Node) -> None:
    """As after an installation: `ctdb event` and `ctdb scriptstatus` run ours, in ctdbd's own mount namespace."""
    helper = Maker.CTDB.cli
    assert healthy.run("mount", "--bind", Maker.OURS.cli, helper).returncode == 0
    try:
        assert _status(healthy, "startup") == {"00.ctdb": "OK", "10.interface": "OK", "50.local": "OK"}
        assert "* 10.interface\n" in healthy.ctdb("event", "script", "list", "legacy").stdout
        missing = healthy.ctdb("event", "status", "nosuch", "monitor")
        assert missing.stdout == "Event dir for nosuch does not exist\n"
        assert missing.returncode == 2
        assert f"{'10.interface':20} OK " in healthy.ctdb("scriptstatus").stdout
    finally:
        assert healthy.run("umount", helper).returncode == 0


def test_shutdown_leaves_nothing(lab: Lab, healthy: Node) -> None:
    """No address, no process, no socket and no pid file."""
    assert healthy.ctdb("shutdown").returncode == 0
    healthy.wait_until_empty()
    assert _hosts_nothing(lab)
    for kind, daemon in (("socket", "eventd"), ("pidfile", "eventd"), ("pidfile", "ctdbd")):
        assert not healthy.run_file(kind, daemon).exists(), (kind, daemon)


@contextlib.contextmanager
def _slow_script(node: Node) -> Iterator[None]:
    command = node.entering(CTDB_TOOL, "event", "run", "600", "legacy", "slow")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        try:
            wait_until(lambda: _sleepers(node), 20, "the slow script to start", node.explain)
            yield
        finally:
            client.kill()


def _kill_and_watch(victim: int, watched: int, number: int, timeout: float) -> bool:
    """Sends a signal to one process and tells whether another one ends within `timeout` seconds."""
    pidfd = os.pidfd_open(watched)
    try:
        os.kill(victim, number)
        readable, _, _ = select.select([pidfd], [], [], timeout)
        return bool(readable)
    finally:
        os.close(pidfd)


def test_the_event_daemons_death_ends_ctdbd(running: Node) -> None:
    """As ctdbd notices by the start-up descriptor, and a new ctdbd starts over what both left behind."""
    assert _kill_and_watch(_pid(running, "eventd"), _pid(running, "ctdbd"), signal.SIGKILL, END_SECONDS), (
        running.explain()
    )
    running.wait_until_empty()
    running.start()
    assert running.ctdb("event", "status", "legacy", "init").returncode == 0


@pytest.mark.skipif(not IS_OURS, reason="CTDB's own event daemon leaves its scripts running when it is killed")
def test_the_event_daemons_death_ends_its_scripts(running: Node) -> None:
    """Nobody is left who could end them, or who would know of them."""
    with _slow_script(running):
        ended = _kill_and_watch(_pid(running, "eventd"), _pid(running, "ctdbd"), signal.SIGKILL, END_SECONDS)
        assert ended, running.explain()
        running.wait_until_empty()


def test_ctdbds_death_ends_the_event_daemon(running: Node) -> None:
    """Even in the middle of a script, which it takes with it."""
    with _slow_script(running):
        ended = _kill_and_watch(_pid(running, "ctdbd"), _pid(running, "eventd"), signal.SIGKILL, END_SECONDS)
        assert ended, running.explain()
        running.wait_until_empty()
    assert not running.run_file("socket", "eventd").exists()
    assert not running.run_file("pidfile", "eventd").exists()
