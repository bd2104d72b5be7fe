"""Who waits for a lock on a file, or for another script's command, and who has it: in `ps`, `locks`, history, log."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lock_list import needs_lock_list
from native_client import NativeClient, Refused, native_client
from nodes import Node, running_daemon, until, until_async

PYTHON = sys.executable
HOLD = 'read line < "$CTDB_BASE/var/gate"'
# each takes the lock in its own way; of the first, flock(1) has gone when the lock is held
HOLDERS = {
    "descriptor": f"exec 9> $CTDB_BASE/var/lock; flock 9; echo has > $CTDB_BASE/var/trace; {HOLD}",
    "flock": f"flock $CTDB_BASE/var/lock sh -c 'echo has > $CTDB_BASE/var/trace; {HOLD}'",
    "fcntl": (
        f'{PYTHON} -c \'import fcntl; f = open("\'$CTDB_BASE\'/var/lock", "w"); fcntl.lockf(f, fcntl.LOCK_EX)\n'
        'open("\'$CTDB_BASE\'/var/trace", "w").write("has")\nopen("\'$CTDB_BASE\'/var/gate").read()\''
    ),
}
WAITERS = {
    "descriptor": "exec 9> $CTDB_BASE/var/lock; flock 9",
    "flock": "flock $CTDB_BASE/var/lock true",
    "fcntl": (f"{PYTHON} -c 'import fcntl; f = open(\"'$CTDB_BASE'/var/lock\", \"w\"); fcntl.lockf(f, fcntl.LOCK_EX)'"),
}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path)
    os.mkfifo(made.var / "gate")
    return made


def run(client: NativeClient, component: str) -> int:
    return client.start("run", component=component, event="monitor", timeout=60)


async def waits_of(client: NativeClient, component: str) -> list[str]:
    """What the component's event waits for, as `ps` shows it."""
    return next(
        (job["waits_for"] for job in (await client.call("status"))["jobs"] if job["component"] == component), []
    )


async def past_waits(client: NativeClient, run: str) -> list[dict[str, Any]]:
    with suppress(Refused):  # the file is made a moment after the start
        found = await client.call("history", view="run", run=run)
        return [] if found is None else list(found["waits"])
    return []


@pytest.mark.parametrize("how", [pytest.param("descriptor", marks=needs_lock_list), "flock", "fcntl"])
async def test_a_wait_for_a_file_is_known_everywhere(node: Node, how: str) -> None:
    path = node.var / "lock"
    node.script("20.slow.script", HOLDERS[how], component="first")
    node.script("10.x.script", WAITERS[how], component="second")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        calls = [run(client, "first")]
        await until(lambda: node.read("trace"), "the first lock")
        calls.append(run(client, "second"))
        await until_async(lambda: waits_of(client, "second"), "the wait")
        (what,) = await waits_of(client, "second")
        matched = re.fullmatch(re.escape(f"{path} held by ") + r"(\d+) \(first monitor: 20\.slow\)", what)
        assert matched is not None
        (lock,) = await client.call("locks")
        assert (lock["name"], lock["kind"], lock["holder"]["pid"]) == (str(path), "file", int(matched[1]))
        assert [owner["text"] for owner in lock["waiting"]] == ["second monitor: 10.x"]
        line = f"second monitor: 10.x waits for {path}, for "
        await until(lambda: line in node.log, "the log's line")
        (job,) = (await client.call("status", component="second"))["jobs"]
        assert 1 <= job["script_waits"] <= job["running"] + 0.1
        (node.var / "gate").write_text("go\n")
        results = [await client.result(call) for call in calls]
        assert [result["outcome"] for result in results] == ["success"] * 2
        second = results[1]["run"]
        await until_async(lambda: past_waits(client, second), "the history")
        (wait,) = await past_waits(client, second)
        holder = f"{matched[1]} (first monitor: 20.slow)"
        assert (wait["what"], wait["script"], wait["holder"]) == (str(path), "10.x", holder)
        assert 1 <= wait["seconds"] <= results[1]["seconds"] + 0.1
        (past,) = await client.call("history", component="second")
        assert past["script_waits"] == results[1]["script_waits"] == wait["seconds"]
        (latest,) = (await client.call("status", component="second"))["results"]
        assert latest["script_waits"] == wait["seconds"]
        assert await client.call("locks") == []
    assert node.log.count(line) == 1
    async with running_daemon(node) as daemon, native_client(daemon) as client:  # the next daemon knows it too

        async def former() -> list[dict[str, Any]]:
            return list((await client.call("status", component="second"))["results"])

        await until_async(former, "the former daemon's result")
        assert [result["script_waits"] for result in await former()] == [wait["seconds"]]
    assert f" s so far, held by {holder} (ctdb-event show {second})" in node.log


