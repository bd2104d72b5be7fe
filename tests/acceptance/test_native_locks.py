"""Named locks of clients: the same that scripts take, and they end with the connection, however that ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from native_client import Refused, native_client
from nodes import Node, running_daemon

# Asks for a lock from within a script, as a program of its own would.
ASKER = f"""
{sys.executable} - "$CTDB_BASE/run/eventd.socket" <<'END' > "$CTDB_BASE/var/answer" 2>&1
import socket, sys
from ctdb_eventd.protocol import frames
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(frames.PREFACE + frames.request(1, "lock", {{"names": ["routes"], "wait": 20}}))
content = frames.unpack(connection.recv(65536))[1]
print(content["error"]["code"] if "error" in content else "granted")
END
exit 0
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.locked.script", '# ctdb-eventd-locks: routes\necho "$1" >> "$CTDB_BASE/var/trace"')
    return node


async def test_a_lock_keeps_others_out_until_it_is_given_back(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as first, native_client(daemon) as second:
        held = await first.call("lock", names=["routes", "iptables"])
        waiting = second.start("lock", names=["iptables"])
        while not (locks := await first.call("locks")) or not locks[0]["waiting"]:
            pass
        assert [(lock["name"], lock["kind"], lock["holder"]["lock"]) for lock in locks] == [
            ("iptables", "named", held["lock"]),
            ("routes", "named", held["lock"]),
        ]
        (owner,) = locks[0]["waiting"]
        assert (owner["pid"], owner["run"]) == (os.getpid(), None)
        assert locks[0]["holder"]["text"] == owner["text"] != ""
        assert await first.call("unlock", lock=held["lock"]) == {}
        got = await second.result(waiting)
        assert got["lock"] != held["lock"]
        assert got["waited"] > 0
        with pytest.raises(Refused) as caught:
            await first.call("unlock", lock=held["lock"])
        assert (caught.value.code, caught.value.kind) == ("ENOENT", "NoSuchLock")
        with pytest.raises(Refused):
            await first.call("unlock", lock=got["lock"])


async def test_a_script_waits_for_a_clients_lock(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as holder, native_client(daemon) as client:
        held = await holder.call("lock", names=["routes"])
        run = client.start("run", component="legacy", event="startup", timeout=20)
        while not (jobs := (await holder.call("status"))["jobs"]) or jobs[0]["waits_for"] != ["routes"]:
            pass
        assert (jobs[0]["state"], jobs[0]["script"], jobs[0]["pid"]) == ("running", "10.locked", None)
        assert 0 < jobs[0]["script_waits"] <= jobs[0]["running"]
        assert node.read("trace") == ""
        await holder.call("unlock", lock=held["lock"])
        result = await client.result(run)
        assert result["outcome"] == "success"
        assert jobs[0]["script_waits"] <= result["script_waits"] <= result["seconds"]
        assert node.read("trace") == "startup\n"


async def test_a_client_waits_for_a_scripts_lock(node: Node) -> None:
    node.script("10.locked.script", '# ctdb-eventd-locks: routes\nread line < "$CTDB_BASE/var/gate"')
    os.mkfifo(node.var / "gate")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        run = client.start("run", component="legacy", event="startup")
        while not await client.call("locks"):
            pass
        waiting = client.start("lock", names=["routes"])
        await client.call("ping")
        async with await anyio.open_file(node.var / "gate", "w") as gate:
            await gate.write("go\n")
        assert (await client.result(run))["outcome"] == "success"
        assert (await client.result(waiting))["waited"] > 0


@pytest.mark.parametrize("how", ["close", "kill"])
async def test_locks_end_with_the_connection(node: Node, how: str) -> None:
    program = (
        "import socket, sys, time\n"
        "from ctdb_eventd.protocol import frames\n"
        "c = socket.socket(socket.AF_UNIX); c.connect(sys.argv[1])\n"
        "c.sendall(frames.PREFACE + frames.request(1, 'lock', {'names': ['routes']}))\n"
        "c.recv(100); sys.stdin.read()\n"
    )
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        process = await anyio.open_process([sys.executable, "-c", program, node.socket])
        async with process:
            while not (locks := await client.call("locks")):
                pass
            assert locks[0]["holder"]["pid"] == process.pid
            assert program.splitlines()[0] in locks[0]["holder"]["text"]
            waiting = client.start("lock", names=["routes"], wait=30)
            await client.call("ping")
            if how == "kill":
                process.send_signal(signal.SIGKILL)
            elif process.stdin is not None:
                await process.stdin.aclose()
            assert (await client.result(waiting))["lock"] > 0


async def test_a_wait_has_a_limit_and_the_error_names_who_has_it(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as holder, native_client(daemon) as client:
        await holder.call("lock", names=["routes"])
        for wait in (0, 0.05):
            with pytest.raises(Refused, match=f"no lock routes within {wait:g} s: held by ") as caught:
                await client.call("lock", names=["routes"], wait=wait)
            assert (caught.value.code, caught.value.kind) == ("ETIMEDOUT", "LockTimeout")
            assert caught.value.data["names"] == ["routes"]
            assert caught.value.data["holder"]["text"] in caught.value.message
            assert caught.value.data["holder"]["pid"] == os.getpid()
        (lock,) = await client.call("locks")
        assert lock["waiting"] == []


async def test_a_wait_can_be_cancelled_and_ends_with_the_connection(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as holder:
        await holder.call("lock", names=["routes"])
        async with native_client(daemon) as client:
            waiting = client.start("lock", names=["routes"])
            assert await client.call("cancel", call=waiting) == {"state": "queued"}
            with pytest.raises(Refused) as caught:
                await client.result(waiting)
            assert (caught.value.code, caught.value.kind) == ("ECANCELED", "Cancelled")
            client.start("lock", names=["routes"])
            while not (await holder.call("locks"))[0]["waiting"]:
                pass
        while (await holder.call("locks"))[0]["waiting"]:
            pass


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({}, "InvalidParameter"),
        ({"names": []}, "InvalidParameter"),
        ({"names": "routes"}, "InvalidParameter"),
        ({"names": ["x"] * 101}, "InvalidParameter"),
        ({"names": ["a b"]}, "InvalidName"),
        ({"names": [""]}, "InvalidName"),
        ({"names": ["routes"], "wait": -1}, "InvalidParameter"),
        ({"names": ["routes"], "wait": float("inf")}, "InvalidParameter"),
    ],
)
async def test_what_can_be_no_lock(node: Node, params: dict[str, Any], kind: str) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        with pytest.raises(Refused) as caught:
            await client.call("lock", **params)
        assert (caught.value.code, caught.value.kind) == ("EINVAL", kind)
        assert await client.call("locks") == []


async def test_a_script_that_asks_for_the_lock_that_is_held_for_it_is_refused(node: Node) -> None:
    node.script("10.locked.script", "# ctdb-eventd-locks: routes\n" + ASKER)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup") == 0
    assert node.read("answer") == "EDEADLK\n"


async def test_a_script_that_asks_for_another_lock_gets_it(node: Node) -> None:
    node.script("10.locked.script", "# ctdb-eventd-locks: other\n" + ASKER)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup") == 0
    assert node.read("answer") == "granted\n"


async def test_a_hundred_clients_get_a_lock_one_after_the_other(node: Node) -> None:
    holders: list[int] = []
    async with running_daemon(node) as daemon:

        async def take(number: int) -> None:
            async with native_client(daemon) as client:
                held = await client.call("lock", names=["routes"])
                holders.append(number)
                assert len((await client.call("locks"))[0]["waiting"]) <= 99
                assert holders[-1] == number, "somebody else has it too"
                await client.call("unlock", lock=held["lock"])

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(take, number)
    assert sorted(holders) == list(range(100))
