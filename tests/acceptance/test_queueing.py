"""Who runs when: one event at a time in a component, monitor's rules, and what a client takes with it when it goes."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from gates import gate, open_gate
from nodes import Node, alive, running_daemon, until

from ctdb_eventd.errors import EventdError
from ctdb_eventd.protocol.messages import ScriptReply, ScriptRequest, StatusReply, StatusRequest

# A script that says when it begins and waits until the test lets it go on.
GATED = """
echo "begin $1" >> $CTDB_BASE/var/trace
[ -p $CTDB_BASE/var/gate-$1 ] && read line < $CTDB_BASE/var/gate-$1
echo "end $1" >> $CTDB_BASE/var/trace
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.gated.script", GATED)
    return node


async def begun(node: Node, event: str) -> None:
    await until(lambda: f"begin {event}\n" in node.read("trace"), f"{event} to begin")


async def test_events_of_a_component_run_one_at_a_time_in_order_of_arrival(node: Node) -> None:
    gate(node, "first")
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [client.start(event) for event in ("first", "second", "third")]
        await begun(node, "first")
        assert node.read("trace") == "begin first\n"
        open_gate(node, "first")
        assert [await client.result(reqid) for reqid in ids] == [0, 0, 0]
    assert node.read("trace").split() == "begin first end first begin second end second begin third end third".split()


async def test_replies_come_in_order_of_completion(node: Node) -> None:
    node.script("10.gated.script", GATED, component="other")
    gate(node, "slow")
    async with running_daemon(node) as daemon, daemon.client() as client:
        slow, fast = client.start("slow"), client.start("fast", component="other")
        assert await client.result(fast) == 0
        open_gate(node, "slow")
        assert await client.result(slow) == 0
        assert client.order == [fast, slow]


async def test_components_are_independent_of_one_another(node: Node) -> None:
    node.script("10.s.script", "exit 3", component="other")
    gate(node, "held")
    async with running_daemon(node) as daemon, daemon.client() as client:
        held = client.start("held")
        await begun(node, "held")
        assert await client.run("monitor", component="other") == errno.ENOEXEC
        open_gate(node, "held")
        assert await client.result(held) == 0


async def test_a_monitor_is_refused_while_anything_else_runs(node: Node) -> None:
    gate(node, "takeover")
    async with running_daemon(node) as daemon, daemon.client() as client:
        running = client.start("takeover")
        await begun(node, "takeover")
        assert await client.run("monitor") == errno.ECANCELED
        open_gate(node, "takeover")
        assert await client.result(running) == 0
        assert await client.run("monitor") == 0


