"""A real daemon with very much of something: it goes on serving others, and what it keeps and says has a bound."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gates import gate, open_gate
from native_client import Refused, native_client
from nodes import Node, running_daemon

from ctdb_eventd.protocol import frames
from ctdb_eventd.traffic import MOST_HELD

# Asks for many events from within a script, each of which waits for those before it.
ASKER = f"""
[ "$1" = startup ] || exit 0
{sys.executable} - "$CTDB_BASE/run/eventd.socket" <<'END' > "$CTDB_BASE/var/answer" 2>&1
import os, socket, sys
from ctdb_eventd.protocol import frames
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
run = {{"component": "other", "event": "x"}}
connection.sendall(frames.PREFACE + b"".join(frames.request(number, "run", run) for number in range(2000)))
open(os.environ["CTDB_BASE"] + "/var/asked", "w").close()
answers = connection.makefile("rb")
for _ in range(2000):
    content = answers.read(int.from_bytes(answers.read(4), "big"))
    assert b"success" in content, content
print("all")
END
exit 0
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.s.script", '[ "$1" != slow ] || read line < "$CTDB_BASE/var/gate-slow"', component="other")
    return node


async def test_a_script_that_asks_for_two_thousand_events_holds_nobody_up(node: Node) -> None:
    node.script("10.s.script", ASKER)
    gate(node, "slow")
    async with running_daemon(node) as daemon, daemon.client() as client, native_client(daemon) as other:
        slow = client.start("slow", component="other")
        startup = client.start("startup", limit=0)
        while not (node.var / "asked").exists():
            assert await other.call("ping") == {}
        open_gate(node, "slow")
        assert (await client.result(slow), await client.result(startup)) == (0, 0)
    assert node.read("answer") == "all\n"


async def test_the_answer_of_status_is_short_however_many_wait(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client, native_client(daemon) as other:
        await client.call("run", component="other", event="slow", detach=True)
        for _ in range(10):
            calls = [
                client.start("run", component="other", event="x", args=["y" * 500], detach=True) for _ in range(1000)
            ]
            for call in calls:
                await client.result(call)
        status = client.start("status")
        assert await other.call("ping") == {}
        answer = await client.result(status)
        assert len(frames.packed(answer)) < 1 << 17
        assert [(left["component"], left["queued"]) for left in answer["more"]] == [("other", 9900)]
        assert (await other.call("stats"))["queued"] == 10000


async def test_a_client_that_goes_with_all_that_it_may_have_under_way_holds_nobody_up(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as other:
        await other.call("run", component="other", event="slow", detach=True)
        async with native_client(daemon) as client:
            for _ in range(100):
                client.start("subscribe")
            for _ in range(10_000):
                client.start("run", component="other", event="x", stream=True)
            while (await other.call("stats"))["queued"] < 10_000:
                pass
        while (await other.call("stats"))["queued"]:
            pass
        assert (await other.call("stats"))["subscribers"] == 0


async def test_of_long_requests_few_are_under_way_and_none_is_lost(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client, native_client(daemon) as other:
        await other.call("run", component="other", event="slow", detach=True)
        calls = [client.start("run", component="other", event="x", args=["y" * 100_000] * 9) for _ in range(40)]
        while (await other.call("stats"))["queued"] < MOST_HELD // 1_000_000:
            pass
        for _ in range(100):
            assert (await other.call("stats"))["queued"] <= MOST_HELD // 900_000 + 1
        open_gate(node, "slow")
        assert [(await client.result(call))["outcome"] for call in calls] == ["success"] * 40


async def test_one_subscription_too_many_is_refused(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        limit = (await client.call("hello"))["limits"]["subscriptions"]
        for _ in range(limit):
            client.start("subscribe")
        with pytest.raises(Refused) as caught:
            await client.call("subscribe")
        assert (caught.value.code, caught.value.kind) == ("EMFILE", "TooManySubscriptions")


async def test_of_long_arguments_little_is_kept_and_told(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        for number in range(50):
            args = ["y" * 9] * 90_000
            result = await client.call("run", component="other", event=f"event{number}", args=args)
            assert len(frames.packed(result)) < 8192
        assert len(frames.packed(await client.call("status"))) < 50 * 8192
    assert max(map(len, node.log.splitlines())) < 4096
