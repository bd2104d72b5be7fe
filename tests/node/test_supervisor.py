"""A service manager in the test, with a real socket, and a node that notifies it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from node_runs import Run
from nodes import TIMEOUT, Node, until

from ctdb_node.supervisor import Supervisor

UNIT = Path(__file__).resolve().parents[2] / "contrib/systemd/ctdb-node.service"


class Manager:
    """What a service manager has: the socket, and what came there."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self.came: list[list[str]] = []

    def read(self) -> list[list[str]]:
        """All datagrams up to now, as lines."""
        while True:
            try:
                self.came.append(self.socket.recv(65536).decode().split("\n"))
            except BlockingIOError:
                return self.came

    @property
    def lines(self) -> list[str]:
        return [line for datagram in self.read() for line in datagram]

    def says(self, text: str) -> bool:
        """Returns whether the latest status has this in it."""
        return text in next((line for line in reversed(self.lines) if line.startswith("STATUS=")), "")


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"@ctdb-node-test-{os.getpid()}")
    yield made
    made.socket.close()


@pytest.fixture
def node(node: Node) -> Node:
    node.script("50.trace.script", 'echo "$*" >>"$CTDB_BASE/var/trace"; env >"$CTDB_BASE/var/environ"')
    return node


async def test_a_life_as_the_service_manager_sees_it(node: Node, manager: Manager, runs: list[Run]) -> None:
    node.script(
        "60.ill.script", '[ "$1" != monitor ] || [ ! -e "$CTDB_BASE/var/ill" ] || { echo "disk full"; exit 1; }'
    )
    node.script("70.gate.script", '[ "$1" != setup ] || read -r line <"$CTDB_BASE/gate"')
    os.mkfifo(node.base / "gate")
    run = Run(node, NOTIFY_SOCKET=manager.address)
    runs.append(run)
    await until(lambda: "setup" in run.trace, "setup")
    assert "READY=1" not in manager.lines
    (node.base / "gate").write_text("go\n")
    await until(lambda: manager.says("running, HEALTHY; 2 of 2 addresses are here"), "health")
    lines = manager.lines
    assert lines.index("READY=1") > lines.index(
        "STATUS=setup, UNHEALTHY: no monitor event has succeeded yet; 0 of 2 addresses are here"
    )
    assert "READY=1" in lines[: lines.index(next(line for line in lines if line.startswith("STATUS=startup,")))]
    assert not any(line.startswith("WATCHDOG") for line in lines)
    assert "NOTIFY_SOCKET" not in node.read("environ")

    (node.var / "ill").touch()
    run.command("set", "MonitorInterval=1")
    await until(lambda: manager.says("running, UNHEALTHY: 60.ill: disk full; 0 of 2 addresses"), "bad health")
    (node.var / "ill").unlink()
    await until(lambda: manager.says("running, HEALTHY; 2 of 2"), "good health")
    assert run.end() == 0
    assert manager.lines.index("STOPPING=1") < manager.lines.index(
        next(line for line in manager.lines if "STATUS=ended" in line)
    )


async def test_a_reload_begins_and_ends(node: Node, manager: Manager, runs: list[Run]) -> None:
    run = Run(node, NOTIFY_SOCKET=manager.address)
    runs.append(run)
    await until(lambda: manager.says("2 of 2"), "the addresses")
    (node.base / "public_addresses").write_text("10.0.0.1/16 eth0\n10.0.0.3/24 eth0\n")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    already = len(manager.read())
    run.process.send_signal(signal.SIGHUP)
    await until(lambda: ["READY=1"] in manager.read()[already:], "the end of the reload")
    began = next(datagram for datagram in manager.came[already:] if datagram[0] == "RELOADING=1")
    assert manager.came.index(began) < already + manager.came[already:].index(["READY=1"])
    name, _, value = began[1].partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    await until(lambda: run.trace.count("ipreallocated") == 2, "the reallocation")
    last = run.trace[run.trace.index("ipreallocated") + 1 :]
    assert last[0] == "startipreallocate"
    assert sorted(last[1:3]) == ["releaseip eth0 10.0.0.1 24", "releaseip eth1 fd00::2 64"]
    assert sorted(last[3:5]) == ["takeip eth0 10.0.0.1 16", "takeip eth0 10.0.0.3 24"]
    await until(lambda: manager.says("2 of 2"), "the addresses")
    assert "public addresses were read again: 2" in run.said

    (node.base / "public_addresses").write_text("10.0.0.9 eth0\n")
    node.configure("[eventd]\n  nonsense = 1\n")
    already = len(manager.read())
    run.process.send_signal(signal.SIGHUP)
    await until(lambda: ["READY=1"] in manager.read()[already:], "the end of the reload")
    assert f"continuing with the former public addresses: {node.base}/public_addresses:1: '10.0.0.9' has no" in run.said
    assert "ctdb-eventd continues with its former configuration: " in run.said
    assert manager.says("2 of 2")
    assert run.end() == 0


