"""What a daemon tells of results of a former one, and of scripts that were not reached this time."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from native_client import NativeClient, native_client
from nodes import Node, running_daemon, until_async

from ctdb_event.commands.results import script_outcome
from ctdb_eventd.protocol.messages import StatusReply, StatusRequest


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.a.script", 'echo "$1"; [ ! -e $CTDB_BASE/var/broken ] || exit 7')
    node.script("20.b.script", "exit 0")
    return node


async def results(client: NativeClient, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.call("status", **params))["results"]
    return found


async def test_results_of_a_former_daemon_are_told_until_there_is_a_newer_one(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as ctdb:
        assert await ctdb.run("startup") == 0
        assert await ctdb.run("takeip", "eth0", "10.0.0.1", "24") == 0
        (node.base / "var/broken").touch()
        assert await ctdb.run("monitor") != 0
    (node.base / "var/broken").unlink()
    async with running_daemon(node) as daemon, native_client(daemon) as client, daemon.client() as ctdb:

        async def are_known() -> bool:
            return len(await results(client)) == 3

        await until_async(are_known, "the former daemon's results")
        found = await results(client)
        assert [(run["event"], run["outcome"], run["former"]) for run in found] == [
            ("startup", "success", True),
            ("takeip", "success", True),
            ("monitor", "failed", True),
        ]
        [monitor] = await results(client, component="legacy", event="monitor")
        assert [(script["state"], script["output"]) for script in monitor["scripts"]] == [
            ("failed", b"monitor\n"),
            ("not-reached", b""),
        ]
        [taken] = await results(client, addresses=True, address="10.0.0.1")
        assert (taken["args"], taken["former"]) == (["eth0", "10.0.0.1", "24"], True)
        # to CTDB's programs it never ran
        reply = await ctdb.reply(ctdb.send(StatusRequest("legacy", "monitor")))
        assert isinstance(reply, StatusReply)
        assert (reply.result, reply.report) == (errno.EINVAL, None)
        assert await ctdb.run("monitor") == 0
        assert [(run["event"], run["former"]) for run in await results(client)] == [
            ("startup", True),
            ("takeip", True),
            ("monitor", False),
        ]


async def test_a_script_that_was_not_reached_has_its_last_result(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client, daemon.client() as ctdb:
        assert await ctdb.run("monitor") == 0
        [good] = await results(client, component="legacy", event="monitor")
        ended = good["scripts"][1]["started"] + good["scripts"][1]["seconds"]
        assert good["scripts"][1]["last"] is None
        (node.base / "var/broken").touch()
        for _ in range(2):
            assert await ctdb.run("monitor") != 0
            [bad] = await results(client, component="legacy", event="monitor")
            assert bad["scripts"][0]["last"] is None
            assert bad["scripts"][1]["last"] == {"state": "ok", "ended": pytest.approx(ended, abs=0.001)}
        assert script_outcome(bad["scripts"][1]).startswith("not reached; ok at ")
