"""What a real daemon notifies an administrator of, and what it makes of the program."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from gates import gate, open_gate
from nodes import Node, alive, running_daemon, until

TELLS = 'cat >"$CTDB_BASE/var/new.$$" && mv "$CTDB_BASE/var/new.$$" "$CTDB_BASE/var/notice.$$"'


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script(
        "10.a.script",
        '[ "$1" != held ] || read x <$CTDB_BASE/var/gate-held\n'
        '[ "$1" != hangs ] || sleep 1000\n'
        "[ ! -e $CTDB_BASE/var/bad ] || exit 3",
    )
    return node


def notify(node: Node, body: str = TELLS, settings: str = "", mode: int = 0o755) -> Path:
    """Writes the program, and the configuration that has it started."""
    program = node.base / "notify"
    # replaced, as a file that is just being executed can't be written
    new = node.base / "notify.new"
    new.write_text(f"#!/bin/sh\n{body}\n")
    new.chmod(mode)
    new.replace(program)
    node.configure(f"[eventd]\n kill grace = 0.1\n[notify]\n command = {program}\n{settings}")
    return program


def notices(node: Node) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in node.var.glob("notice.*")]
    return sorted(found, key=lambda notice: float(notice["time"]))


async def told(node: Node, number: int) -> list[dict[str, Any]]:
    await until(lambda: len(notices(node)) == number, f"{number} notices")
    return notices(node)


async def test_a_failure_is_told_with_all_that_is_known_of_it(node: Node) -> None:
    notify(node)
    (node.var / "bad").touch()
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("takeip", "eth0", "10.0.0.1", "24") == errno.ENOEXEC
        (notice,) = await told(node, 1)
    assert notice.pop("time") > 0
    assert notice.pop("seconds") > 0
    run = notice.pop("run")
    assert notice == {
        "kind": "failed",
        "summary": "legacy takeip eth0 10.0.0.1 24: 10.a failed with exit status 3",
        "command": f"ctdb-event show {run}",
        "node": node.base.name,
        "component": "legacy",
        "event": "takeip",
        "arguments": ["eth0", "10.0.0.1", "24"],
        "address": "10.0.0.1",
        "script": "10.a",
        "status": 3,
        "outcome": "failed",
        "count": 1,
    }


async def test_a_timeout_and_changes_of_health_are_told(node: Node) -> None:
    notify(node)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("hangs", limit=1) == errno.ETIMEDOUT
        await told(node, 1)
        (node.var / "bad").touch()
        assert await client.run("monitor") == errno.ENOEXEC
        late, ill = await told(node, 2)
        assert await client.run("monitor") == errno.ENOEXEC
    assert (late["kind"], late["summary"]) == ("timed-out", "legacy hangs: timed out after 1 s while 10.a ran")
    assert (ill["kind"], ill["outcome"], ill["status"]) == ("health", "unhealthy", 3)
    assert ill["summary"] == "legacy is unhealthy: 10.a failed with exit status 3"
    assert len(notices(node)) == 2


async def test_a_long_wait_is_told_with_who_was_waited_for(node: Node) -> None:
    notify(node, settings=" long wait = 0.001\n")
    gate(node, "held")
    async with running_daemon(node) as daemon, daemon.client() as client:
        held = client.start("held")
        await until(daemon.children, "the script to run")
        waiting = client.start("startup")
        await until(lambda: "run legacy/startup" in node.log, "the daemon to queue it")
        await asyncio.sleep(0.01)  # it must have waited for longer than a millisecond
        open_gate(node, "held")
        assert await client.result(held) == await client.result(waiting) == 0
        # on a busy machine the first may have waited for a millisecond as well
        await until(lambda: any(notice["event"] == "startup" for notice in notices(node)), "its notice")
    (notice,) = (notice for notice in notices(node) if notice["event"] == "startup")
    assert (notice["kind"], notice["event"], notice["outcome"]) == ("waited", "startup", "success")
    assert notice["summary"].endswith(f"waited {notice['seconds']:.1f} s for queue, held by legacy held")


async def test_a_program_that_hangs_delays_no_event_and_is_killed_with_its_group(node: Node) -> None:
    notify(node, "sleep 1000 & echo $! >>$CTDB_BASE/var/children; echo stuck; wait", " timeout = 0.5\n")
    (node.var / "bad").touch()
    async with running_daemon(node) as daemon, daemon.client() as client:
        for event in ("startup", "shutdown"):
            assert await client.run(event) == errno.ENOEXEC
        await until(lambda: "took longer than 0.5 s" in node.log, "it to be killed")
        assert "notify: stuck" in node.log
        # it was started for both events, one after the other
        await until(lambda: node.read("children").count("\n") == 2, "the second one")
        await until(lambda: not any(alive(int(pid)) for pid in node.read("children").split()), "both to be killed")


async def test_it_ends_with_the_daemon(node: Node) -> None:
    notify(node, "sleep 1000 & echo $! >$CTDB_BASE/var/child; wait")
    (node.var / "bad").touch()
    async with running_daemon(node) as daemon, daemon.client() as client:
        for event in ("startup", "shutdown"):
            assert await client.run(event) == errno.ENOEXEC
        await until(lambda: node.read("child"), "the program to run")
    assert not alive(int(node.read("child")))
    assert "1 notices are dropped: the daemon ends" in node.log


async def test_the_log_has_one_line_of_a_program_that_fails_until_it_succeeds(node: Node) -> None:
    program = notify(node, "exit 7")
    (node.var / "bad").touch()
    async with running_daemon(node) as daemon, daemon.client() as client:
        for event in ("one", "two", "three"):
            assert await client.run(event) == errno.ENOEXEC
        await until(lambda: f"notify program {program}: exit status 7" in node.log, "the line")
        notify(node)
        assert await client.run("four") == errno.ENOEXEC
        await until(lambda: f"notify program {program} succeeds again" in node.log, "the line")
    assert node.log.count("exit status 7") == 1


async def test_a_program_that_others_can_change_is_not_run_and_a_reload_mends_it(node: Node) -> None:
    program = notify(node, mode=0o757)
    (node.var / "bad").touch()
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert f"notify program {program} won't be run: {program} is writable by everybody" in node.log
        assert await client.run("startup") == errno.ENOEXEC
        await until(lambda: "can't be run: others can change it" in node.log, "the line")
        notify(node, settings=" on = health\n")
        os.kill(daemon.process.pid, signal.SIGUSR1)
        await until(lambda: "configuration reloaded" in node.log, "the reload")
        assert await client.run("shutdown") == errno.ENOEXEC
        assert await client.run("monitor") == errno.ENOEXEC
        (notice,) = await told(node, 1)
    assert notice["kind"] == "health"


async def test_a_program_that_is_missing_keeps_no_node_from_starting(node: Node) -> None:
    program = notify(node)
    program.unlink()
    (node.var / "bad").touch()
    async with running_daemon(node) as daemon, daemon.client() as client:
        line = f"notify program {program} can't be started: there is no such file; no notifications are sent"
        assert line in node.log
        assert await client.run("one") == errno.ENOEXEC
        await until(lambda: f"notify program {program}: " in node.log, "the line about the one that could not be told")
        notify(node)
        assert await client.run("two") == errno.ENOEXEC
        await until(lambda: "two" in {notice["event"] for notice in notices(node)}, "a notice")