async def test_signs_of_life_come_only_while_the_event_daemon_answers(
    node: Node, manager: Manager, runs: list[Run]
) -> None:
    run = Run(node, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="200000")
    runs.append(run)
    await until(lambda: manager.lines.count("WATCHDOG=1") >= 3, "signs of life")
    daemon = run.daemon()
    os.kill(daemon, signal.SIGSTOP)
    try:
        seen = manager.lines.count("WATCHDOG=1")
        # time for ten of them; one may have been on its way
        await anyio.sleep(1)
        assert manager.lines.count("WATCHDOG=1") <= seen + 1
        seen = len(manager.lines)
    finally:
        os.kill(daemon, signal.SIGCONT)
    await until(lambda: "WATCHDOG=1" in manager.lines[seen:], "signs of life again")
    assert run.end() == 0


async def test_a_service_manager_that_has_gone_doesnt_stop_the_node(node: Node, runs: list[Run]) -> None:
    manager = Manager(str(node.base / "notify"))
    run = Run(node, NOTIFY_SOCKET=manager.address)
    runs.append(run)
    await until(lambda: manager.says("2 of 2"), "the addresses")
    manager.socket.close()
    run.command("stop")
    await until(lambda: run.trace[-1:] == ["ipreallocated"] and "releaseip eth0 10.0.0.1 24" in run.trace, "stop")
    assert run.end() == 0
    assert run.said.count("can't notify the service manager any more: Connection refused") == 1


@pytest.mark.parametrize(
    ("address", "why"),
    [("/nonexistent/notify", "No such file or directory"), ("vsock:2:1", "expected the path of a socket, or @")],
)
async def test_a_socket_that_isnt_there_is_said(
    address: str, why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}
    supervisor = Supervisor(environ)
    supervisor.notify("READY=1")
    await supervisor.serve()
    assert f"can't notify the service manager, NOTIFY_SOCKET={address}: " in caplog.text
    assert why in caplog.text
    assert supervisor.watchdog is None
    assert environ == {}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
async def test_signs_of_life_are_wanted_by_the_environment(
    environ: dict[str, str], expected: float | None, manager: Manager
) -> None:
    supervisor = Supervisor({**environ, "NOTIFY_SOCKET": manager.address})
    assert supervisor.watchdog == expected
    with anyio.move_on_after(0):
        await supervisor.serve()


async def test_what_the_service_manager_doesnt_read_is_kept_in_order(manager: Manager) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": manager.address})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.serve)
        sent = 0
        while not supervisor._pending:
            supervisor.notify("FILL=1")
            sent += 1
        supervisor.notify("STATUS=old")
        supervisor.notify("RELOADING=1", "MONOTONIC_USEC=1")
        supervisor.notify("WATCHDOG=1")
        supervisor.notify("STATUS=new")
        supervisor.notify("WATCHDOG=1")
        supervisor.notify("READY=1")
        await until_all(manager, sent + 4)
        tasks.cancel_scope.cancel()
    expected = [["RELOADING=1", "MONOTONIC_USEC=1"], ["STATUS=new"], ["WATCHDOG=1"], ["READY=1"]]
    assert manager.came[sent:] == expected


async def until_all(manager: Manager, number: int) -> None:
    await until(lambda: len(manager.read()) >= number, f"{number} datagrams")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_in_the_unit(tmp_path: Path) -> None:
    """But for the place of the program, which is where it is here, and for keys that an older systemd passes over."""
    program = Path(sys.executable).parent / "ctdb-node"
    unit = tmp_path / "ctdb-node.service"
    unit.write_text(UNIT.read_text().replace("/opt/ctdb-eventd/.venv/bin/ctdb-node", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=TIMEOUT
    )
    said = [line for line in done.stderr.splitlines() if str(unit) in line or unit.name in line]
    assert [line for line in said if "DelegateSubgroup" not in line] == []
