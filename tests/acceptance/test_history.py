"""What a real daemon writes into its history."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gates import gate, open_gate
from native_client import native_client
from nodes import TIMEOUT, Daemon, Node, running_daemon, until


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script(
        "10.a.script",
        'echo "$1 $2"; [ "$1" != fails ] || exit 3; [ "$1" != held ] || read x < $CTDB_BASE/var/gate-held',
    )
    node.script("20.b.script", "exit 0")
    return node


def rows(node: Node, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{node.var}/eventd/history/history.db?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


async def written(node: Node, runs: int) -> None:
    def there() -> bool:
        try:
            return rows(node, "SELECT count(outcome) FROM run") == [(runs,)]
        except sqlite3.OperationalError:
            return False  # no file yet

    await until(there, f"{runs} runs in the history")


async def test_every_run_is_there_with_who_asked_and_what_its_scripts_did(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        await client.run("startup", "x")
        await client.run("fails", "y")
        await written(node, 2)
    runs = rows(node, "SELECT component, event, args, outcome, uid, pid, seconds > 0, summary FROM run ORDER BY number")
    me = os.geteuid(), os.getpid()
    assert runs == [
        ("legacy", "startup", json.dumps(["x"]), "success", *me, 1, 0),
        ("legacy", "fails", json.dumps(["y"]), "failed", *me, 1, 3),
    ]
    assert rows(node, "SELECT name, state, result, output FROM script ORDER BY number, position") == [
        ("10.a", "ok", 0, b"startup x\n"),
        ("20.b", "ok", 0, b""),
        ("10.a", "failed", 3, b"fails y\n"),
        ("20.b", "not-reached", rows(node, "SELECT result FROM script WHERE state = 'not-reached'")[0][0], b""),
    ]


async def test_who_cancelled_what_is_there_and_what_was_waited_for(node: Node) -> None:
    gate(node, "held")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        held = client.start("run", component="legacy", event="held")
        await until(lambda: "held" in node.log, "it to start")
        waiting = client.start("run", component="legacy", event="startup")
        jobs: list[dict[str, Any]] = []
        while len(jobs) < 2:
            jobs = (await client.call("status"))["jobs"]
        await client.call("cancel", run=jobs[1]["run"])
        await client.result(waiting)
        open_gate(node, "held")
        await client.result(held)
        await written(node, 2)
    assert rows(node, "SELECT event, outcome, ended_by FROM run ORDER BY number") == [
        ("held", "success", None),
        ("startup", "cancelled", f"uid {os.geteuid()}, {Path('/proc/self/comm').read_text().strip()} {os.getpid()}"),
    ]
    assert rows(node, "SELECT what, holder, seconds > 0 FROM wait") == [("queue", "legacy held", 1)]


async def test_of_a_lock_it_is_there_who_had_it(node: Node) -> None:
    node.configure("[locks]\n routes = 10.a\n")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        lock = await client.call("lock", names=["routes"])
        run = client.start("run", component="legacy", event="startup")
        while not any(lock["waiting"] for lock in await client.call("locks")):
            pass
        await client.call("unlock", lock=lock["lock"])
        await client.result(run)
        await written(node, 1)
    [(what, holder, script)] = rows(node, "SELECT what, holder, script FROM wait")
    assert (what, script) == ("routes", "10.a")
    assert holder


async def test_a_run_that_a_killed_daemon_left_is_interrupted(node: Node) -> None:
    gate(node, "held")

    def begun(_: Daemon) -> bool:
        try:
            return rows(node, "SELECT event FROM run") == [("held",)]
        except sqlite3.OperationalError:
            return False

    async with running_daemon(node) as daemon, native_client(daemon) as client:
        client.start("run", component="legacy", event="held")
        await until(lambda: begun(daemon), "its beginning")
        daemon.process.kill()
        daemon.process.wait()
    async with running_daemon(node) as daemon, daemon.client() as other:
        await other.run("startup")
        await written(node, 2)
    assert rows(node, "SELECT event, outcome FROM run ORDER BY number") == [
        ("held", "interrupted"),
        ("startup", "success"),
    ]


async def test_of_a_detached_run_it_is_there_too_who_asked(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        await client.call("run", component="legacy", event="startup", detach=True)
        await written(node, 1)
    assert rows(node, "SELECT event, uid, pid FROM run") == [("startup", os.geteuid(), os.getpid())]


async def test_none_is_kept_if_none_is_wanted(node: Node) -> None:
    node.configure("[history]\n days = 0\n")
    async with running_daemon(node) as daemon, daemon.client() as client:
        await client.run("startup")
    assert not (node.var / "eventd" / "history").exists()


@pytest.mark.parametrize("through_the_daemon", [False, True])
async def test_an_export_has_every_run_whole(node: Node, through_the_daemon: bool) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        await client.run("startup", "x")
        await client.run("fails", "y")
        await written(node, 2)
        command = [sys.executable, "-m", "ctdb_event", "history", "--export"]
        command += ["--socket", node.socket] if through_the_daemon else []
        export = subprocess.run(command, env=node.environ, capture_output=True, check=True)
    runs = [json.loads(line) for line in export.stdout.splitlines()]
    assert [(run["node"], run["event"], run["waits"]) for run in runs] == [
        (os.uname().nodename, "startup", []),
        (os.uname().nodename, "fails", []),
    ]
    outputs = [(script["name"], script["output"]) for script in runs[1]["scripts"]]
    assert outputs == [("10.a", "fails y\n"), ("20.b", "")]
    assert export.stderr == b""


# ---------------------------------------------------------------------- going on after a run


async def test_a_follower_that_comes_back_gets_each_end_once_and_in_order(node: Node) -> None:
    """Ends of former daemons too, and those that come while it reads of the past."""
    async with running_daemon(node) as daemon, daemon.client() as client:
        await client.run("startup")
        await client.run("fails")
    async with running_daemon(node) as daemon, daemon.client() as client, native_client(daemon) as native:
        first, *_ = await native.call("history")
        busy = [client.start("takeip", "eth0", f"10.0.0.{number}", "24") for number in range(1, 101)]
        command = [sys.executable, "-m", "ctdb_event", "subscribe", "--json", "--report", "--since", first["run"]]
        follower = await asyncio.create_subprocess_exec(*command, env=node.environ, stdout=subprocess.PIPE)
        try:
            for request in busy:
                await client.reply(request)
            assert follower.stdout is not None
            told = [json.loads(await asyncio.wait_for(follower.stdout.readline(), TIMEOUT)) for _ in range(101)]
            # nothing was told twice: the next one is that of the next run
            await client.run("shutdown")
            last = json.loads(await asyncio.wait_for(follower.stdout.readline(), TIMEOUT))
        finally:
            follower.send_signal(signal.SIGINT)
            await follower.wait()
        ended = await native.call("history", view="ended", run=first["run"], limit=1000)
    assert [note["run"] for note in [*told, last]] == [run["run"] for run in ended]
    assert (told[0]["event"], told[0]["outcome"], last["event"]) == ("fails", "failed", "shutdown")
    assert {note["address"] for note in told[1:]} == {f"10.0.0.{number}" for number in range(1, 101)}
    assert all([script["name"] for script in note["report"]["scripts"]] for note in [*told, last])
    assert told[0]["report"]["scripts"][0]["output"] == "fails \n"


async def test_a_follower_that_saw_a_run_of_which_nothing_is_known_is_told_so(node: Node) -> None:
    async with running_daemon(node):
        command = [sys.executable, "-m", "ctdb_event", "subscribe", "--since", "mb-1"]
        done = subprocess.run(command, env=node.environ, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 2
    assert (
        "no run 'mb-1' has ended and is in the history; it had no scripts, was deleted, or never existed" in done.stderr
    )
