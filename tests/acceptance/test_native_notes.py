"""What happens is told to whoever wants to know, in order, without holes, and without memory for who doesn't read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gates import gate, open_gate
from native_client import NativeClient, Refused, native_client
from nodes import Daemon, Node, running_daemon, until

from ctdb_eventd.protocol.messages import Note

SCRIPT = """
echo "out $1"
[ -p "$CTDB_BASE/var/gate-$1" ] && { echo $$ > "$CTDB_BASE/var/pid-$1"; read line < "$CTDB_BASE/var/gate-$1"; }
[ "$1" = fail ] && exit 3
exit 0
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.first.script", SCRIPT)
    node.script("20.off.script", "exit 0", mode=0o644)
    return node


def story(notes: list[Note]) -> list[str]:
    """What was told, in short, and checks what is true of any notes."""
    numbers = [note.number for note in notes]
    assert numbers == list(range(numbers[0], numbers[0] + len(notes)))
    assert [note.data["time"] for note in notes] == sorted(note.data["time"] for note in notes)
    return [" ".join((note.kind, *(str(note.data[key]) for key in DETAILS if key in note.data))) for note in notes]


DETAILS = ("event", "script", "state", "outcome", "output")


async def run(client: NativeClient, event: str, *args: str, **params: Any) -> dict[str, Any]:
    result: dict[str, Any] = await client.call("run", component="legacy", event=event, args=args, **params)
    return result


async def ended(client: NativeClient, call: int) -> list[Note]:
    """Ends a subscription and returns all its notes."""
    await client.call("cancel", call=call)
    told = (await client.result(call))["notes"]
    notes = client.notes.get(call, [])
    assert told == len(notes)
    return notes


async def begun(node: Node, event: str) -> None:
    await until(lambda: node.read(f"pid-{event}").strip(), f"{event} at its gate")


# ---------------------------------------------------------------------- streams


