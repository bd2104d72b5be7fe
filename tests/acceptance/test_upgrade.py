"""The daemon goes on as another program, in its process: nobody notices but by a moment's delay, or nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gates import gate, open_gate
from native_client import NativeClient, Refused, native_client
from nodes import Client, Daemon, Node, alive, children_of, running_daemon, until

from ctdb_eventd import __version__
from ctdb_eventd.history.records import history_file
from ctdb_eventd.model import EventSpec
from ctdb_eventd.protocol.messages import RunRequest

UPGRADE = signal.SIGRTMIN + 1
ROUNDS = int(os.environ.get("UPGRADE_ROUNDS", "12"))
"""Upgrades under load; 200 for a whole night's."""
SCRIPT = """
echo "begin $1 $*" >> "$CTDB_BASE/var/trace"
if [ -p "$CTDB_BASE/var/gate-$1" ]; then read -r _ < "$CTDB_BASE/var/gate-$1"; fi
echo "$1 says so"
echo "end $1 $*" >> "$CTDB_BASE/var/trace"
[ "$1" != fails ]
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.a.script", SCRIPT)
    return node


def install(node: Node, program: Path) -> str:
    """Has a program be the one that is installed, as `ctdb-eventd-install` says it; returns the option that says so."""
    helpers = node.base / "helpers"
    helpers.mkdir(exist_ok=True)
    (helpers / "ctdb-eventd").write_text(
        "#!/bin/sh\n# ctdb-eventd-install put this file here, in the place of CTDB's own event daemon\n"
        f"program='{program}'\npython={sys.executable}\npython_option=\n"
    )
    return f"--helper-dir={helpers}"


def program(node: Node, text: str) -> str:
    """Installs a daemon's program of this text."""
    path = node.base / "daemon.py"
    path.write_text(text)
    return install(node, path)


OURS = "import sys\nfrom ctdb_eventd import cli\n"


async def upgraded(daemon: Daemon, client: NativeClient) -> Any:
    """Has a daemon upgraded, which must keep its process; returns the answer."""
    answer = await client.call("upgrade")
    assert daemon.process.poll() is None
    return answer


async def refused(client: NativeClient) -> str:
    """Has a daemon upgraded, which must not happen; returns the reason."""
    with pytest.raises(Refused) as caught:
        await client.call("upgrade")
    assert (caught.value.code, caught.value.kind) == ("EAGAIN", "UpgradeFailed")
    reason = caught.value.data["reason"]
    assert isinstance(reason, str)
    return reason


async def serves(client: Client, native: NativeClient) -> bool:
    """Both dialects are served."""
    return await client.run("monitor") == 0 and await native.call("ping") == {}


@contextlib.asynccontextmanager
async def everybody(node: Node, *options: str) -> AsyncIterator[tuple[Daemon, Client, NativeClient]]:
    """A daemon with a client of each dialect."""
    async with running_daemon(node, *options) as daemon, daemon.client() as client, native_client(daemon) as native:
        yield daemon, client, native


# ---------------------------------------------------------------------- what stays


async def test_the_process_its_connections_and_what_it_knows_stay(node: Node) -> None:
    async with everybody(node) as (daemon, client, native):
        assert await client.run("fails") == errno.ENOEXEC
        assert await client.run("monitor") == 0
        before, stats = await client.status("fails"), await native.call("stats")
        answer = await upgraded(daemon, native)
        assert (answer["former"], answer["version"]) == (__version__, __version__)
        assert answer["waited"] >= 0
        assert answer["seconds"] > 0
        after = await client.status("fails")
        assert (after.summary, after.scripts) == (before.summary, before.scripts)
        assert [script.output for script in after.scripts] == [b"fails says so\n"]
        known = await native.call("status")
        assert [(one["component"], one["healthy"]) for one in known["health"]] == [("legacy", True)]
        again = await native.call("stats")
        assert (again["pid"], again["started"]) == (stats["pid"], stats["started"])
        assert again["requests"] > stats["requests"]
        assert again["runs"] == stats["runs"]
        assert Path(f"/proc/{daemon.process.pid}/comm").read_text() == "ctdb-eventd\n"
        assert await serves(client, native)
        async with daemon.client() as newcomer:
            assert await newcomer.run("monitor") == 0
        assert await daemon.guardian()


