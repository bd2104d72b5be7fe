"""A named lock that is a command's, such as `iptables`, and the command in scripts exclude one another."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from lock_list import needs_lock_list
from native_client import NativeClient, Refused, native_client
from nodes import Daemon, Node, running_daemon, until, until_async

from ctdb_eventd.file_locks import parse

IPTABLES = """\
#!/bin/sh
echo "iptables $*" >> "$CTDB_BASE/var/trace"
if [ "$1" = block ]; then read line < "$CTDB_BASE/var/gate"; fi
"""
PROGRAM = f"{sys.executable} -m ctdb_event"


class Place(Node):
    """A node with an iptables of its own, which blocks if it is told to until `let_go`."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.programs = base / "programs"
        self.programs.mkdir()
        self.command("iptables")
        os.mkfifo(self.var / "gate")

    def command(self, name: str) -> None:
        path = self.programs / name
        path.write_text(IPTABLES.replace("iptables", name))
        path.chmod(0o755)

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "PATH": f"{self.programs}:{os.environ['PATH']}"}

    def waiters(self, name: str = "iptables") -> int:
        """How many wait for a command's lock file."""
        inode = (self.base / "run" / "eventd.locks" / name).stat().st_ino
        return sum(lock.waits for lock in parse(Path("/proc/locks").read_text()) if lock.inode == inode)

    def let_go(self) -> None:
        (self.var / "gate").write_text("go\n")

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[tuple[Daemon, NativeClient]]:
        async with running_daemon(self) as daemon, native_client(daemon) as client:
            yield daemon, client

    async def ran(self, trace: str) -> None:
        await until(lambda: self.read("trace") == trace, f"the commands: {trace!r}")


@pytest.fixture
def node(tmp_path: Path) -> Place:
    return Place(tmp_path)


def take(client: NativeClient, address: str, component: str = "legacy") -> int:
    return client.start("run", component=component, event="takeip", args=["eth0", address, "24"], timeout=30)


@needs_lock_list
async def test_a_client_waits_until_the_command_of_a_script_is_over(node: Place) -> None:
    node.script("10.x.script", "iptables block")
    async with node.at_work() as (daemon, client):
        run = take(client, "10.0.0.1")
        await node.ran("iptables block\n")
        with pytest.raises(
            Refused, match="no lock iptables within 0 s: held by iptables which a script runs right now"
        ):
            await client.call("lock", names=["iptables"], wait=0)
        async with native_client(daemon) as holder:
            waiting = holder.start("lock", names=["routes", "iptables"])
            await until(node.waiters, "the client's wait")
            node.let_go()
            assert (await holder.result(waiting))["waited"] > 0
        assert (await client.result(run))["outcome"] == "success"


