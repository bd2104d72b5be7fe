"""`ctdb-node run` with a real event daemon, and its commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from node_runs import Run
from nodes import TIMEOUT, Node, alive, until


def _start(node: Node, runs: list[Run]) -> Run:
    runs.append(Run(node))
    return runs[-1]


async def test_a_life_from_init_to_shutdown(node: Node, runs: list[Run]) -> None:
    run = _start(node, runs)
    await until(lambda: "ipreallocated" in run.trace, "the first reallocation")
    assert run.trace[:6] == ["init", "setup", "startrecovery", "recovered", "startup", "monitor"]
    assert run.trace[6] == "startipreallocate"
    assert sorted(run.trace[7:9]) == ["takeip eth0 10.0.0.1 24", "takeip eth1 fd00::2 64"]
    health = run.command("health")
    assert (health.returncode, health.stdout) == (0, "running, HEALTHY\n")
    assert run.command("addresses").stdout == "10.0.0.1/24  eth0\nfd00::2/64  eth1\n"
    daemon = run.daemon()
    assert run.end() == 0
    assert sorted(run.trace[-3:-1]) == ["releaseip eth0 10.0.0.1 24", "releaseip eth1 fd00::2 64"]
    assert run.trace[-1] == "shutdown"
    assert not alive(daemon)
    assert not (node.base / "run" / "node.socket").exists()


@pytest.mark.parametrize("event", ["init", "setup"])
def test_a_failure_before_startup_ends_the_node(node: Node, runs: list[Run], event: str) -> None:
    node.script("60.bad.script", f'[ "$1" != {event} ] || {{ echo "no disk"; exit 1; }}')
    run = _start(node, runs)
    assert run.process.wait(TIMEOUT) == 1
    assert f"{event}: 60.bad: no disk (failed)" in run.said
    assert run.trace[-1] == event


async def test_startup_is_tried_until_it_succeeds(node: Node, runs: list[Run]) -> None:
    node.script("60.late.script", '[ "$1" != startup ] || [ -e "$CTDB_BASE/var/ready" ]')
    run = _start(node, runs)
    await until(lambda: "trying again in 1 s, after 1 failures" in run.said, "a failed startup")
    assert run.command("health").returncode == 2
    (node.var / "ready").touch()
    await until(lambda: "monitor" in run.trace, "monitor")
    assert run.trace.count("startup") >= 2
    assert run.end() == 0


async def test_a_failed_monitor_makes_unhealthy_gives_addresses_up_and_tells_once(node: Node, runs: list[Run]) -> None:
    (node.base / "notify.sh").write_text('#!/bin/sh\necho "$1" >>"$CTDB_BASE/var/notified"\n')
    (node.base / "notify.sh").chmod(0o755)
    node.script(
        "60.ill.script", '[ "$1" != monitor ] || [ ! -e "$CTDB_BASE/var/ill" ] || { echo "disk full"; exit 1; }'
    )
    run = _start(node, runs)
    await until(lambda: "ipreallocated" in run.trace, "the first reallocation")
    (node.var / "ill").touch()
    run.command("set", "MonitorInterval=1")
    await until(lambda: "the node is HEALTHY" in run.said, "health")
    await until(lambda: "releaseip eth0 10.0.0.1 24" in run.trace, "the release")
    ill = run.command("health")
    assert (ill.returncode, ill.stdout) == (1, "running, UNHEALTHY: 60.ill: disk full\n")
    (node.var / "ill").unlink()
    await until(lambda: run.trace.count("takeip eth0 10.0.0.1 24") == 2, "the address to come back")
    assert run.end() == 0
    assert run.said.count("the node is UNHEALTHY: 60.ill: disk full") == 1
    assert node.read("notified").split()[-3:] == ["unhealthy", "healthy", "shutdown"]


async def test_a_failed_takeip_leaves_the_others_alone_and_is_tried_again(node: Node, runs: list[Run]) -> None:
    node.script("60.bad.script", '[ "$1 $3" != "takeip 10.0.0.1" ] || [ -e "$CTDB_BASE/var/ready" ]')
    run = _start(node, runs)
    await until(lambda: "the reallocation failed" in run.said, "a failed reallocation")
    assert [each["interface"] for each in run.status()["addresses"]] == [None, "eth1"]
    assert "ipreallocated" in run.trace
    (node.var / "ready").touch()
    await until(lambda: run.status()["addresses"][0]["interface"] == "eth0", "the address")
    assert run.trace.count("takeip eth1 fd00::2 64") == 1
    assert run.end() == 0


async def test_stop_continue_reallocate_recover_and_shutdown(node: Node, runs: list[Run]) -> None:
    run = _start(node, runs)
    await until(lambda: "ipreallocated" in run.trace, "the first reallocation")
    assert run.command("stop").returncode == 0
    await until(lambda: "releaseip eth0 10.0.0.1 24" in run.trace, "the release")
    assert run.command("continue").returncode == 0
    await until(lambda: run.trace.count("takeip eth0 10.0.0.1 24") == 2, "the address to come back")
    await until(lambda: run.trace.count("ipreallocated") == 3, "the end of the reallocation")
    assert run.command("reallocate").returncode == 0
    await until(lambda: run.trace.count("ipreallocated") == 4, "a reallocation")
    assert run.command("recover").returncode == 0
    await until(lambda: run.trace.count("ipreallocated") == 5, "a reallocation after the recovery")
    assert run.trace[-4:] == ["startrecovery", "recovered", "startipreallocate", "ipreallocated"]
    refused = run.command("set", "MonitorInterval=soon")
    assert (refused.returncode, "expected a whole number" in refused.stderr) == (1, True)
    assert run.command("shutdown").returncode == 0
    assert run.process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("event", ["init", "setup", "startrecovery", "recovered", "startup", "monitor", "takeip"])
async def test_it_is_told_to_end_in_an_event(node: Node, runs: list[Run], event: str) -> None:
    node.script("60.hang.script", f'[ "$1" != {event} ] || exec sleep 1000')
    run = _start(node, runs)
    await until(lambda: any(line.split()[0] == event for line in run.trace), event)
    assert run.end() == 0
    assert run.trace[-1] == "shutdown"


@pytest.mark.parametrize("event", ["init", "startup", "monitor", "shutdown"])
async def test_it_ends_when_the_daemon_is_killed(node: Node, runs: list[Run], event: str) -> None:
    node.script("60.hang.script", f'[ "$1" != {event} ] || exec sleep 1000')
    run = _start(node, runs)
    if event == "shutdown":
        await until(lambda: "ipreallocated" in run.trace, "the first reallocation")
        run.process.send_signal(signal.SIGTERM)
    await until(lambda: event in run.trace, event)
    os.kill(run.daemon(), signal.SIGKILL)
    assert run.process.wait(TIMEOUT) == 1


def test_lines_of_public_addresses_that_cant_be_used_end_it_at_once(node: Node, runs: list[Run]) -> None:
    (node.base / "public_addresses").write_text("10.0.0.1 eth0\n")
    run = _start(node, runs)
    assert run.process.wait(TIMEOUT) == 1
    assert run.said.startswith(f"ctdb-node: {node.base}/public_addresses:1: '10.0.0.1' has no mask")


def test_without_a_directory_for_the_socket_it_says_so(node: Node, runs: list[Run]) -> None:
    (node.base / "run").rmdir()
    run = _start(node, runs)
    assert run.process.wait(TIMEOUT) == 1
    assert f"can't listen on {node.base}/run/node.socket: No such file or directory" in run.said


def test_without_a_node_the_commands_say_so(node: Node) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ctdb_node", "health"], env=node.environ, capture_output=True, text=True
    )
    assert done.returncode == 3
    assert "start one with `ctdb-node run`" in done.stderr


async def test_it_is_told_to_end_while_the_notify_script_hangs(node: Node, runs: list[Run]) -> None:
    notify = node.base / "notify.sh"
    notify.write_text('#!/bin/sh\n[ "$1" != startup ] || { : >"$CTDB_BASE/var/hangs"; exec sleep 1000; }\n')
    notify.chmod(0o755)
    run = _start(node, runs)
    await until((node.var / "hangs").exists, "the notify script")
    assert run.end() == 0
    assert run.trace[-1] == "shutdown"