async def test_a_stream_tells_everything_of_its_run_before_the_answer(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        call = client.start("run", component="legacy", event="fail", args=["a b"], stream=True)
        result = await client.result(call)
        assert story(client.notes[call]) == [
            "started fail",
            "script-started fail 10.first",
            "output fail 10.first b'out fail\\n'",
            "script-finished fail 10.first failed",
            "finished fail failed",
        ]
        assert {note.data["run"] for note in client.notes[call]} == {result["run"]}
        assert {note.data["args"][0] for note in client.notes[call]} == {"a b"}
        assert (await client.call("stats"))["subscribers"] == 0


async def test_output_is_told_while_its_script_runs(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        call = client.start("run", component="legacy", event="slow", stream=True)
        note = await client.note(call, "output")
        assert (note.data["output"], note.data["script"]) == (b"out slow\n", "10.first")
        open_gate(node, "slow")
        assert (await client.result(call))["outcome"] == "success"


async def test_a_stream_tells_of_the_wait_in_the_queue(node: Node) -> None:
    gate(node, "slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        slow = client.start("run", component="legacy", event="slow")
        await begun(node, "slow")
        queued = client.start("run", component="legacy", event="startup", stream=True)
        await client.note(queued, "queued")
        open_gate(node, "slow")
        await client.result(slow)
        await client.result(queued)
        assert story(client.notes[queued])[:2] == ["queued startup", "started startup"]
        assert client.notes[queued][1].data["waited"] > 0


# ---------------------------------------------------------------------- subscriptions


async def test_a_subscription_tells_of_everybodys_runs_without_output_unless_that_is_asked_for(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as watcher, daemon.client() as ctdb:
        quiet, loud = watcher.start("subscribe"), watcher.start("subscribe", kinds=["output", "finished"])
        await watcher.call("ping")
        assert await ctdb.run("startup") == 0
        assert story(await ended(watcher, quiet)) == [
            "started startup",
            "script-started startup 10.first",
            "script-finished startup 10.first ok",
            "script-finished startup 20.off disabled",
            "finished startup success",
        ]
        assert story(await ended(watcher, loud)) == [
            "output startup 10.first b'out startup\\n'",
            "finished startup success",
        ]


async def test_filters_by_kind_component_event_and_run(node: Node) -> None:
    node.script("10.first.script", SCRIPT, component="other")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        by_event = client.start("subscribe", kinds=["finished"], event="startup")
        by_component = client.start("subscribe", kinds=["finished"], component="other")
        by_run = client.start("subscribe", kinds=["finished"], run="x-1")
        await run(client, "startup")
        await run(client, "monitor")
        await client.call("run", component="other", event="startup")
        assert [note.data["component"] for note in await ended(client, by_event)] == ["legacy", "other"]
        assert [note.data["component"] for note in await ended(client, by_component)] == ["other"]
        assert await ended(client, by_run) == []


async def test_a_subscription_ends_with_its_connection(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        async with native_client(daemon) as watcher:
            watcher.start("subscribe")
            await watcher.call("ping")
            assert (await client.call("stats"))["subscribers"] == 1
        while (await client.call("stats"))["clients"] > 1:
            pass
        assert (await client.call("stats"))["subscribers"] == 0
        await run(client, "startup")


async def test_an_unknown_kind_is_refused_with_those_there_are(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        with pytest.raises(Refused, match="some of queued, started, script-started") as caught:
            await client.call("subscribe", kinds=["started", "tired"])
        assert (caught.value.kind, caught.value.data["value"]) == ("InvalidParameter", "'tired'")


async def test_waits_for_locks_are_told_of(node: Node) -> None:
    node.script("10.first.script", "# ctdb-eventd-locks: routes\n" + SCRIPT)
    gate(node, "releaseip")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        watch = client.start("subscribe", kinds=["lock-waiting", "lock-acquired"])
        calls = [client.start("run", component="legacy", event="releaseip", args=["eth0", "10.0.0.1", "24"])]
        await begun(node, "releaseip")
        calls.append(client.start("run", component="legacy", event="takeip", args=["eth0", "10.0.0.1", "24"]))
        calls.append(client.start("run", component="legacy", event="takeip", args=["eth0", "10.0.0.2", "24"]))
        while len(client.notes.get(watch, ())) < 2:
            await client.call("ping")
        open_gate(node, "releaseip")
        for call in calls:
            await client.result(call)
        notes = await ended(client, watch)
        waits = [(note.data["text"], tuple(note.data["locks"])) for note in notes if note.kind == "lock-waiting"]
        assert waits[:2] == [
            ("legacy takeip eth0 10.0.0.1 24", ("address:10.0.0.1",)),
            ("legacy takeip eth0 10.0.0.2 24: 10.first", ("routes",)),
        ]
        assert sorted(waits) == sorted(
            (note.data["text"], tuple(note.data["locks"])) for note in notes if note.kind == "lock-acquired"
        )
        assert all(note.data["seconds"] > 0 for note in notes if note.kind == "lock-acquired")


# ---------------------------------------------------------------------- who doesn't read


async def test_who_does_not_read_loses_notes_and_is_told_how_many(node: Node) -> None:
    node.script("10.first.script", 'head -c 300000 /dev/zero | tr "\\0" x\n')
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        reader, writer = await asyncio.open_unix_connection(node.socket, limit=1024)
        deaf = NativeClient(reader, writer)
        watch = deaf.start("subscribe", kinds=["output", "finished"])
        await deaf.call("ping")
        for _ in range(20):
            await run(client, "startup")
        assert (await client.call("stats"))["notes_lost"] > 0
        # now it reads again: first what was kept for it, then how much is missing, then what is new
        await read_on(daemon, deaf, watch)
        notes = deaf.notes[watch]
        gaps = [note for note in notes if note.kind == "gap"]
        assert gaps
        expected = notes[0].number
        for note in notes:
            expected += note.data["lost"] - 1 if note.kind == "gap" else 0
            assert note.number == expected
            expected += 1
        lost = sum(note.data["lost"] for note in gaps)
        assert (await client.call("stats"))["notes_lost"] == lost
        writer.close()


async def read_on(daemon: Daemon, deaf: NativeClient, watch: int) -> None:
    """Reads until a gap has been told, for which something has to happen."""
    while not any(note.kind == "gap" for note in deaf.notes.get(watch, ())):
        await deaf.call("run", component="legacy", event="again")


async def test_replies_are_never_left_out(node: Node) -> None:
    node.script("10.first.script", 'head -c 200000 /dev/zero | tr "\\0" x\n')
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        await run(client, "startup")
        calls = [client.start("status", component="legacy", event="startup") for _ in range(30)]
        results = [await client.result(call) for call in calls]
        assert all(len(result["results"][0]["scripts"][0]["output"]) == 200_000 for result in results)