async def test_a_stopped_guardian_does_not_outlive_it(node: Node) -> None:
    """When it continued, it would end the scripts of the new program, whose cgroups have the same names."""
    async with everybody(node) as (daemon, client, native):
        guardian = await daemon.guardian()
        os.kill(guardian, signal.SIGSTOP)
        await upgraded(daemon, native)
        assert not alive(guardian)
        assert await serves(client, native)


async def test_a_signal_asks_for_it_too(node: Node) -> None:
    async with everybody(node) as (daemon, client, native):
        daemon.process.send_signal(UPGRADE)
        await until(lambda: f"upgraded to version {__version__} from {__version__}" in node.log, "an upgrade")
        assert await serves(client, native)


async def test_the_starter_hears_nothing_of_it_and_the_process_it_watches_still_ends_it(node: Node) -> None:
    watched = subprocess.Popen(["sleep", "1000"])
    read_end, write_end = os.pipe()
    try:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "ctdb_eventd", "-S", str(write_end), "-P", str(watched.pid)],
            env=node.environ,
            pass_fds=[write_end],
        )
        os.close(write_end)
        assert os.read(read_end, 4) == bytes(4)
        daemon.send_signal(UPGRADE)
        await until(lambda: "upgraded to version" in node.log, "an upgrade")
        os.set_blocking(read_end, False)
        with pytest.raises(BlockingIOError):
            os.read(read_end, 1)
        watched.kill()
        watched.wait()
        assert await asyncio.to_thread(daemon.wait, 60) == 0
        assert os.read(read_end, 1) == b""
        assert f"process {watched.pid} has ended, shutting down" in node.log
        assert not (node.base / "run" / "eventd.pid").exists()
    finally:
        os.close(read_end)
        watched.kill()
        watched.wait()


