"""Whatever way an event takes, the daemon is afterwards what it was before: descriptors, children, memory."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from nodes import Client, Daemon, Node, running_daemon, until

from ctdb_eventd.protocol.messages import ScriptRequest, StatusRequest


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.configure("[eventd]\n kill grace = 0.1\n")
    node.script(
        "10.s.script",
        """
case $1 in
fail) exit 1 ;;
die) kill -9 $$ ;;
hang) trap '' TERM; while :; do sleep 0.02; done ;;
monitor) sleep 1000 ;;
daemon) sleep 0.3 & ;;
esac
""",
    )
    node.file("20.broken.script", "no interpreter", component="broken")
    return node


async def every_way(daemon: Daemon, client: Client) -> None:
    """Takes every way out of an event, and of a session."""
    assert await client.run("ok") == 0
    assert await client.run("fail") == errno.ENOEXEC
    assert await client.run("die") == errno.ENOEXEC
    assert await client.run("daemon") == 0
    assert await client.run("broken", component="broken") == errno.ENOEXEC
    assert await client.run("nosuch", component="nosuch") == errno.ENOENT
    assert await client.run("hang", limit=1) == errno.ETIMEDOUT
    monitor = client.start("monitor")
    ids = [client.start("takeip", "eth0", f"10.0.0.{number}", "24") for number in range(60)]
    assert await client.result(monitor) == errno.ECANCELED
    assert [await client.result(reqid) for reqid in ids] == [0] * 60
    async with daemon.client() as other:
        other.start("hang")
        other.start("ok")
        await other.writer.drain()
        other.send(StatusRequest("legacy", "ok"))
        await other.reply(other.send(ScriptRequest("legacy", "10.s", True)))


async def settle(daemon: Daemon, descriptors: int) -> None:
    await until(lambda: daemon.children() == [], "all children to be reaped")
    await until(lambda: len(daemon.descriptors()) <= descriptors, "all descriptors to be closed")


async def test_nothing_is_left_after_every_way_out(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        await every_way(daemon, client)
        await until(lambda: daemon.children() == [], "all children to be reaped")
        await client.run("ok")
        descriptors = await daemon.idle_descriptors()
        for _ in range(3):
            await every_way(daemon, client)
        await settle(daemon, len(descriptors))
        assert daemon.descriptors() == descriptors


async def test_memory_does_not_grow_with_the_number_of_events(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:

        async def many() -> None:
            ids = [client.start("ok") for _ in range(300)]
            for reqid in ids:
                assert await client.result(reqid) == 0

        await many()
        history = node.var / "eventd" / "history" / "history.db"
        await until(history.exists, "what the history takes to be loaded")
        # a leak grows every time, while caches and the allocator's arenas (more of them under coverage) are full once
        grown = []
        for _ in range(5):
            before = daemon.memory()
            for _ in range(3):
                await many()
            grown.append(daemon.memory() - before)
            if grown[-1] < 1 << 19:
                return
        pytest.fail(f"grows by {grown} bytes in 900 events each")
