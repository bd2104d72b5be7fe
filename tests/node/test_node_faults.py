"""`ctdb-node run` under faults: in each state it is told to end, or its daemon is killed; things that can't be had."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from functools import partial

import anyio
import pytest
import trio.testing
from node_runs import Run
from nodes import TIMEOUT, Node, alive, start_daemon, until

import ctdb_event
from ctdb_node.events import Events
from ctdb_node.hosting import Hosting
from ctdb_node.node import Node as LivingNode
from ctdb_node.states import State, Trigger

WAITS = {
    "recovery": ("startrecovery", "exit 1", "startrecovery failed; now: waiting to recover again"),
    "recovered": ("recovered", "exit 1", "recovered failed; now: waiting to recover again"),
    "startup": ("startup", "exit 1", "startup failed; now: waiting to try startup again"),
    "takeip": ("takeip", "exit 1", "the reallocation failed; trying again"),
    "startipreallocate": ("startipreallocate", "exit 1", "the reallocation failed; trying again"),
    "ipreallocated": ("ipreallocated", "exit 1", "the reallocation failed; trying again"),
    "monitor interval": ("nothing", "exit 1", "of 2 are here"),
}
"""What is waited for after an event failed: the event, what a script does in it, and what is said then."""
EVENTS = [
    *("init", "setup", "startrecovery", "recovered", "startup", "monitor", "startipreallocate", "takeip"),
    *("ipreallocated", "shutdown"),
]


@pytest.fixture
def start(node: Node, runs: list[Run]) -> Callable[..., Run]:
    def begin(*prefix: str) -> Run:
        runs.append(Run(node, *prefix))
        return runs[-1]

    return begin


async def reach(run: Run, wait: str) -> None:
    """Waits until it waits."""
    text = WAITS[wait][2]
    await until(lambda: text in run.said, text)


@pytest.mark.parametrize("wait", WAITS)
async def test_it_is_told_to_end_while_it_waits(node: Node, start: Callable[..., Run], wait: str) -> None:
    event, does, _ = WAITS[wait]
    node.script("60.bad.script", f'[ "$1" != {event} ] || {does}')
    run = start()
    await reach(run, wait)
    daemon = run.daemon()
    held = {line.split()[2] for line in run.trace if line.startswith("takeip ")} if wait != "takeip" else set()
    assert run.end() == 0
    assert run.trace[-1] == "shutdown"
    released = {line.split()[2] for line in run.trace if line.startswith("releaseip ")}
    assert released == held
    assert not alive(daemon)


@pytest.mark.parametrize("event", ["startipreallocate", "ipreallocated", "releaseip"])
async def test_it_is_told_to_end_in_a_reallocation(node: Node, start: Callable[..., Run], event: str) -> None:
    """Also while it releases addresses: what is not known to be released is released once more."""
    node.script("60.hang.script", f'[ "$1" != {event} ] || [ -e "$CTDB_BASE/var/go" ] || exec sleep 1000')
    run = start()
    if event == "releaseip":
        await until(lambda: "of 2 are here" in run.said, "the addresses")
        run.command("stop")
    await until(lambda: any(line.split()[0] == event for line in run.trace), event)
    (node.var / "go").touch()
    assert run.end() == 0
    assert run.trace[-1] == "shutdown"


async def test_it_is_told_to_end_twice(node: Node, start: Callable[..., Run]) -> None:
    node.script("60.gate.script", '[ "$1" != shutdown ] || read -r line <"$CTDB_BASE/gate"')
    os.mkfifo(node.base / "gate")
    run = start()
    await until(lambda: "of 2 are here" in run.said, "the addresses")
    run.process.send_signal(signal.SIGTERM)
    await until(lambda: "shutdown" in run.trace, "shutdown")
    run.process.send_signal(signal.SIGINT)
    await until(lambda: "SIGINT: shutting down" in run.said, "the second signal")
    assert run.process.poll() is None
    (node.base / "gate").write_text("go\n")
    assert run.process.wait(TIMEOUT) == 0
    assert run.trace.count("shutdown") == 1


async def test_it_is_told_to_end_before_its_daemon_listens(node: Node, start: Callable[..., Run]) -> None:
    """The daemon reads its configuration, a pipe, and starts when the test has written it."""
    text = (node.base / "ctdb.conf").read_text()
    (node.base / "ctdb.conf").unlink()
    os.mkfifo(node.base / "ctdb.conf")
    run = start()
    await until((node.base / "run/node.socket").exists, "the node")
    assert run.command("health").returncode == 2
    run.process.send_signal(signal.SIGTERM)
    await until(lambda: "SIGTERM: shutting down" in run.said, "the signal")
    (node.base / "ctdb.conf").write_text(text)
    assert run.process.wait(TIMEOUT) == 0
    assert run.trace == ["shutdown"]


@pytest.mark.parametrize("event", EVENTS)
async def test_it_ends_when_the_daemon_is_killed_in_an_event(node: Node, start: Callable[..., Run], event: str) -> None:
    node.script("60.hang.script", f'[ "$1" != {event} ] || {{ echo $$ >"$CTDB_BASE/var/pid"; exec sleep 1000; }}')
    run = start()
    if event == "shutdown":
        await until(lambda: "of 2 are here" in run.said, "the addresses")
        run.process.send_signal(signal.SIGTERM)
    await until(lambda: node.read("pid").endswith("\n"), event)
    os.kill(run.daemon(), signal.SIGKILL)
    assert run.process.wait(TIMEOUT) == 1
    assert "ctdb-eventd has ended, exit status -9" in run.said
    assert "event daemon ended; now: failed" in run.said
    assert not (node.base / "run/node.socket").exists()
    await until(lambda: not alive(int(node.read("pid"))), "the end of the script")


@pytest.mark.parametrize("wait", WAITS)
async def test_it_ends_when_the_daemon_is_killed_while_it_waits(
    node: Node, start: Callable[..., Run], wait: str
) -> None:
    event, does, _ = WAITS[wait]
    node.script("60.bad.script", f'[ "$1" != {event} ] || {does}')
    run = start()
    await reach(run, wait)
    os.kill(run.daemon(), signal.SIGKILL)
    assert run.process.wait(TIMEOUT) == 1
    assert "event daemon ended; now: failed" in run.said


async def test_a_monitor_that_hangs_makes_unhealthy_after_so_many_timeouts(
    node: Node, start: Callable[..., Run]
) -> None:
    node.script("60.hang.script", '[ "$1" != monitor ] || [ ! -e "$CTDB_BASE/var/hang" ] || exec sleep 1000')
    run = start()
    await until(lambda: "of 2 are here" in run.said, "the addresses")
    (node.var / "hang").touch()
    for assignment in ("MonitorTimeoutCount=2", "EventScriptTimeout=1", "MonitorInterval=1"):
        run.command("set", assignment)
    await until(lambda: run.said.count("monitor: 60.hang: ") == 1, "the first timeout")
    # while it hangs the node can be asked, and moves addresses: its monitor gives way
    assert run.command("health").returncode == 0
    run.command("reallocate")
    await until(lambda: run.trace.count("ipreallocated") == 2, "a reallocation")
    await until(lambda: "the node is UNHEALTHY: 60.hang: " in run.said, "bad health")
    assert run.said.count("(timed-out)") >= 2
    await until(lambda: "2 addresses given up" in run.said, "the release")
    (node.var / "hang").unlink()
    await until(lambda: run.said.count("the node is HEALTHY") == 2, "good health")
    await until(lambda: run.said.count("2 taken; 2 of 2 are here") == 2, "the addresses")
    assert run.end() == 0


def test_a_startup_that_fails_fifty_times_is_tried_again(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """With a real event daemon; the node's clock jumps over its waits."""
    node.script("60.late.script", '[ "$1" != startup ] || [ "$(grep -c startup "$CTDB_BASE/var/trace")" -gt 50 ]')
    daemon = start_daemon(node)
    caplog.set_level("INFO", "ctdb-node")
    clock = trio.testing.MockClock(autojump_threshold=0.01)

    async def live() -> tuple[State, float]:
        living = LivingNode(str(node.base / "notify.sh"))
        began = anyio.current_time()

        def changed() -> None:
            if living.state is State.RUNNING:
                living.trigger(Trigger.END_REQUESTED)

        living.on_change = changed
        async with ctdb_event.connect(node.socket) as client:
            events = Events(client, lambda: 30, partial(living.trigger, Trigger.DAEMON_ENDED))
            end = await living.live(events, Hosting((), events, look=False))
        return end, anyio.current_time() - began

    end, seconds = anyio.run(live, backend="trio", backend_options={"clock": clock})
    daemon.stop()
    assert daemon.process.stderr is not None
    daemon.process.stderr.close()
    assert end is State.ENDED
    trace = node.read("trace").splitlines()
    assert trace == ["init", "setup", "startrecovery", "recovered", *["startup"] * 51, "shutdown"]
    assert round(seconds) == 1 + 2 + 4 + 8 + 16 + 45 * 30
    assert "trying again in 30 s, after 50 failures" in caplog.text
    assert caplog.text.count("60.late: no output (failed)") == 50