async def test_nobody_else_can_start_meanwhile_or_afterwards(node: Node) -> None:
    async with everybody(node) as (daemon, _, native):
        await upgraded(daemon, native)
        second = subprocess.run(
            [sys.executable, "-m", "ctdb_eventd"], env=node.environ, capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert f"process {daemon.process.pid} already runs as event daemon here" in second.stderr


async def test_what_runs_comes_to_its_end_and_what_waits_is_run_once_by_the_new_program(node: Node) -> None:
    async with everybody(node) as (daemon, client, native):
        gate(node, "startup")
        first = client.start("startup")
        await until(lambda: "begin startup" in node.read("trace"), "the script")
        waiting = client.start("recovered", "x")
        # of two connections, either may be read first
        await until(lambda: "requested: run legacy/recovered" in node.log, "the request of the one client")
        behind = native.start("run", component="legacy", event="behind")
        detached = (await native.call("run", component="legacy", event="late", detach=True))["run"]
        runs = [job["run"] for job in (await native.call("status"))["jobs"]]
        assert detached in runs
        upgrade = native.start("upgrade")
        await until(lambda: "waiting for the end of legacy startup" in node.log, "the upgrade to wait")
        assert await native.call("ping") == {}
        open_gate(node, "startup")
        assert await client.result(first) == 0
        assert (await native.result(upgrade))["waited"] > 0
        assert await client.result(waiting) == 0
        run = await native.result(behind)
        assert (run["outcome"], run["run"]) == ("success", runs[2])
        await until(lambda: "end late" in node.read("trace"), "the detached run")
        assert node.read("trace").split("\n") == [
            f"{word} {what}"
            for what in ("startup startup", "recovered recovered x", "behind behind", "late late")
            for word in ("begin", "end")
        ] + [""]
        past: list[Any] = []
        while len(past) < 4 or any(run["outcome"] is None for run in past):
            past = await native.call("history")
        assert [run["run"] for run in past] == runs
        assert {run["outcome"] for run in past} == {"success"}
        assert node.log.count(f"run id {detached}") == 1
        assert daemon.process.poll() is None


async def test_a_client_that_leaves_meanwhile_takes_its_request_back(node: Node) -> None:
    async with everybody(node) as (_, client, native):
        gate(node, "startup")
        first = native.start("run", component="legacy", event="startup")
        await until(lambda: "begin startup" in node.read("trace"), "the script")
        client.start("recovered")
        upgrade = native.start("upgrade")
        await until(lambda: "waiting for the end of legacy startup" in node.log, "the upgrade to wait")
        client.close()
        while len((await native.call("status"))["jobs"]) > 1:
            pass
        open_gate(node, "startup")
        await native.result(first)
        await native.result(upgrade)
        assert (await native.call("status"))["jobs"] == []
        assert "recovered" not in node.read("trace")


async def test_half_a_request_and_answers_that_nobody_took_stay(node: Node) -> None:
    async with everybody(node) as (daemon, client, native), daemon.client() as slow:
        whole: bytes = _encoded(7, "monitor")
        slow.writer.write(whole[:9])
        await slow.writer.drain()
        assert await serves(client, native)  # by then it was read
        await upgraded(daemon, native)
        slow.writer.write(whole[9:])
        assert await slow.result(7) == 0


def _encoded(reqid: int, event: str) -> bytes:
    from client_end import encode_request

    spec = EventSpec(component="legacy", event=event, args=(), timeout=30, run_all=False)
    return encode_request(reqid, RunRequest(spec))


async def test_locks_are_held_throughout_and_those_who_wait_get_them_afterwards(node: Node) -> None:
    async with everybody(node) as (daemon, _, native), native_client(daemon) as other:
        held = await native.call("lock", names=["routes", "iptables"])
        waiting = other.start("lock", names=["iptables"])
        while not any(lock["waiting"] for lock in await native.call("locks")):
            pass
        await upgraded(daemon, native)
        (iptables, routes) = await native.call("locks")
        assert [lock["holder"]["lock"] for lock in (iptables, routes)] == [held["lock"]] * 2
        assert [one["pid"] for one in iptables["waiting"]] == [os.getpid()]
        assert _is_locked(node)
        await native.call("unlock", lock=held["lock"])
        got = await other.result(waiting)
        assert got["lock"] > held["lock"]
        assert _is_locked(node)
        await other.call("unlock", lock=got["lock"])
        assert not _is_locked(node)


def _is_locked(node: Node) -> bool:
    """Whether the file of the commands' lock is locked."""
    return subprocess.run(["flock", "-n", node.base / "run/eventd.locks/iptables", "true"], check=False).returncode != 0


async def test_the_holder_of_a_commands_lock_may_run_the_command_after_it(node: Node) -> None:
    """The wrapper knows it by the daemon's descriptor, and where that stands."""
    tools = node.base / "tools"
    tools.mkdir()
    (tools / "iptables").write_text('#!/bin/sh\necho ran >> "$CTDB_BASE/var/ran"\n')
    (tools / "iptables").chmod(0o755)
    gate(node, "hold")
    command = f"read -r _ < {node.var}/gate-hold; PATH={node.var}/eventd/bin:{tools}:$PATH iptables"
    async with everybody(node) as (daemon, _, native):
        holder = subprocess.Popen(
            [sys.executable, "-m", "ctdb_event", "lock", "iptables", "--", "sh", "-c", command], env=node.environ
        )
        while not await native.call("locks"):
            pass
        await upgraded(daemon, native)
        await asyncio.to_thread(open_gate, node, "hold")
        assert await asyncio.to_thread(holder.wait, 60) == 0
        assert node.read("ran") == "ran\n"


async def test_subscriptions_go_on_with_the_next_number_and_are_told_of_it(node: Node) -> None:
    async with everybody(node) as (daemon, client, native), native_client(daemon) as watcher:
        call = watcher.start("subscribe")
        only = watcher.start("subscribe", kinds=["finished"], event="monitor")
        await watcher.call("ping")
        assert await client.run("monitor") == 0
        await watcher.note(only, "finished")
        gate(node, "startup")
        first = client.start("startup")
        await watcher.note(call, "script-started")
        behind = client.start("recovered")
        await watcher.note(call, "queued")
        upgrade = native.start("upgrade")
        open_gate(node, "startup")
        await client.result(first)
        await native.result(upgrade)
        await client.result(behind)
        assert (await watcher.note(call, "upgraded")).data["version"] == __version__
        assert await client.run("monitor") == 0
        while [note.kind for note in watcher.notes[only]] != ["finished"] * 2:
            await watcher.call("ping")
        for one in call, only:
            numbers = [note.number for note in watcher.notes[one]]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        kinds = [note.kind for note in watcher.notes[call]]
        assert (kinds.count("queued"), kinds.count("upgraded")) == (1, 1)
        watcher.writer.write(b"")
        ended = watcher.start("cancel", call=call)
        assert (await watcher.result(call))["notes"] == len(watcher.notes[call])
        await watcher.result(ended)


async def test_a_stream_goes_on(node: Node) -> None:
    async with everybody(node) as (_, client, native):
        gate(node, "startup")
        first = client.start("startup")
        await until(lambda: "begin startup" in node.read("trace"), "the script")
        stream = native.start("run", component="legacy", event="recovered", stream=True)
        await native.note(stream, "queued")
        upgrade = native.start("upgrade")
        await until(lambda: "waiting for the end" in node.log, "the upgrade to wait")
        open_gate(node, "startup")
        await client.result(first)
        await native.result(upgrade)
        run = await native.result(stream)
        notes = native.notes[stream]
        assert {note.data["run"] for note in notes} == {run["run"]}
        kinds = ["queued", "started", "script-started", "output", "script-finished", "finished"]
        assert [note.kind for note in notes] == kinds
        assert [note.number for note in notes] == list(range(notes[0].number, notes[0].number + len(notes)))


async def test_a_script_that_asks_for_events_meanwhile_gets_them(node: Node) -> None:
    """Else it would wait for the upgrade, and the upgrade for it."""
    ask = f'{sys.executable} -m ctdb_event run 30 other child >> "$CTDB_BASE/var/trace" 2>&1'
    node.script("20.b.script", f'[ "$1" = startup ] || exit 0\n{ask}')
    node.script("10.c.script", SCRIPT, component="other")
    async with everybody(node) as (_, client, native):
        gate(node, "startup")
        first = client.start("startup")
        await until(lambda: "begin startup" in node.read("trace"), "the script")
        upgrade = native.start("upgrade")
        await until(lambda: "waiting for the end of legacy startup" in node.log, "the upgrade to wait")
        before = client.start("before", component="other")
        await native.call("ping")
        open_gate(node, "startup")
        assert await client.result(first) == 0
        assert await client.result(before) == 0
        await native.result(upgrade)
        assert "end child" in node.read("trace")


# ---------------------------------------------------------------------- what goes wrong


async def test_a_new_program_is_the_one_that_is_installed(node: Node) -> None:
    option = program(node, OURS + "open(sys.argv[0] + '.ran', 'a').write('x')\nsys.exit(cli.main())\n")
    async with everybody(node, option) as (daemon, client, native):
        await upgraded(daemon, native)
        await upgraded(daemon, native)
        assert await serves(client, native)
        # each time once to try it, and once to go on as it
        assert (node.base / "daemon.py.ran").read_text() == "xxxx"


FAILING = {
    "crashes": ("raise SystemExit('no module named x')", "can't take over: no module named x"),
    "says nothing": ("raise SystemExit(7)", "can't take over: exit status 7"),
    "hangs": ("import time\ntime.sleep(1000)", "did not confirm within 5 s that it can take over"),
    "knows a form of its own only": (
        f"{OURS}from ctdb_eventd import handover\nhandover.FORM = 0\nhandover._OLDEST_READ = 0\nsys.exit(cli.main())",
        "can't read the state that the running daemon has left: it is in form 1, expected one from 0 to 0",
    ),
    "is older than upgrades": ("import argparse\nargparse.ArgumentParser().parse_args()", "unrecognized arguments"),
}


@pytest.mark.parametrize("name", FAILING)
async def test_a_new_program_that_cant_take_over_is_not_executed(node: Node, name: str) -> None:
    text, reason = FAILING[name]
    async with everybody(node, program(node, text)) as (daemon, client, native):
        assert reason in await refused(native)
        assert await serves(client, native)
        assert f"not upgraded, the running daemon continues as before: {sys.executable}" in node.log
        assert daemon.children() == []


async def test_a_new_program_that_is_missing_is_not_executed(node: Node) -> None:
    async with everybody(node, install(node, node.base / "none")) as (_, client, native):
        assert "can't take over" in await refused(native)
        assert await serves(client, native)


async def test_a_new_program_that_fails_once_it_is_executed_makes_room_for_the_former_one(node: Node) -> None:
    text = (
        OURS
        + "from ctdb_eventd.daemon import Daemon\ndef fail(*_): raise RuntimeError('no luck')\n"
        + "Daemon._watch_process = fail\nsys.exit(cli.main())\n"
    )
    option = program(node, text)
    async with everybody(node, option) as (_, client, native):
        held = await native.call("lock", names=["routes"])
        assert await client.run("fails") == errno.ENOEXEC
        reason = await refused(native)
        assert reason == f"version {__version__} can't take over: no luck"
        assert (await client.status("fails")).summary == 1
        assert await serves(client, native)
        assert await native.call("unlock", lock=held["lock"]) == {}
        assert f"not upgraded, the running daemon continues as before: {reason}" in node.log


async def test_a_configuration_that_cant_be_used_keeps_the_daemon_as_it_is(node: Node) -> None:
    async with everybody(node) as (_, client, native):
        node.configure("[eventd]\n kil grace = 3\n")
        assert 'ctdb.conf:5: [eventd] kil grace = "3": unknown key' in await refused(native)
        assert await serves(client, native)


async def test_a_socket_that_somebody_removed_or_replaced_stays_as_it_is(node: Node) -> None:
    async with everybody(node) as (daemon, client, native):
        os.unlink(node.socket)
        await upgraded(daemon, native)
        assert await serves(client, native)
        with socket.socket(socket.AF_UNIX) as another:
            another.bind(node.socket)
            await upgraded(daemon, native)
            assert await serves(client, native)
            assert await asyncio.to_thread(daemon.stop) == 0
            assert os.path.exists(node.socket)
            os.unlink(node.socket)


async def test_what_takes_too_long_is_named_and_goes_on(node: Node) -> None:
    node.configure("[eventd]\n upgrade wait = 0.2\n")
    async with everybody(node) as (_, client, native):
        gate(node, "startup")
        first = client.start("startup")
        await until(lambda: "begin startup" in node.read("trace"), "the script")
        assert await refused(native) == "after 0.2 s ([eventd] upgrade wait) these still run: legacy startup"
        other = native.start("run", component="legacy", event="behind")
        open_gate(node, "startup")
        assert await client.result(first) == 0
        assert (await native.result(other))["outcome"] == "success"


async def test_it_can_be_given_up_and_what_waited_is_run(node: Node) -> None:
    node.script("10.c.script", SCRIPT, component="other")
    async with everybody(node) as (_, client, native):
        with pytest.raises(Refused, match="no upgrade is in progress"):
            await native.call("upgrade", cancel=True)
        gate(node, "startup")
        first = client.start("startup")
        await until(lambda: "begin startup" in node.read("trace"), "the script")
        upgrade = native.start("upgrade")
        await until(lambda: "waiting for the end of legacy startup" in node.log, "the upgrade to wait")
        with pytest.raises(Refused, match="an upgrade is in progress already"):
            await native.call("upgrade")
        held_back = client.start("other", component="other")
        assert await native.call("upgrade", cancel=True) == {}
        with pytest.raises(Refused, match="it was cancelled"):
            await native.result(upgrade)
        assert await client.result(held_back) == 0
        open_gate(node, "startup")
        assert await client.result(first) == 0
        assert await native.call("ping") == {}


async def test_a_daemon_that_is_asked_to_end_meanwhile_ends(node: Node) -> None:
    async with everybody(node) as (daemon, client, native):
        gate(node, "startup")
        client.start("startup")
        await until(lambda: "begin startup" in node.read("trace"), "the script")
        native.start("upgrade")
        await until(lambda: "waiting for the end of legacy startup" in node.log, "the upgrade to wait")
        assert await asyncio.to_thread(daemon.stop) == 0


SLOW = 'echo "$$" > "$CTDB_BASE/var/pid"; until [ -e "$CTDB_BASE/var/go" ]; do sleep 0.02; done'
STEPS = ("trying", "can take over", "waiting for the end", "nothing runs, executing", "upgraded to version")


async def in_step(node: Node, client: Client, native: NativeClient, step: str) -> None:
    """Has an upgrade come so far, while events run and wait."""
    for _ in range(4):
        client.start("startup")
    await until(lambda: node.read("pid"), "a script")
    native.start("upgrade")
    waiting = "waiting for the end"
    if STEPS.index(step) > STEPS.index(waiting):
        await until(lambda: waiting in node.log, waiting)
        (node.var / "go").touch()
    await until(lambda: step in node.log, step)


@pytest.mark.parametrize("step", STEPS)
async def test_a_daemon_that_is_asked_to_end_in_any_step_ends_with_all_that_it_has(node: Node, step: str) -> None:
    node.script("20.b.script", SLOW)
    async with everybody(node) as (daemon, client, native):
        await in_step(node, client, native, step)
        assert await asyncio.to_thread(daemon.stop) == 0
        assert "received SIGTERM, shutting down" in node.log
        assert not (node.base / "run" / "eventd.pid").exists()


async def test_signals_come_to_the_main_thread_alone(node: Node) -> None:
    """Another thread would take those that wait in the main one for the next program, and they would be lost."""
    node.script("10.a.script", "exit 0")
    async with everybody(node) as (daemon, client, native):
        assert await client.run("startup") == 0
        await native.call("history", view="runs")
        main = daemon.process.pid
        threads = [int(each.name) for each in Path(f"/proc/{main}/task").iterdir() if each.name != str(main)]
        assert threads

        def blocked(thread: int) -> bool:
            found = re.search(
                r"^SigBlk:\s*(\w+)$", Path(f"/proc/{main}/task/{thread}/status").read_text(), re.MULTILINE
            )
            return found is not None and bool(int(found[1], 16) >> (signal.SIGTERM - 1) & 1)

        await until(lambda: all(map(blocked, threads)), "threads without signals")
        assert not blocked(main)


@pytest.mark.parametrize("step", STEPS)
async def test_when_ctdbd_ends_in_any_step_the_daemon_ends_too(node: Node, step: str) -> None:
    node.script("20.b.script", SLOW)
    watched = subprocess.Popen(["sleep", "1000"])
    try:
        async with everybody(node, f"--pid={watched.pid}") as (daemon, client, native):
            await in_step(node, client, native, step)
            watched.kill()
            watched.wait()
            assert await asyncio.to_thread(daemon.process.wait, 60) == 0
            assert f"process {watched.pid} has ended, shutting down" in node.log
            assert not alive(int(node.read("pid")))
    finally:
        watched.kill()
        watched.wait()


@pytest.mark.parametrize("step", STEPS)
async def test_a_daemon_that_is_killed_in_any_step_leaves_room_for_the_next(node: Node, step: str) -> None:
    node.script("20.b.script", SLOW)
    async with running_daemon(node) as daemon, daemon.client() as client, native_client(daemon) as native:
        await in_step(node, client, native, step)
        daemon.process.kill()
        daemon.process.wait()
    (node.var / "go").touch()
    async with everybody(node) as (_, client, native):
        assert not alive(int(node.read("pid")))
        assert await serves(client, native)


async def test_without_room_for_the_state_nothing_happens(node: Node) -> None:
    node.script("20.b.script", "head -c 900000 /dev/zero | tr '\\0' x")
    async with everybody(node) as (daemon, client, native):
        assert await client.run("monitor") == 0
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (600_000, 600_000))
        assert await refused(native) == "the state can't be kept: File too large"
        assert await serves(client, native)


