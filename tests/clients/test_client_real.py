"""Both clients on a real broker: every method, every exception that it can be made to raise."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from backends import on_both_backends
from nodes import Daemon, Node, running_daemon, start_daemon, until

import ctdb_event
from ctdb_event import (
    AsyncClient,
    BrokerUnavailable,
    Client,
    ConfigRejected,
    EventCancelled,
    EventFailed,
    EventTimedOut,
    Finished,
    InvalidRequest,
    LockTimeout,
    NeverRan,
    NoSuchComponent,
    NoSuchRun,
    NoSuchScript,
    Output,
    QueueTimeout,
    ScriptFinished,
    ScriptStarted,
    Started,
    WouldDeadlock,
    connect,
)
from ctdb_event.commands.connection import CallFailed, DaemonConnection

SCRIPT = """
event=$1; shift
case $event in
fail) echo "no $#: $2" >&2; exit 7 ;;
hang) echo waiting; exec sleep 600 ;;
wait) echo begun; while ! [ -e "$CTDB_BASE/var/go" ]; do sleep 0.05; done ;;
esac
echo "$event" >> "$CTDB_BASE/var/trace"
"""
# Asks for an event that would have to wait for its own.
ASKER = f"""
{sys.executable} -c 'import ctdb_event; ctdb_event.Client().run("legacy", "recovered")' 2> "$CTDB_BASE/var/answer"
exit 0
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.first.script", SCRIPT)
    node.script("20.off.script", "exit 1", mode=0o644)
    return node


@pytest.fixture
def daemon(node: Node) -> Iterator[Daemon]:
    running = start_daemon(node)
    try:
        yield running
        assert running.stop() == 0, node.log
        assert "Traceback" not in node.log, node.log
    finally:
        running.process.kill()
        running.process.wait()
        assert running.process.stderr is not None
        running.process.stderr.close()


def client_of(daemon: Daemon) -> Client:
    client = Client(daemon.node.socket)
    assert client.dialect == "native"
    return client


# ---------------------------------------------------------------------- the blocking client


