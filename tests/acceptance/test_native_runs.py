"""The native dialect on a real daemon: runs, their results, cancelling them, and what status tells meanwhile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs
import pytest
from gates import gate, open_gate
from native_client import NativeClient, Refused, native_client
from nodes import Node, alive, running_daemon, until

# Prints its arguments one to a line, waits at the gate of its event, and fails if the event says so.
SCRIPT = """
for word in "$@"; do echo "<$word>"; done
[ -p "$CTDB_BASE/var/gate-$1" ] && { echo $$ > "$CTDB_BASE/var/pid-$1"; read line < "$CTDB_BASE/var/gate-$1"; }
[ "$1" = fail ] && exit 3
exit 0
"""
TAKE = ["eth0", "10.0.0.1", "24"]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.first.script", SCRIPT)
    node.script("20.second.script", "exit 0")
    node.script("30.off.script", "exit 0", mode=0o644)
    return node


async def begun(node: Node, event: str) -> int:
    """Waits until an event stands at its gate; returns its script's pid."""
    await until(lambda: node.read(f"pid-{event}").strip(), f"{event} at its gate")
    return int(node.read(f"pid-{event}"))


async def run(client: NativeClient, event: str, *args: str, **params: Any) -> dict[str, Any]:
    result: dict[str, Any] = await client.call("run", component="legacy", event=event, args=args, **params)
    return result


def states(result: dict[str, Any]) -> dict[str, str]:
    return {script["name"]: script["state"] for script in result["scripts"]}


# ---------------------------------------------------------------------- results


async def test_a_run_is_answered_with_all_that_is_known_of_it(node: Node) -> None:
    before = time.time()
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        result = await run(client, "takeip", *TAKE)
    assert states(result) == {"10.first": "ok", "20.second": "ok", "30.off": "disabled"}
    assert result["address"] == "10.0.0.1"
    assert (result["outcome"], result["summary"], result["args"]) == ("success", 0, TAKE)
    assert before <= result["queued"] <= result["scripts"][0]["started"] <= time.time()
    assert result["seconds"] >= sum(script["seconds"] for script in result["scripts"]) > 0
    assert result["scripts"][0]["output"] == b"<takeip>\n<eth0>\n<10.0.0.1>\n<24>\n"


async def test_arguments_with_spaces_and_empty_ones_arrive_as_they_are(node: Node) -> None:
    words = ["two words", "", "  ", "*", "\udcff"]
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        result = await run(client, "odd", *words)
    lines = "".join(f"<{word}>\n" for word in ("odd", *words))
    assert result["scripts"][0]["output"] == lines.encode(errors="surrogateescape")
    assert result["args"] == words