@needs_lock_list
async def test_a_wait_for_a_command_has_its_name(node: Node) -> None:
    programs = node.base / "programs"
    programs.mkdir()
    (programs / "iptables").write_text(f"#!/bin/sh\necho has > $CTDB_BASE/var/trace\n{HOLD}\n")
    (programs / "iptables").chmod(0o755)
    for component in ("first", "second"):
        node.script("10.x.script", "iptables", component=component)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
    async with running_daemon(node, environ=environ) as daemon, native_client(daemon) as client:
        calls = [run(client, "first")]
        await until(lambda: node.read("trace"), "the first command")
        calls.append(run(client, "second"))
        await until_async(lambda: waits_of(client, "second"), "the wait")
        (what,) = await waits_of(client, "second")
        assert re.fullmatch(r"iptables held by \d+ \(first monitor: 10\.x\)", what)
        async with native_client(daemon) as holder:
            waiting = holder.start("lock", names=["iptables"])

            async def kinds() -> dict[str, int]:
                return {lock["kind"]: len(lock["waiting"]) for lock in await client.call("locks")}

            async def both_wait() -> bool:
                return await kinds() == {"named": 0, "command": 2}

            await until_async(both_wait, "the client's wait too")
            locks = await client.call("locks")
            assert [lock["name"] for lock in locks] == ["iptables"] * 2
            assert locks[1]["holder"]["text"] == "first monitor: 10.x"
            for call in calls:
                await asyncio.to_thread((node.var / "gate").write_text, "go\n")
                assert (await client.result(call))["outcome"] == "success"
            assert (await holder.result(waiting))["waited"] > 0


@needs_lock_list
async def test_a_script_waits_for_the_holder_of_a_commands_named_lock(node: Node) -> None:
    node.script("10.x.script", "iptables --version > /dev/null 2>&1")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        held = await client.call("lock", names=["iptables"])
        call = run(client, "legacy")
        await until_async(lambda: waits_of(client, "legacy"), "the wait")
        (what,) = await waits_of(client, "legacy")
        assert what.startswith(f"iptables held by {os.getpid()} (")
        await client.call("unlock", lock=held["lock"])
        await client.result(call)


async def test_a_stranger_s_lock_is_known_by_its_program(node: Node) -> None:
    path = node.var / "lock"
    node.script("10.x.script", "flock $CTDB_BASE/var/lock true")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            call = run(client, "legacy")
            await until_async(lambda: waits_of(client, "legacy"), "the wait")
            (what,) = await waits_of(client, "legacy")
            assert what.startswith(f"{path} held by {os.getpid()} (")
        assert (await client.result(call))["outcome"] == "success"


@needs_lock_list
async def test_a_holder_that_can_not_be_found_is_unknown(node: Node) -> None:
    node.script("10.x.script", "flock $CTDB_BASE/var/lock true")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        with open(node.var / "lock", "w") as file:
            subprocess.run(["flock", str(file.fileno())], pass_fds=[file.fileno()], check=True)
            call = run(client, "legacy")
            await until_async(lambda: waits_of(client, "legacy"), "the wait")
            assert await waits_of(client, "legacy") == [str(node.var / "lock")]
            await until(lambda: "held by an unknown process" in node.log, "the log's line")
        assert (await client.result(call))["outcome"] == "success"
