"""What a real daemon finds out about a script that hangs, before it ends it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from lock_list import needs_lock_list
from nodes import Daemon, Node, running_daemon, until, until_async

from ctdb_eventd.processes import examine

SCRIPT = """case $1 in
sleep) sleep 1000 ;;
lock) flock $CTDB_BASE/var/wanted echo got it ;;
connection) exec bash -c "exec 3<>/dev/tcp/127.0.0.1/$2; read x <&3" ;;
tree) (sleep 1000; :) | (sleep 1000; :) ;;
many) i=0; while [ $i -lt 500 ]; do sleep 1000 & i=$((i + 1)); done; wait ;;
tidies)
    trap 'echo >$CTDB_BASE/var/tidied; exit' TERM
    echo >$CTDB_BASE/var/begun
    sleep 1000 &
    wait
    ;;
fails) exit 1 ;;
takeip) sleep 1000 ;;
esac
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.hangs.script", SCRIPT)
    return node


@pytest.fixture
async def daemon(node: Node) -> AsyncIterator[Daemon]:
    async with running_daemon(node) as daemon:
        yield daemon


async def shown(node: Node, *arguments: str, run: str = "last") -> str:
    done = await anyio.run_process(
        [sys.executable, "-m", "ctdb_event", "show", *arguments, run], env={**os.environ, **node.environ}, check=False
    )
    return done.stdout.decode()


async def hung(daemon: Daemon, event: str, *args: str, limit: int = 1) -> dict[str, Any]:
    """Has an event run out of time; returns what the history says of its script then."""
    node = daemon.node
    async with daemon.client() as client:
        assert await client.run(event, *args, limit=limit) == errno.ETIMEDOUT
    found: list[dict[str, Any]] = []

    async def is_there() -> bool:
        run: dict[str, Any] = json.loads(await shown(node, "--json") or '{"event": "", "scripts": []}')
        found[:] = [script["hung"] for script in run["scripts"] if run["event"] == event and script["hung"]]
        return bool(found)

    await until_async(is_there, "what was found out, in the history")
    return found[0]


async def test_who_sleeps(node: Node, daemon: Daemon) -> None:
    found = await hung(daemon, "sleep")
    [shell, sleep] = found["processes"]
    assert found["summary"] == f"process {sleep['pid']} (sleep 1000) {sleep['doing']} (2 processes)"
    assert (sleep["parent"], sleep["command"], sleep["state"]) == (shell["pid"], "sleep 1000", "S")
    assert sleep["files"][0] == "0 /dev/null"
    line = f"legacy sleep: 10.hangs hangs: {found['summary']} (ctdb-event show "
    await until(lambda: line in node.log, "the line in the log")
    text = await shown(node)
    assert f"  hung: {found['summary']}\n" in text
    assert "has open 0 /dev/null" not in text
    text = await shown(node, "--processes")
    assert f"    {sleep['pid']}, child of {shell['pid']}, state S: sleep 1000\n" in text
    assert "      has open 0 /dev/null\n" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the system calls of others on every machine")
async def test_the_words_for_what_is_usual(node: Node, daemon: Daemon) -> None:
    assert (await hung(daemon, "sleep"))["processes"][1]["doing"] == "sleeps"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = await hung(daemon, "connection", str(port))
        assert "reads from 127.0.0.1:" in found["summary"]
        assert f" to 127.0.0.1:{port} (TCP, ESTABLISHED)" in found["summary"]


async def test_a_lock_that_is_waited_for_has_its_holder(node: Node, daemon: Daemon) -> None:
    with (node.base / "var/wanted").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = await hung(daemon, "lock")
    expected = f"waits for a lock on {node.base}/var/wanted, held by process {os.getpid()} ("
    assert expected in found["summary"]


