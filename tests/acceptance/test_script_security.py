"""Scripts, and a configuration, that others than root and the daemon's user can change."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest
from nodes import Node, running_daemon, until

WARN = "[eventd]\n script security = warn\n"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.parametrize("mode", [0o757, 0o4755, 0o2755])
async def test_a_script_that_others_can_change_is_not_started_and_fails_its_event(node: Node, mode: int) -> None:
    script = node.script("10.open.script", "touch $CTDB_BASE/var/ran", mode=mode)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        report = await client.status("monitor")
        (row,) = report.scripts
        assert row.result == -errno.EPERM
        assert row.output.decode().startswith(f"cannot run {script}: {script} is ")
        assert f"; chmod {'go-w' if mode == 0o757 else 'u-s,g-s'} {script}\n" in row.output.decode()
        assert not (node.var / "ran").exists()
        script.chmod(0o755)
        assert await client.run("monitor") == 0
    assert (node.var / "ran").exists()


@pytest.mark.parametrize("where", ["events", "stock", "stock/deep"])
async def test_every_directory_above_a_script_and_its_links_target_counts(node: Node, where: str) -> None:
    target = node.base / "stock/deep/tool"
    target.parent.mkdir(parents=True)
    target.write_text("#!/bin/sh\n")
    target.chmod(0o755)
    (node.base / "events/legacy/10.link.script").symlink_to("../../stock/deep/tool")
    place = node.base / where
    place.chmod(0o777)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        (row,) = (await client.status("monitor")).scripts
        assert f"{place} is writable by " in row.output.decode()
        place.chmod(0o1777)
        assert await client.run("monitor") == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["events/legacy/10.a.script", "events/legacy", "events/legacy/20.link.script"])
async def test_everything_on_the_way_belongs_to_root_or_the_daemons_user(node: Node, what: str) -> None:
    node.script("10.a.script", "exit 0")
    (node.base / "events/legacy/20.link.script").symlink_to("10.a.script")
    os.lchown(node.base / what, 65534, 0)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        row = (await client.status("monitor")).scripts[-1]
        assert f"{node.base / what} is owned by user 65534" in row.output.decode()
        assert f"; chown -h root: {node.base / what}\n" in row.output.decode()


async def test_a_disabled_script_may_be_anybodys(node: Node) -> None:
    node.script("10.off.script", "exit 1", mode=0o666)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0


async def test_with_warn_it_runs_and_the_log_says_so_once(node: Node) -> None:
    script = node.script("10.open.script", "exit 0", mode=0o757)
    node.configure(WARN)
    async with running_daemon(node) as daemon, daemon.client() as client:
        for _ in range(3):
            assert await client.run("monitor") == 0
    text = f"{script} runs although others can change it: {script} is writable by everybody; chmod go-w {script}"
    assert node.log.count(text) == 1


async def test_the_debug_script_is_held_to_the_same(node: Node) -> None:
    node.script("10.hang.script", "sleep 600")
    debug = node.base / "debug.sh"
    debug.write_text("#!/bin/sh\ntouch $CTDB_BASE/var/debugged\n")
    debug.chmod(0o757)
    node.configure("[event]\n debug script = debug.sh\n[eventd]\n kill grace = 0\n")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor", limit=1) == errno.ETIMEDOUT
        refused = f"debug script {debug} can't be run: {debug} is writable by everybody; chmod go-w {debug}"
        await until(lambda: refused in node.log, "the refusal")
    assert not (node.var / "debugged").exists()


async def test_a_configuration_that_others_can_change_is_not_taken_at_a_reload(node: Node) -> None:
    async with running_daemon(node) as daemon:
        path = node.base / "ctdb.conf"
        path.chmod(0o646)
        daemon.process.send_signal(signal.SIGUSR1)
        await until(lambda: f"{path} is writable by everybody" in node.log, "the complaint")
