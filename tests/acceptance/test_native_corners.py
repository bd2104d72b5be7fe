"""Corners of the native dialect that were found by looking for them: each was wrong once."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

import pytest
from gates import gate, open_gate
from native_client import NativeClient, Refused, native_client
from nodes import Node, connect, running_daemon, start_daemon, until, until_async

from ctdb_eventd.traffic import MOST_IN_FLIGHT

SCRIPT = """
[ -p "$CTDB_BASE/var/gate-$1" ] || exit 0
echo before; echo $$ > "$CTDB_BASE/var/pid-$1"
read line < "$CTDB_BASE/var/gate-$1"
echo after
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.first.script", SCRIPT)
    return node


async def test_a_log_that_can_not_be_opened_is_an_error_of_the_reload(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        node.configure("")
        (node.base / "ctdb.conf").write_text("[logging]\n location = file:/nowhere/log\n")
        with pytest.raises(Refused, match="can't open the log /nowhere/log") as caught:
            await client.call("reload")
        assert (caught.value.code, caught.value.kind) == ("EINVAL", "StartupError")


async def test_who_subscribes_while_a_script_runs_sees_what_it_prints_from_then_on(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client, native_client(daemon) as other:
        early = client.start("subscribe", kinds=["output"])
        run = client.start("run", component="legacy", event="slow")
        await client.note(early, "output")
        watch = other.start("subscribe", kinds=["output"])
        await other.call("ping")
        open_gate(node, "slow")
        await client.result(run)
        for one, call, seen in ((client, early, [b"before\n", b"after\n"]), (other, watch, [b"after\n"])):
            await one.call("cancel", call=call)
            await one.result(call)
            assert [note.data["output"] for note in one.notes[call]] == seen


async def test_a_stream_says_what_it_left_out_before_its_answer(node: Node) -> None:
    node.script("10.first.script", "i=0; while [ $i -lt 60 ]; do head -c 60000 /dev/zero; i=$((i+1)); done")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        reader, writer = await asyncio.open_unix_connection(node.socket, limit=1024)
        deaf = NativeClient(reader, writer)
        call = deaf.start("run", component="legacy", event="startup", stream=True)
        while not (await client.call("stats"))["runs"]["success"]:
            pass
        lost = (await client.call("stats"))["notes_lost"]
        await deaf.result(call)
        assert lost > 0
        assert sum(note.data["lost"] for note in deaf.notes[call] if note.kind == "gap") == lost
        writer.close()


async def test_scripts_can_be_started_however_many_clients_there_are(node: Node) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        daemon = start_daemon(node)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    clients = []
    try:
        async with native_client(daemon) as client:
            while daemon.descriptor_count() < 64:
                clients.append(connect(node.socket))
                await client.call("ping")
            result = await client.call("run", component="legacy", event="startup")
            assert result["outcome"] == "success", result["scripts"]
            assert "descriptors are in use, so up to 128 are allowed" in node.log
    finally:
        for one in clients:
            one.close()
        assert daemon.stop() == 0
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()


async def test_an_address_may_be_spelt_in_any_way(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        await client.call("run", component="legacy", event="takeip", args=["eth0", "2001:DB8::1", "64"])
        for spelling in ("2001:DB8::1", "2001:db8:0:0:0:0:0:1", "2001:db8::1"):
            (result,) = (await client.call("status", address=spelling))["results"]
            assert (result["address"], result["args"][1]) == ("2001:db8::1", "2001:DB8::1")
        assert (await client.call("status", address="nonsense"))["results"] == []


async def test_an_event_that_runs_for_the_first_time_has_no_result_but_a_job(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        run = client.start("run", component="legacy", event="slow")
        await until(lambda: node.read("pid-slow").strip(), "the script at its gate")
        status = await client.call("status", component="legacy", event="slow")
        assert (status["results"], [job["event"] for job in status["jobs"]]) == ([], ["slow"])
        open_gate(node, "slow")
        await client.result(run)


async def test_a_command_under_a_lock_can_not_run_what_needs_the_lock(node: Node) -> None:
    node.script("10.first.script", "# ctdb-eventd-locks: routes\nexit 0")
    async with running_daemon(node):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ctdb_event", "lock", "routes", "--"),
            *(sys.executable, "-m", "ctdb_event", "run", "0", "legacy", "startup"),
            env={**node.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await process.communicate()
        assert process.returncode == 8, "the event fails at once instead of waiting for ever"
        assert "would wait for" in node.log
        assert "whose command requests it and waits" in node.log


# ---------------------------------------------------------------------- clients that are not read on


async def test_the_end_of_a_client_that_is_not_read_on_is_noticed(node: Node) -> None:
    """It has as many requests in progress as it may, so what is left of it in the socket, its end too, isn't read."""
    async with running_daemon(node) as daemon, native_client(daemon) as other:
        async with native_client(daemon) as client:
            await client.call("lock", names=["routes"])
            for _ in range(MOST_IN_FLIGHT + 10):
                client.start("lock", names=["routes"])
            await client.writer.drain()
            await until_async(lambda: _waiting(other, MOST_IN_FLIGHT), "all of them to wait")
        await until_async(lambda: _waiting(other, None), "the locks to be given back")
    assert f"disconnected with {MOST_IN_FLIGHT} requests in progress" in node.log


async def _waiting(client: NativeClient, count: int | None) -> bool:
    locks = await client.call("locks")
    return (len(locks[0]["waiting"]) + locks[0]["waiting_more"] if locks else None) == count


async def test_a_client_that_never_takes_its_answers_is_let_go(node: Node) -> None:
    node.script("10.loud.script", "head -c 1000000 /dev/zero | tr '\\0' x")
    async with running_daemon(node) as daemon, native_client(daemon) as other:
        async with native_client(daemon) as client:
            for _ in range(60):
                client.start("run", component="legacy", event="startup", args=[], timeout=30)
            await until(lambda: "does not read its replies" in node.log, "the connection to be closed")
        await until_async(lambda: _idle(other), "what is left of its runs to go")


async def _idle(client: NativeClient) -> bool:
    return not (await client.call("status"))["jobs"]
