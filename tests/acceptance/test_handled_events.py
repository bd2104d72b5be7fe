"""A script is not started for an event that it is known not to handle, and what the two dialects show of that."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from native_client import native_client
from nodes import Node, running_daemon

NOTES_EVENT = 'echo "$1" >> "$CTDB_BASE/var/started"'
TAKE = ("eth0", "10.0.0.1", "24")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.declares.script", f"# ctdb-eventd-events: takeip releaseip\n{NOTES_EVENT}; echo said")
    return node


def started(node: Node) -> list[str]:
    """Returns the events for which the script was started."""
    return node.read("started").split()


async def test_it_is_a_success_without_time_and_output_in_the_dialect_of_ctdb(node: Node) -> None:
    before = time.time_ns() // 1000
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("takeip", *TAKE) == 0
        assert await client.run("monitor") == 0
        took, idle = await client.status("takeip"), await client.status("monitor")
    assert started(node) == ["takeip"]
    assert (took.scripts[0].result, took.scripts[0].output) == (0, b"said\n")
    assert (idle.summary, idle.scripts[0].name, idle.scripts[0].result, idle.scripts[0].output) == (
        *(0, "10.declares", 0, b""),
    )
    assert before <= idle.scripts[0].begin == idle.scripts[0].end


async def test_the_native_dialect_says_so_and_from_where(node: Node) -> None:
    node.script("20.configured.script", NOTES_EVENT)
    node.script("30.off.script", "# ctdb-eventd-events: takeip", mode=0o644)
    node.script("40.all.script", "# ctdb-eventd-events: takeip\nexit 0")
    node.configure("[events]\n20.configured = takeip\n40.all = all\n")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        result: dict[str, Any] = await client.call("run", component="legacy", event="monitor")
        files = await client.call("scripts", component="legacy")
    assert {script["name"]: (script["state"], script["known_from"]) for script in result["scripts"]} == {
        "10.declares": ("not-handled", "head"),
        "20.configured": ("not-handled", "configuration"),
        "30.off": ("disabled", None),
        "40.all": ("ok", None),
    }
    assert {script["name"]: (script["events"], script["known_from"]) for script in files["scripts"]} == {
        "10.declares": (["takeip", "releaseip"], "head"),
        "20.configured": (["takeip"], "configuration"),
        "30.off": (["takeip"], "head"),
        "40.all": (None, None),
    }
    assert started(node) == []


@pytest.mark.parametrize(("event", "runs"), [("made-up", ["made-up"]), ("reconfigure", [])])
async def test_a_declaration_counts_for_events_that_ctdb_does_not_have(node: Node, event: str, runs: list[str]) -> None:
    node.script("10.declares.script", f"# ctdb-eventd-events: made-up\n{NOTES_EVENT}")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run(event) == 0
    assert started(node) == runs


async def test_a_declaration_that_changes_counts_at_once(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        assert started(node) == []
        node.script("10.declares.script", f"# ctdb-eventd-events: takeip monitor  \n{NOTES_EVENT}")
        assert await client.run("monitor") == 0
        # of the same size, in the same file, and as old as the one before as far as anybody can tell
        path = node.script("10.declares.script", f"# ctdb-eventd-events: takeip releaseip\n{NOTES_EVENT}")
        os.utime(path)
        assert await client.run("monitor") == 0
    assert started(node) == ["monitor"]


async def test_a_script_that_others_can_change_fails_its_events_all_the_same(node: Node) -> None:
    (node.base / "events/legacy/10.declares.script").chmod(0o777)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") != 0
    assert started(node) == []


async def test_an_event_that_no_script_handles_has_run_scripts(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
    assert "no script ran" not in node.log


@pytest.mark.parametrize(
    ("line", "what"), [("", "no event"), ("takeip a/b", "an invalid event name: 'a/b'"), ("all", None)]
)
async def test_a_declaration_that_can_not_be_meant_does_not_count(node: Node, line: str, what: str | None) -> None:
    path = node.script("10.declares.script", f"# ctdb-eventd-events: {line}\n{NOTES_EVENT}")
    async with running_daemon(node) as daemon, daemon.client() as client:
        for _ in range(2):
            assert await client.run("monitor") == 0
    assert started(node) == ["monitor", "monitor"]
    said = [line for line in node.log.splitlines() if "its head declares" in line]
    if what is None:
        assert said == []
    else:
        (one,) = said
        expected = f"{path}: its head declares {what}; it is started for every event, as if it declared nothing"
        assert one.endswith(expected)