NO_OVERRIDE = (
    ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--inh-caps", "-all"]
    if os.geteuid() == 0
    else []
)
"""A root whom permissions bind."""
needs_setpriv = pytest.mark.skipif(
    bool(NO_OVERRIDE) and shutil.which("setpriv") is None, reason="setpriv is not installed"
)


@needs_setpriv
@pytest.mark.parametrize("name", ["var", "run"])
def test_a_directory_that_cant_be_written_to_is_said(node: Node, start: Callable[..., Run], name: str) -> None:
    (node.base / name).chmod(0o500)
    run = start(*NO_OVERRIDE)
    try:
        status = run.process.wait(TIMEOUT)
    finally:
        (node.base / name).chmod(0o700)
    assert status == 1
    assert f"{node.base}/{name}" in run.said
    assert "Permission denied" in run.said or "can't be written" in run.said
    assert not (node.base / "run/node.socket").exists()


async def test_nonsense_on_the_control_socket_changes_nothing(node: Node, start: Callable[..., Run]) -> None:
    run = start()
    await until(lambda: run.status()["state"], "the node")
    lines = [
        b'["set"]',
        b'["set", 1]',
        b"[1]",
        b"[]",
        b"{}",
        b"1",
        b"null",
        b'[["status"]]',
        b"[" * 60000,
        b"\xff",
        b"",
    ]
    for line in lines:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT)
            client.connect(str(node.base / "run/node.socket"))
            client.sendall(line + b"\n")
            answer = client.recv(4096)
        assert not answer or "error" in json.loads(answer), line
        assert run.process.poll() is None, line
    assert run.status()["state"] is not None
    assert run.end() == 0