def test_who_the_broker_is(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        client.ping()
        hello = client.hello("test of the client library 1.0")
        assert (hello.pid, hello.server.split()[0]) == (daemon.process.pid, "ctdb-eventd")
        assert {"run", "cancel", "status", "subscribe", "lock"} <= set(hello.methods)
        stats = client.stats()
        assert (stats.pid, stats.clients, stats.running) == (daemon.process.pid, 1, 0)
        assert stats.memory > 1 << 20
        assert stats.slots.limit >= stats.slots.free_limit > 0
        assert client.reload() == ()


def test_an_event_that_succeeds(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        run = client.run("legacy", "takeip", "eth0", "10.0.0.1", "24", timeout=30)
        assert (run.outcome, run.address, run.summary) == ("success", "10.0.0.1", 0)
        assert [(script.name, script.state) for script in run.scripts] == [("10.first", "ok"), ("20.off", "disabled")]
        assert client.status("legacy", "takeip").results == (run,)
        assert [result.address for result in client.status(addresses=True).results] == ["10.0.0.1"]
        assert client.status("legacy", "takeip", address="10.0.0.1").results == (run,)


def test_an_event_that_fails_and_arguments_with_spaces(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        with pytest.raises(EventFailed) as caught:
            client.run("legacy", "fail", "one", "two words")
        (script,) = caught.value.run.failed
        assert (script.name, script.result, script.text) == ("10.first", 7, "no 2: two words\n")
        assert "event fail in legacy failed: 10.first exited with status 7" in str(caught.value)
        assert [run.outcome for run in client.status().results] == ["failed"]


def test_an_event_that_takes_too_long(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        with pytest.raises(EventTimedOut) as caught:
            client.run("legacy", "hang", timeout=1)
        assert [script.output for script in caught.value.run.failed] == [b"waiting\n"]


def test_what_cannot_be_run(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        with pytest.raises(NoSuchComponent, match="nope"):
            client.run("nope", "monitor")
        with pytest.raises(InvalidRequest, match=r"\.\."):
            client.run("..", "monitor")
        with pytest.raises(InvalidRequest, match="timeout"):
            client.run("legacy", "monitor", timeout=-1)
        with pytest.raises(NeverRan):
            client.status("legacy", "monitor")
        with pytest.raises(NoSuchRun):
            client.cancel("abc-1")


def test_what_there_is_on_the_node(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        (component,) = client.components()
        assert (component.name, component.scripts, component.enabled, component.error) == ("legacy", 2, 1, None)
        first, off = client.scripts("legacy").scripts
        assert (first.enabled, first.reason, off.enabled) == (True, None, False)
        assert off.reason
        client.enable("legacy", "20.off")
        assert [script.enabled for script in client.scripts("legacy").scripts] == [True, True]
        client.disable("legacy", "20.off")
        with pytest.raises(NoSuchScript):
            client.enable("legacy", "99.none")
        events = {event.name: event for event in client.events()}
        assert (events["takeip"].mode, len(events["takeip"].args)) == ("address", 3)


def test_a_configuration_that_cannot_be_used(daemon: Daemon) -> None:
    daemon.node.configure("[eventd]\n  max scripts = many\n")
    with client_of(daemon) as client, pytest.raises(ConfigRejected, match=r"ctdb\.conf.*max scripts") as caught:
        client.reload()
    assert caught.value.data["line"]


def test_a_run_is_watched(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        stream = client.run("legacy", "wait", stream=True)
        updates = []
        for update in stream:
            updates.append(update)
            if isinstance(update, Output):
                jobs = client.status().jobs  # another call while it runs
                assert [(job.run, job.state, job.script) for job in jobs] == [(update.run, "running", "10.first")]
                (daemon.node.var / "go").touch()
        kinds = [type(update) for update in updates]
        assert kinds == [Started, ScriptStarted, Output, ScriptFinished, ScriptFinished, Finished]
        assert stream.result is not None
        assert {update.run for update in updates} == {stream.result.run}


def test_a_watched_run_that_is_left_ends(daemon: Daemon) -> None:
    with client_of(daemon) as client, client.subscribe(["finished"]) as updates:
        for update in client.run("legacy", "hang", stream=True):
            if isinstance(update, Output):
                break
        finished = next(updates)
        assert isinstance(finished, Finished)
        assert finished.outcome == "cancelled"


def test_a_detached_run_goes_on_and_can_be_cancelled(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        run = client.run("legacy", "hang", detach=True)
    with client_of(daemon) as client, client.subscribe(["finished"], run=run) as updates:
        assert [job.run for job in client.status().jobs] == [run]
        assert client.cancel(run) == "running"
        assert next(updates).run == run


async def test_what_ran_is_told_later(daemon: Daemon) -> None:
    def outcomes() -> list[str | None]:
        return [one.outcome for one in client.history(address="10.0.0.1")]

    with client_of(daemon) as client:
        # nothing has been written yet
        assert (client.history(), client.slow(), client.past_run()) == ((), (), None)
        run = client.run("legacy", "takeip", "eth0", "10.0.0.1", "24").run
        await until(lambda: outcomes() == ["success"], "the record")
        past = client.past_run(run)
        assert past is not None
        assert (past.run, past.uid, past.pid) == (run, os.getuid(), os.getpid())
        assert [(script.name, script.state) for script in past.scripts] == [("10.first", "ok"), ("20.off", "disabled")]
        assert "10.first" in [one.name for one in client.slow(event="takeip")]
        assert client.history(uid=12345) == ()
        assert client.past_run("none") is None
        with pytest.raises(InvalidRequest, match="a number from 1 to 1000"):
            client.history(limit=1001)


def test_locks(daemon: Daemon) -> None:
    with client_of(daemon) as client, client_of(daemon) as other:
        with client.lock("routes", "iptables") as held:
            with pytest.raises(LockTimeout) as caught, other.lock("iptables", wait=0):
                raise AssertionError
            assert "no lock iptables within 0 s: held by" in str(caught.value)
            locks = other.locks()
            assert [lock.name for lock in locks] == ["iptables", "routes"]
            assert all(lock.holder is not None and lock.holder.pid == os.getpid() for lock in locks)
            assert all(lock.holder is not None and lock.holder.lock == held.number for lock in locks)
        with other.lock("iptables", wait=0) as lock:
            assert lock.waited >= 0
        assert client.locks() == ()
        with pytest.raises(InvalidRequest), client.lock():
            raise AssertionError


async def test_a_script_that_asks_for_what_would_wait_for_it(node: Node) -> None:
    node.script("30.asker.script", ASKER)
    async with running_daemon(node) as daemon:
        with client_of(daemon) as client:
            client.run("legacy", "startup")
    assert WouldDeadlock.__name__ in node.read("answer")


async def test_an_event_that_waits_too_long(node: Node) -> None:
    node.configure("[eventd]\n  queue timeout = 1\n")
    async with running_daemon(node) as daemon:
        with client_of(daemon) as client, client.run("legacy", "hang", stream=True) as stream:
            assert isinstance(next(stream), Started)
            with pytest.raises(QueueTimeout):
                client.run("legacy", "startup")


async def test_a_broker_that_ends(node: Node) -> None:
    async with running_daemon(node) as daemon:
        with client_of(daemon) as client, client.run("legacy", "hang", stream=True) as stream:
            assert isinstance(next(stream), Started)
            daemon.stop()
            with pytest.raises((BrokerUnavailable, EventCancelled)):
                list(stream)
        with pytest.raises(BrokerUnavailable, match="no broker listens"):
            client_of(daemon)


def test_the_commands_connection(daemon: Daemon) -> None:
    with DaemonConnection(daemon.node.socket) as connection:
        assert connection.call("ping") == {}
        assert connection.call("run", component="legacy", event="monitor")["outcome"] == "success"
        request = connection.start("run", {"component": "legacy", "event": "x", "stream": True})
        kinds = []
        while (note := connection.next_note(request)) is not None:
            kinds.append(note[0])
        assert kinds == ["started", "script-started", "script-finished", "script-finished", "finished"]
        assert request.value["outcome"] == "success"
        with pytest.raises(CallFailed) as caught:
            connection.call("nonsense")
        assert caught.value.code == "ENOSYS"


# ---------------------------------------------------------------------- the asynchronous client


@on_both_backends
async def test_many_addresses_side_by_side_on_one_connection(daemon: Daemon) -> None:
    addresses = [f"10.0.0.{number}" for number in range(1, 21)]
    done: dict[str, Any] = {}

    async def take(client: AsyncClient, address: str) -> None:
        done[address] = await client.run("legacy", "takeip", "eth0", address, "24", timeout=30)

    async with connect(daemon.node.socket) as client:
        async with anyio.create_task_group() as tasks:
            for address in addresses:
                tasks.start_soon(take, client, address)
        assert {address: run.address for address, run in done.items()} == {each: each for each in addresses}
        overview = await client.status("legacy", "takeip", addresses=True)
        assert {run.address for run in overview.results} == set(addresses)


@on_both_backends
async def test_cancelling_the_task_ends_the_run_and_the_connection_goes_on(daemon: Daemon) -> None:
    async with connect(daemon.node.socket) as client, client.subscribe() as updates:

        async def hang() -> None:
            await client.run("legacy", "hang")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hang)
            async for update in updates:
                if isinstance(update, ScriptStarted):
                    break
            tasks.cancel_scope.cancel()
    async with connect(daemon.node.socket) as client:
        assert (await client.run("legacy", "startup")).outcome == "success"
        assert [run.event for run in (await client.status()).results] == ["startup"]


@on_both_backends
async def test_cancelling_a_queued_run_takes_it_from_the_queue(daemon: Daemon) -> None:
    async with connect(daemon.node.socket) as client, client.subscribe() as updates:
        async with client.run("legacy", "wait", stream=True) as first:
            assert isinstance(await anext(first), Started)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: client.run("legacy", "queued"))
                async for update in updates:
                    if isinstance(update, ctdb_event.Queued):
                        break
                tasks.cancel_scope.cancel()
            (daemon.node.var / "go").touch()
            assert isinstance([update async for update in first][-1], Finished)
        assert (await client.run("legacy", "recovered")).outcome == "success"
    assert daemon.node.read("trace").split() == ["wait", "recovered"]


@on_both_backends
async def test_cancelling_at_any_moment_leaves_nothing_behind(daemon: Daemon) -> None:
    async def hang() -> None:
        await client.run("legacy", "hang")

    async def hold() -> None:
        async with client.lock("routes"):
            await client.ping()

    async with connect(daemon.node.socket) as client:
        for work in (hang, hold):
            for steps in range(40):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(work)
                    for _ in range(steps):
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
        while (await client.status()).jobs:
            pass
        assert await client.locks() == ()
        assert client._connection.core._mailboxes == {}
        assert client._connection.core._abandoned == {}
        assert (await client.run("legacy", "startup")).outcome == "success"


@on_both_backends
async def test_in_the_ctdb_dialect(daemon: Daemon) -> None:
    async with connect(daemon.node.socket, dialect="ctdb") as client:
        assert client.dialect == "ctdb"
        assert (await client.run("legacy", "startup")).outcome == "success"
        with pytest.raises(EventFailed) as caught:
            await client.run("legacy", "fail", "x")
        assert [script.state for script in caught.value.run.scripts] == ["failed"]
        await client.enable("legacy", "20.off")
        await client.disable("legacy", "20.off")


@on_both_backends
async def test_exceptions_are_the_same(daemon: Daemon) -> None:
    async with connect(daemon.node.socket) as client:
        with pytest.raises(EventFailed) as caught:
            await client.run("legacy", "fail", run_all=True)
        assert caught.value.run.summary == 7
        with pytest.raises(NoSuchComponent):
            await client.run("nope", "x")
        with pytest.raises(NoSuchComponent):
            [update async for update in client.run("nope", "x", stream=True)]


@on_both_backends
async def test_locks_of_tasks_keep_each_other_out(daemon: Daemon) -> None:
    inside = most = 0

    async def work(client: AsyncClient) -> None:
        nonlocal inside, most
        async with client.lock("routes"):
            inside += 1
            most = max(most, inside)
            await client.ping()
            inside -= 1

    async with connect(daemon.node.socket) as client, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(work, client)
    assert (inside, most) == (0, 1)


@on_both_backends
async def test_a_lock_that_is_waited_for_is_given_up_with_the_task(daemon: Daemon) -> None:
    async def want(client: AsyncClient) -> None:
        async with client.lock("routes"):
            raise AssertionError

    async with connect(daemon.node.socket) as client, connect(daemon.node.socket) as other:
        async with client.lock("routes"):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(want, other)
                while not (await client.locks())[0].waiting:
                    pass
                tasks.cancel_scope.cancel()
            while (await client.locks())[0].waiting:
                pass
        assert await client.locks() == ()


def test_clients_in_several_threads_each_with_a_connection(daemon: Daemon) -> None:
    outcomes: list[str] = []

    def run(number: int) -> None:
        with client_of(daemon) as client:
            outcomes.append(client.run("legacy", "takeip", "eth0", f"10.0.0.{number}", "24").outcome)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["success"] * 8