async def test_a_history_that_cant_be_written_and_a_full_log_are_no_hindrance(node: Node) -> None:
    (node.base / "ctdb.conf").write_text("[logging]\n  location = file:/dev/full\n")
    Path(history_file(str(node.var))).mkdir(parents=True)
    async with everybody(node) as (daemon, client, native):
        assert await client.run("monitor") == 0
        await upgraded(daemon, native)
        assert await serves(client, native)


async def test_what_the_history_lacks_is_said_to_be_lost(node: Node) -> None:
    Path(history_file(str(node.var))).mkdir(parents=True)
    async with everybody(node) as (daemon, client, native):
        assert await client.run("monitor") == 0
        await upgraded(daemon, native)
        assert "the history can't be written: records not written yet are lost by the upgrade" in node.log


# ---------------------------------------------------------------------- many


async def test_upgrades_in_a_row_under_load_answer_every_request_once_and_run_every_event_once(node: Node) -> None:
    node.script("10.a.script", 'sleep "0.$(($2 % 4))"; echo "$1 $2" >> "$CTDB_BASE/var/trace"')
    node.script("10.b.script", 'sleep "0.$(($2 % 4))"; echo "$1 $2" >> "$CTDB_BASE/var/trace"', component="other")
    async with everybody(node) as (daemon, _, native), native_client(daemon) as watcher:
        subscription = watcher.start("subscribe", kinds=["finished", "upgraded"])
        over = asyncio.Event()
        counts = await asyncio.gather(
            *(_asks(daemon, number, over) for number in range(4)),
            *(_calls(daemon, number, over) for number in range(4, 8)),
            _holds(daemon, over),
            _upgrades(daemon, native, over),
        )
        asked = sum(counts[:8])
        ran = node.read("trace").split("\n")[:-1]
        assert len(ran) == len(set(ran)) == asked > ROUNDS
        await watcher.note(subscription, "upgraded")
        watcher.start("cancel", call=subscription)
        assert (await watcher.result(subscription))["notes"] == len(watcher.notes[subscription]) == asked + ROUNDS
        numbers = [note.number for note in watcher.notes[subscription]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def _asks(daemon: Daemon, number: int, over: asyncio.Event) -> int:
    """Runs and statuses in the CTDB dialect, some at once; returns how many runs there were."""
    count = 0
    async with daemon.client() as client:
        while not over.is_set():
            component = random.choice(["legacy", "other"])
            many = range(random.randint(1, 3))
            some = [client.start(f"e{number}", str(count + one), component=component) for one in many]
            count += len(some)
            for one in some:
                assert await client.result(one) == 0
            assert (await client.status(f"e{number}", component)).summary == 0
    return count


async def _calls(daemon: Daemon, number: int, over: asyncio.Event) -> int:
    """The same in the native one."""
    count = 0
    async with native_client(daemon) as client:
        while not over.is_set():
            args = {"event": f"e{number}", "args": [str(count)]}
            run = await client.call("run", component=random.choice(["legacy", "other"]), **args)
            assert (run["outcome"], run["args"]) == ("success", [str(count)])
            count += 1
    return count


async def _holds(daemon: Daemon, over: asyncio.Event) -> int:
    """Two clients take turns with one lock; it is never had by both."""
    owners: list[int] = []

    async def turn(number: int) -> None:
        async with native_client(daemon) as client:
            while not over.is_set():
                lock = await client.call("lock", names=["routes"])
                owners.append(number)
                await asyncio.sleep(random.uniform(0, 0.2))
                assert owners == [number]
                owners.clear()
                await client.call("unlock", lock=lock["lock"])

    await asyncio.gather(turn(1), turn(2))
    return 0


async def _upgraded_in_time(daemon: Daemon, client: NativeClient) -> bool:
    """Has a daemon upgraded; False if the machine is too busy to try the new program, and so nothing has happened."""
    try:
        await upgraded(daemon, client)
    except Refused as refusal:
        if "did not confirm within 5 s" in refusal.message:
            return False
        raise
    return True


async def _upgrades(daemon: Daemon, client: NativeClient, over: asyncio.Event) -> int:
    try:
        first: dict[str, Any] = {}
        for number in range(ROUNDS):
            while not await _upgraded_in_time(daemon, client):
                pass
            stats = await client.call("stats")
            if number == ROUNDS // 4:
                first = stats
            await asyncio.sleep(random.uniform(0, 0.3))
        assert stats["descriptors"] <= first["descriptors"] + 16  # those of scripts and their cgroups come and go
        assert stats["memory"] <= 1.2 * first["memory"]
        assert len(children_of(daemon.process.pid)) < 20
    finally:
        over.set()
    return 0