@needs_lock_list
async def test_a_shell_has_a_lock_that_flock_took_for_it(node: Node, daemon: Daemon) -> None:
    wanted = node.base / "var/wanted"
    command = 'exec 9>"$0"; flock 9; echo; read x'
    with subprocess.Popen(
        ["sh", "-c", command, str(wanted)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        summary = (await hung(daemon, "lock"))["summary"]
        assert f"waits for a lock on {wanted}, held by process {shell.pid} (sh " in summary
        found = examine(shell.pid)
    assert found is not None
    assert [process.locks for process in found.processes] == [(str(wanted),)]


async def test_a_whole_tree_within_bounds(node: Node, daemon: Daemon) -> None:
    found = await hung(daemon, "tree")
    commands = sorted(process["command"].rpartition("/")[2] for process in found["processes"])
    assert commands.count("sleep 1000") == 2
    assert len(commands) == 5
    found = await hung(daemon, "many", limit=5)  # by then a busy machine has started all 500, too
    assert len(found["processes"]) + found["left_out"] == 501
    assert len(json.dumps(found)) < 64 << 10


def test_many_long_names_of_files_are_told_within_bounds(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 60)
    directory.mkdir()
    files = "".join(f"exec {number}>{directory}/{'y' * 120}; " for number in range(3, 10))
    command = f"{files} i=0; while [ $i -lt 80 ]; do sleep 1000 & i=$((i + 1)); done; echo; wait"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, process_group=0) as script:
        assert script.stdout is not None
        script.stdout.readline()
        found = examine(script.pid)
        os.killpg(script.pid, signal.SIGKILL)
    assert found is not None
    assert len(json.dumps(attrs.asdict(found))) < 64 << 10
    # half of the room is kept for those that are named without their files
    assert (len(found.processes), found.left_out) == (64, 17)
    first, *_, last = found.processes
    assert any("y" * 50 in file for file in first.files)
    assert (last.command, last.files) == ("sleep 1000", ())


def test_who_leads_a_session_of_his_own_belongs_to_the_tree() -> None:
    command = "exec 3<&0; setsid sh -c 'echo; read x; exit' <&3 & wait"
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as script:
        assert script.stdout is not None
        script.stdout.readline()
        found = examine(script.pid)
    assert found is not None
    [shell, leader] = found.processes
    assert (shell.pid, leader.parent) == (script.pid, script.pid)
    assert found.summary.startswith(f"process {leader.pid} (sh -c echo; read x; exit) ")


async def test_many_at_once_are_examined_one_by_one(node: Node, daemon: Daemon) -> None:
    """A thread for each would leave the daemon no time to end them."""
    await hung(daemon, "sleep")  # now it has all its other threads
    threads = [len(os.listdir(f"/proc/{daemon.process.pid}/task"))]
    seen = re.compile(r" takeip .*: 10\.hangs hangs: process ")
    passed_over = re.compile(r" takeip .*: 10\.hangs is ended without examining its processes: others are being ")

    def each_is_told() -> bool:
        threads.append(len(os.listdir(f"/proc/{daemon.process.pid}/task")))
        return len(seen.findall(node.log)) + len(passed_over.findall(node.log)) == 40

    async with daemon.client() as client:
        for number in range(40):
            client.start("takeip", "eth0", f"10.0.0.{number}", "24", limit=2)
        await until(each_is_told, "a line for each")
    assert seen.search(node.log)
    assert max(threads) <= threads[0] + 2


async def test_a_look_that_fails_changes_nothing_else(node: Node, daemon: Daemon) -> None:
    await hung(daemon, "sleep")  # the daemon has started wholly
    async with daemon.client() as client:
        asked = client.start("tidies", limit=2)
        await until((node.base / "var/begun").exists, "the script runs")
        former = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (0, former[1]))
        assert await client.result(asked) == errno.ETIMEDOUT
        await until(lambda: "10.hangs is ended without examining its processes: " in node.log, "the line in the log")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, former)
        await until((node.base / "var/tidied").exists, "the script was asked to end")
    assert "this is a bug" not in node.log


async def test_who_fails_by_himself_is_not_looked_at(node: Node, daemon: Daemon) -> None:
    async with daemon.client() as client:
        assert await client.run("fails") != 0
    assert " hangs: " not in node.log
    assert "hung:" not in await shown(node)


def test_who_ends_meanwhile_is_left_out() -> None:
    with subprocess.Popen(["true"], process_group=0) as ended:
        ended.wait()
        assert examine(ended.pid) is None