FAILURES = {
    "init": ["init"],
    "setup": ["init", "setup"],
    "startrecovery": ["init", "setup", "startrecovery", "startrecovery", "recovered", "startup"],
    "recovered": ["init", "setup", "startrecovery", "recovered", "startrecovery", "recovered", "startup"],
    "startup": ["init", "setup", "startrecovery", "recovered", "startup", "startup", "monitor"],
    "startipreallocate": ["startipreallocate", "startipreallocate", "takeip", "takeip", "ipreallocated"],
    "takeip": [
        "startipreallocate",
        "takeip",
        "takeip",
        "ipreallocated",
        "startipreallocate",
        "takeip",
        "ipreallocated",
    ],
    "ipreallocated": ["startipreallocate", "takeip", "takeip", "ipreallocated", "startipreallocate", "ipreallocated"],
    "releaseip": ["startipreallocate", "releaseip", "releaseip", "ipreallocated", "startipreallocate", "releaseip"],
    "shutdown": ["releaseip", "releaseip", "shutdown"],
}
"""What is run, in this order, if a script fails once in an event."""


@pytest.mark.parametrize("event", FAILURES)
async def test_a_script_that_fails_once_in_an_event(node: Node, start: Callable[..., Run], event: str) -> None:
    once = 'mkdir "$CTDB_BASE/var/failed" 2>/dev/null || exit 0; echo broken; exit 1'
    node.script("60.bad.script", f'[ "$1" != {event} ] || {{ {once}; }}')
    run = start()
    expected = FAILURES[event]

    def events() -> list[str]:
        return [line.split()[0] for line in run.trace]

    if event in ("init", "setup"):
        assert run.process.wait(TIMEOUT) == 1
        assert events() == expected
        return
    await until(lambda: "of 2 are here" in run.said, "the addresses")
    if event == "releaseip":
        run.command("stop")
        await until(lambda: "0 of 2 are here" in run.said, "the release")
    if event == "shutdown":
        assert run.end() == 0
    assert " ".join(expected) in " ".join(events())
    assert "60.bad: broken (failed)" in run.said