@pytest.mark.parametrize("how", ["unlock", "close", "kill"])
async def test_a_command_of_a_script_waits_until_a_client_gives_the_lock_back(node: Place, how: str) -> None:
    node.script("10.x.script", "iptables ran")
    async with node.at_work() as (_, client):
        holder = subprocess.Popen(
            [*PROGRAM.split(), "lock", "iptables", "--", "sh", "-c", "echo had; read x"],
            env=node.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert await asyncio.to_thread(holder.stdout.readline) == b"had\n"
        run = take(client, "10.0.0.1")
        await until(node.waiters, "the script's wait")
        assert node.read("trace") == ""
        if how == "kill":
            os.killpg(holder.pid, signal.SIGKILL)
        elif how == "close":
            holder.terminate()
        holder.communicate()
        assert (await client.result(run))["outcome"] == "success"
        assert node.read("trace") == "iptables ran\n"


async def test_a_script_with_the_lock_runs_the_command_while_others_wait(node: Place) -> None:
    node.script("10.x.script", "# ctdb-eventd-locks: iptables\niptables first; iptables block; iptables last")
    node.script("10.y.script", "iptables other", component="other")
    async with node.at_work() as (_, client):
        run = take(client, "10.0.0.1")
        await node.ran("iptables first\niptables block\n")
        other = take(client, "10.0.0.2", "other")
        await until(node.waiters, "the other script's wait")
        node.let_go()
        assert [(await client.result(one))["outcome"] for one in (run, other)] == ["success"] * 2
        trace = "iptables first\niptables block\niptables last\niptables other\n"
        assert node.read("trace") == trace


@needs_lock_list
async def test_a_script_that_declares_the_lock_waits_until_a_command_is_over(node: Place) -> None:
    node.script("10.x.script", "iptables block")
    node.script("10.y.script", "# ctdb-eventd-locks: iptables\niptables declared", component="other")
    async with node.at_work() as (_, client):
        run = take(client, "10.0.0.1")
        await node.ran("iptables block\n")
        other = take(client, "10.0.0.2", "other")
        await until(node.waiters, "the daemon's wait for the other script")
        (lock,) = [lock for lock in await client.call("locks") if lock["kind"] == "named"]
        assert lock["holder"]["text"].startswith("other takeip")
        node.let_go()
        assert (await client.result(run))["outcome"] == "success"
        other_run = (await client.result(other))["run"]

        async def waits() -> list[tuple[str, str]]:
            found = None
            with suppress(Refused):  # the file is made a moment after the start
                found = await client.call("history", view="run", run=other_run)
            return [] if found is None else [(wait["what"], wait["script"]) for wait in found["waits"]]

        await until_async(waits, "the waits in the history")
        assert await waits() == [("iptables", "10.y")]


@needs_lock_list
async def test_a_wait_that_is_taken_back_hinders_nobody(node: Place) -> None:
    """The thread that waits can't be stopped; the next one who wants the lock goes on with it."""
    node.script("10.x.script", "iptables block")
    async with node.at_work() as (daemon, client):
        run = take(client, "10.0.0.1")
        await node.ran("iptables block\n")
        for _ in range(3):
            async with native_client(daemon) as leaver:
                leaver.start("lock", names=["iptables"])
                await until(node.waiters, "the client's wait")
        assert node.waiters() == 1
        waiting = client.start("lock", names=["iptables"])
        node.let_go()
        held = await client.result(waiting)
        assert (await client.result(run))["outcome"] == "success"
        await client.call("unlock", lock=held["lock"])
        assert (await client.call("lock", names=["iptables"], wait=0))["lock"] > held["lock"]


@pytest.mark.parametrize(
    "body",
    [
        f"{PROGRAM} lock iptables -- iptables inside",
        f"{PROGRAM} lock routes,iptables -- sh -c 'iptables inside'",
        f"{PROGRAM} lock iptables -- {PROGRAM} run 10 other ipreallocated",
        f"# ctdb-eventd-locks: iptables\n{PROGRAM} run 10 other ipreallocated",
        f"# ctdb-eventd-locks: iptables\n{PROGRAM} lock routes -- {PROGRAM} run 10 third ipreallocated",
    ],
)
async def test_nobody_waits_for_itself(node: Place, body: str) -> None:
    node.configure("[locks]\n  command wait = 1\n")
    node.script("10.x.script", body)
    node.script("10.y.script", "iptables inside", component="other")
    node.script("10.z.script", f"{PROGRAM} run 10 other ipreallocated", component="third")
    async with node.at_work() as (_, client):
        assert (await client.result(take(client, "10.0.0.1")))["outcome"] == "success"
        assert node.read("trace") == "iptables inside\n"


async def test_what_a_script_left_running_has_no_lock_any_more(node: Place) -> None:
    node.script(
        "10.x.script",
        "# ctdb-eventd-locks: iptables\niptables own\n"
        "(read x < $CTDB_BASE/var/later; iptables late) > /dev/null 2>&1 &",
    )
    os.mkfifo(node.var / "later")
    async with node.at_work() as (_, client):
        assert (await client.result(take(client, "10.0.0.1")))["outcome"] == "success"
        held = await client.call("lock", names=["iptables"])
        (node.var / "later").write_text("go\n")
        await until(node.waiters, "the wait of what was left")
        assert node.read("trace") == "iptables own\n"
        await client.call("unlock", lock=held["lock"])
        await node.ran("iptables own\niptables late\n")


async def test_a_command_that_the_configuration_adds(node: Place) -> None:
    node.command("ours")
    node.script("10.x.script", "ours ran")
    async with node.at_work() as (_, client):
        held = await client.call("lock", names=["ours"])
        assert (await client.result(take(client, "10.0.0.1")))["outcome"] == "success"
        await client.call("unlock", lock=held["lock"])
        node.configure("[locks]\n  serialise = ours\n")
        await client.call("reload")
        held = await client.call("lock", names=["ours"])
        run = take(client, "10.0.0.1")
        await until(lambda: node.waiters("ours"), "the script's wait")
        await client.call("unlock", lock=held["lock"])
        assert (await client.result(run))["outcome"] == "success"


async def test_a_file_that_can_not_be_locked_is_told_of(node: Place) -> None:
    async with node.at_work() as (_, client):
        path = node.base / "run" / "eventd.locks" / "iptables"
        path.unlink()
        path.mkdir()
        held = await client.call("lock", names=["iptables"], wait=0)
        await client.call("unlock", lock=held["lock"])
        assert f"can't lock {path}: " in node.log
        assert "; its commands may run concurrently with the holder of that lock" in node.log