async def test_a_failure_is_a_result_and_scripts_behind_it_are_not_reached(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        result = await run(client, "fail")
        assert (result["outcome"], result["summary"]) == ("failed", 3)
        assert states(result) == {"10.first": "failed", "20.second": "not-reached", "30.off": "not-reached"}
        assert result["scripts"][1]["started"] is None
        result = await run(client, "fail", run_all=True)
        assert states(result) == {"10.first": "failed", "20.second": "ok", "30.off": "disabled"}


async def test_a_timeout_is_a_result(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        result = await run(client, "slow", timeout=1)
        assert (result["outcome"], states(result)["10.first"]) == ("timed-out", "timed-out")
        assert result["scripts"][0]["output"] == b"<slow>\n"


async def test_run_ids_are_never_used_twice_not_by_the_next_daemon_either(node: Node) -> None:
    seen = []
    for _ in range(2):
        async with running_daemon(node) as daemon, native_client(daemon) as client:
            seen += [(await run(client, "monitor"))["run"] for _ in range(3)]
    assert len(set(seen)) == 6


@pytest.mark.parametrize(
    ("params", "code", "kind"),
    [
        ({"component": "nowhere", "event": "monitor"}, "ENOENT", "NoSuchComponent"),
        ({"component": "../legacy", "event": "monitor"}, "EINVAL", "InvalidName"),
        ({"component": "legacy", "event": "a/b"}, "EINVAL", "InvalidName"),
        ({"component": "legacy", "event": "monitor", "args": ["a\0b"]}, "EINVAL", "InvalidName"),
        ({"component": "legacy"}, "EINVAL", "InvalidParameter"),
        ({"component": "legacy", "event": "monitor", "timeout": -1}, "EINVAL", "InvalidParameter"),
        ({"component": "legacy", "event": "monitor", "args": "a b"}, "EINVAL", "InvalidParameter"),
        ({"component": "legacy", "event": "monitor", "stream": True, "detach": True}, "EINVAL", "InvalidParameter"),
        ({"component": "nowhere", "event": "monitor", "detach": True}, "ENOENT", "NoSuchComponent"),
        ({"component": "nowhere", "event": "monitor", "stream": True}, "ENOENT", "NoSuchComponent"),
    ],
)
async def test_what_can_not_be_run_is_an_error_that_says_why(
    node: Node, params: dict[str, Any], code: str, kind: str
) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        with pytest.raises(Refused) as caught:
            await client.call("run", **params)
        assert (caught.value.code, caught.value.kind) == (code, kind)
        assert (await client.call("stats"))["subscribers"] == 0


async def test_what_waits_longer_than_it_may_is_an_error(node: Node) -> None:
    node.configure("[eventd]\nqueue timeout = 0.1\n")
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        slow = client.start("run", component="legacy", event="slow")
        await begun(node, "slow")
        with pytest.raises(Refused, match=r"legacy startup was not run: it waited 0\.1 s behind legacy") as caught:
            await run(client, "startup")
        assert (caught.value.code, caught.value.kind) == ("EBUSY", "QueueTimeout")
        open_gate(node, "slow")
        assert (await client.result(slow))["outcome"] == "success"


# ---------------------------------------------------------------------- detached runs, cancelling


async def test_a_detached_run_goes_on_when_its_client_has_gone(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon:
        async with native_client(daemon) as client:
            answer = await run(client, "slow", detach=True)
            await begun(node, "slow")
        async with native_client(daemon) as other:
            (job,) = (await other.call("status"))["jobs"]
            assert answer == {"run": job["run"]}
            open_gate(node, "slow")
            while not (results := (await other.call("status"))["results"]):
                pass
            assert (results[0]["run"], results[0]["outcome"]) == (job["run"], "success")


async def test_other_runs_go_with_their_client(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon:
        async with native_client(daemon) as client:
            client.start("run", component="legacy", event="slow", stream=True)
            client.start("run", component="legacy", event="startup")
            pid = await begun(node, "slow")
        await until(lambda: not alive(pid), "the script's end")
        async with native_client(daemon) as other:
            while (await other.call("status"))["jobs"]:
                pass
            assert (await other.call("status"))["results"] == []
            assert (await other.call("stats"))["subscribers"] == 0


async def test_a_run_is_cancelled_by_its_id_from_another_connection(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client, native_client(daemon) as other:
        slow = client.start("run", component="legacy", event="slow", timeout=20)
        queued = client.start("run", component="legacy", event="startup")
        pid = await begun(node, "slow")
        first, second = (await other.call("status"))["jobs"]
        assert await other.call("cancel", run=second["run"]) == {"state": "queued"}
        cancelled = await client.result(queued)
        assert (cancelled["outcome"], cancelled["scripts"], cancelled["seconds"]) == ("cancelled", [], 0)
        assert await other.call("cancel", run=first["run"]) == {"state": "running"}
        cancelled = await client.result(slow)
        assert (cancelled["outcome"], cancelled["run"]) == ("cancelled", first["run"])
        assert states(cancelled) == {"10.first": "killed", "20.second": "not-reached", "30.off": "not-reached"}
        assert cancelled["scripts"][0]["output"] == b"<slow>\n"
        await until(lambda: not alive(pid), "the script's end")
        with pytest.raises(Refused, match="it has ended, or never existed") as caught:
            await other.call("cancel", run=first["run"])
        assert (caught.value.code, caught.value.kind) == ("ENOENT", "NoSuchRun")
        assert (await other.call("status"))["results"] == [], "a cancelled run is no result"
        assert (await other.call("stats"))["runs"]["cancelled"] == 2


async def test_a_call_is_cancelled_by_its_id_on_the_same_connection(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client, native_client(daemon) as other:
        slow = client.start("run", component="legacy", event="slow", stream=True)
        await begun(node, "slow")
        with pytest.raises(Refused) as caught:
            await other.call("cancel", call=slow)
        assert (caught.value.code, caught.value.kind) == ("ENOENT", "NoSuchCall")
        assert await client.call("cancel", call=slow) == {"state": "running"}
        assert (await client.result(slow))["outcome"] == "cancelled"
        with pytest.raises(Refused):
            await client.call("cancel", call=slow)
        assert await client.call("ping") == {}


@pytest.mark.parametrize("params", [{}, {"run": "x", "call": 1}, {"run": 3}, {"call": "x"}])
async def test_cancel_wants_exactly_one_id(node: Node, params: dict[str, Any]) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        with pytest.raises(Refused) as caught:
            await client.call("cancel", **params)
        assert caught.value.kind == "InvalidParameter"


# ---------------------------------------------------------------------- status


async def test_status_tells_what_runs_and_what_waits_and_for_whom(node: Node) -> None:
    gate(node, "takeip")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        calls = [client.start("run", component="legacy", event="takeip", args=TAKE, timeout=30)]
        pid = await begun(node, "takeip")
        calls.append(client.start("run", component="legacy", event="releaseip", args=TAKE))
        calls.append(client.start("run", component="legacy", event="ipreallocated"))
        takeip, releaseip, barrier = (await client.call("status"))["jobs"]
        assert (takeip["state"], takeip["pid"], takeip["script"], takeip["waits_for"]) == (
            *("running", pid, "10.first"),
            [],
        )
        assert 0 < takeip["left"] <= 30 == takeip["timeout"]
        assert 0 < takeip["script_seconds"] <= takeip["running"] <= takeip["age"]
        assert (releaseip["state"], releaseip["started"], releaseip["pid"]) == ("queued", None, None)
        assert releaseip["waits_for"] == [takeip["run"], "address:10.0.0.1"]
        assert barrier["waits_for"] == [takeip["run"], releaseip["run"]]
        assert [job["event"] for job in (await client.call("status", address="10.0.0.1"))["jobs"]] == [
            "takeip",
            "releaseip",
        ]
        assert (await client.call("status", component="other")) == {"results": [], "jobs": [], "more": [], "health": []}
        locks = await client.call("locks")
        (lock,) = locks
        assert (lock["name"], lock["kind"]) == ("address:10.0.0.1", "address")
        assert (lock["holder"]["run"], lock["holder"]["pid"]) == (takeip["run"], pid)
        assert lock["holder"]["text"] == "legacy takeip eth0 10.0.0.1 24"
        assert [owner["run"] for owner in lock["waiting"]] == [releaseip["run"]]
        assert lock["holder"]["seconds"] >= lock["waiting"][0]["seconds"] > 0
        open_gate(node, "takeip")
        assert [(await client.result(call))["outcome"] for call in calls] == ["success"] * 3
        assert (await client.call("status"))["jobs"] == (await client.call("locks")) == []


async def test_status_tells_the_latest_of_each_event_and_of_each_address(node: Node) -> None:
    node.script("20.second.script", '[ "$3" = 10.0.0.2 ] && exit 5\nexit 0')
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        await run(client, "monitor")
        for number in (1, 2, 3):
            await run(client, "takeip", "eth0", f"10.0.0.{number}", "24")
        results = (await client.call("status"))["results"]
        assert [(result["event"], result["outcome"]) for result in results] == [
            ("monitor", "success"),
            ("takeip", "failed"),  # the worst of those since the last barrier
        ]
        assert all(script["output"] == b"" for result in results for script in result["scripts"])
        by_address = (await client.call("status", addresses=True))["results"]
        assert {result["address"]: result["outcome"] for result in by_address} == {
            "10.0.0.1": "success",
            "10.0.0.2": "failed",
            "10.0.0.3": "success",
        }
        (second,) = (await client.call("status", component="legacy", event="takeip", address="10.0.0.2"))["results"]
        assert states(second)["20.second"] == "failed"
        assert second["scripts"][0]["output"] == b"<takeip>\n<eth0>\n<10.0.0.2>\n<24>\n"
        (latest,) = (await client.call("status", component="legacy", event="takeip"))["results"]
        assert latest["run"] == second["run"]


async def test_health_is_what_the_latest_monitor_event_says(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        watch = client.start("subscribe", kinds=["health"])
        await run(client, "monitor")
        (health,) = (await client.call("status"))["health"]
        assert (health["component"], health["healthy"], health["script"]) == ("legacy", True, None)
        node.script("20.second.script", "exit 7")
        await run(client, "monitor")
        await run(client, "monitor")
        (health,) = (await client.call("status"))["health"]
        assert (health["healthy"], health["script"], health["result"]) == (False, "20.second", 7)
        await client.call("cancel", call=watch)
        assert await client.result(watch) == {"notes": 2}
        assert [note.data["healthy"] for note in client.notes[watch]] == [True, False]
        assert client.notes[watch][1].data["script"] == "20.second"


@pytest.mark.parametrize(
    ("params", "code", "kind"),
    [
        ({"component": "legacy", "event": "monitor"}, "EINVAL", "NeverRan"),
        ({"component": "nowhere", "event": "monitor"}, "ENOENT", "NoSuchComponent"),
        ({"event": "monitor"}, "EINVAL", "InvalidParameter"),
        ({"component": "a/b"}, "EINVAL", "InvalidName"),
        ({"addresses": "yes"}, "EINVAL", "InvalidParameter"),
    ],
)
async def test_a_status_that_is_not_there(node: Node, params: dict[str, Any], code: str, kind: str) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        with pytest.raises(Refused) as caught:
            await client.call("status", **params)
        assert (caught.value.code, caught.value.kind) == (code, kind)


async def test_both_dialects_show_the_same_runs(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as native, daemon.client() as ctdb:
        assert await ctdb.run("fail") == 8
        report = await ctdb.status("fail")
        (result,) = (await native.call("status", component="legacy", event="fail"))["results"]
        assert result["summary"] == report.summary
        scripts = result["scripts"]
        # CTDB's has nothing of those that were not reached
        assert [script["name"] for script in scripts if script["state"] == "not-reached"] == ["20.second", "30.off"]
        told = [(one["name"], one["result"], one["output"], one["started"] or 0) for one in scripts if one["started"]]
        assert told == [(one.name, one.result, one.output, one.begin / 1e6) for one in report.scripts]
        await run(native, "startup")
        assert [attrs.astuple(one)[3] for one in (await ctdb.status("startup")).scripts] == [0, 0, -8]