async def test_a_running_monitor_yields_to_any_event_and_its_former_result_stays(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        before = await client.status("monitor")
        (node.var / "trace").unlink()
        gate(node, "monitor")
        monitor = client.start("monitor")
        await begun(node, "monitor")
        other = client.start("ipreallocated")
        assert await client.result(monitor) == errno.ECANCELED
        assert await client.result(other) == 0
        assert (await client.status("monitor")).scripts == before.scripts
    assert node.read("trace").split() == "begin monitor begin ipreallocated end ipreallocated".split()


async def test_a_running_monitor_yields_to_a_new_monitor(node: Node) -> None:
    gate(node, "monitor")
    async with running_daemon(node) as daemon, daemon.client() as client:
        first = client.start("monitor")
        await begun(node, "monitor")
        second = client.start("monitor")
        assert await client.result(first) == errno.ECANCELED
        await until(lambda: node.read("trace").count("begin monitor") == 2, "the second monitor to begin")
        open_gate(node, "monitor")
        assert await client.result(second) == 0


async def test_an_event_does_not_start_before_the_monitor_it_ended_is_gone(node: Node) -> None:
    node.script(
        "10.gated.script",
        "trap 'sleep 0.2; echo cleaned >> $CTDB_BASE/var/trace; exit' TERM\n"
        'echo "begin $1" >> $CTDB_BASE/var/trace\n[ $1 != monitor ] || while :; do sleep 0.02; done',
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        monitor = client.start("monitor")
        await begun(node, "monitor")
        other = client.start("takeover")
        assert await client.result(monitor) == errno.ECANCELED
        assert await client.result(other) == 0
    assert node.read("trace").split("\n")[:3] == ["begin monitor", "cleaned", "begin takeover"]


async def test_a_monitor_that_its_client_gave_up_yields_too(node: Node) -> None:
    """It has the whole grace, which nobody would wait for, until another event wants its place."""
    node.configure("[eventd]\n kill grace = 3600\n")
    node.script(
        "10.gated.script",
        "trap 'touch $CTDB_BASE/var/told' TERM\n"
        'echo "begin $1" >> $CTDB_BASE/var/trace\n[ $1 != monitor ] || while :; do sleep 0.02; done',
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        async with daemon.client() as other:
            other.start("monitor")
            await begun(node, "monitor")
        await until((node.var / "told").exists, "the monitor to be told to end")
        assert await client.run("takeover") == 0
    assert "is gone, ended by signal 9 (SIGKILL)" in node.log


async def test_a_monitor_that_ignores_term_is_killed_for_the_event_that_waits(node: Node) -> None:
    node.script(
        "10.gated.script",
        "trap '' TERM\necho \"begin $1\" >> $CTDB_BASE/var/trace\n[ $1 != monitor ] || while :; do sleep 0.02; done",
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        monitor = client.start("monitor")
        await begun(node, "monitor")
        assert await client.run("takeover") == 0
        assert await client.result(monitor) == errno.ECANCELED
    assert "is gone, ended by signal 9 (SIGKILL)" in node.log


async def test_a_client_that_goes_takes_its_running_event_with_it(node: Node) -> None:
    node.script("10.gated.script", "echo $$ > $CTDB_BASE/var/pid; sleep 1000")
    async with running_daemon(node) as daemon:
        async with daemon.client() as client:
            client.start("startup")
            await until(lambda: node.read("pid"), "the script to begin")
        await until(lambda: not alive(int(node.read("pid"))), "the end of the script")
        async with daemon.client() as other:
            reply = await other.reply(other.send(StatusRequest("legacy", "startup")))
            assert reply == StatusReply(errno.EINVAL, None)


async def test_what_waits_of_a_client_that_goes_vanishes_and_others_go_on(node: Node) -> None:
    gate(node, "first")
    async with running_daemon(node) as daemon, daemon.client() as patient:
        first = patient.start("first")
        await begun(node, "first")
        async with daemon.client() as client:
            client.start("lost")
            await client.writer.drain()
            # an answer on the same connection shows that the request before it was read
            assert await client.run("monitor") == errno.ECANCELED
        last = patient.start("last")
        open_gate(node, "first")
        assert await patient.result(first) == 0
        assert await patient.result(last) == 0
    assert "lost" not in node.read("trace")


async def test_a_thousand_events_in_a_row_leave_nothing_behind(node: Node) -> None:
    (node.base / "events/empty").mkdir()
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("warm-up") == 0
        descriptors = await daemon.idle_descriptors()
        ids = [client.start("ipreallocated", component="empty") for _ in range(1000)]
        for reqid in ids:
            assert await client.result(reqid) == 0
        ids = [client.start("ipreallocated") for _ in range(50)]
        for reqid in ids:
            assert await client.result(reqid) == 0
        await until(lambda: daemon.descriptors() == descriptors, "what the last run had to be closed")
        assert daemon.children() == []


async def test_scripts_are_enabled_and_disabled_over_the_socket(node: Node) -> None:
    provided = node.base / "share/events/legacy/50.provided.script"
    provided.write_text("#!/bin/sh\nexit 0\n")
    link = node.base / "events/legacy/50.provided.script"
    async with running_daemon(node) as daemon, daemon.client() as client:

        async def switch(script: str, enable: bool, component: str = "legacy") -> int:
            reply = await client.reply(client.send(ScriptRequest(component, script, enable)))
            assert isinstance(reply, ScriptReply)
            return reply.result

        assert await switch("50.provided", True) == 0
        assert link.readlink() == provided
        assert await switch("50.provided", True) == 0
        assert await switch("50.provided", False) == 0
        assert not link.is_symlink()
        assert await switch("10.gated", False) == 0
        assert (node.base / "events/legacy/10.gated.script").stat().st_mode & 0o111 == 0
        assert await switch("99.none", True) == errno.ENOENT
        assert await switch("99.none", False) == 0
        assert await switch("50.provided", True, "nosuch") == errno.ENOENT


@pytest.mark.parametrize("name", ["../legacy", "a/b", "/etc", ".", "..", "", "a\0b", "n" * 256, "\udcff" * 300])
async def test_names_that_could_leave_their_directory_are_refused(node: Node, name: str) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor", component=name) == errno.EINVAL
        assert await client.run(name) == errno.EINVAL
        for request in (StatusRequest(name, "monitor"), StatusRequest("legacy", name)):
            assert await client.reply(client.send(request)) == StatusReply(errno.EINVAL, None)
        for script in (ScriptRequest(name, "10.gated", True), ScriptRequest("legacy", name, True)):
            assert await client.reply(client.send(script)) == ScriptReply(errno.EINVAL)
    assert node.read("trace") == ""
    assert "is invalid" in node.log


async def test_names_in_no_known_encoding_pass_through(node: Node) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run(name) == 0
        assert (await client.status(name)).summary == 0
    assert "begin caf\\udce9" in node.log or (node.var / "trace").read_bytes().startswith(b"begin caf\xe9\n")


async def test_components_that_are_no_directories_do_not_exist(node: Node) -> None:
    (node.base / "events/file").touch()
    (node.base / "events/empty").mkdir()
    async with running_daemon(node) as daemon, daemon.client() as client:
        for component in ("file", "nosuch"):
            assert await client.run("monitor", component=component) == errno.ENOENT
            reply = await client.reply(client.send(StatusRequest(component, "monitor")))
            assert reply == StatusReply(errno.ENOENT, None)
        assert await client.run("monitor", component="empty") == 0
        assert (await client.status("monitor", "empty")).scripts == ()
        reply = await client.reply(client.send(StatusRequest("empty", "never")))
        assert reply == StatusReply(errno.EINVAL, None)
    assert issubclass(EventdError, Exception)
