"""However often a client does something wrong, and however long it is, the log grows by little."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from native_client import Refused, native_client
from nodes import TIMEOUT, Node, connect, running_daemon

from ctdb_eventd.protocol import frames

KNOCK = """
import os, socket
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for _ in range(300):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect("eventd.socket")
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_refused_connections_are_logged_once_a_minute(tmp_path: Path) -> None:
    node = Node(tmp_path)
    async with running_daemon(node):
        os.chmod(node.socket, 0o777)
        os.chmod(node.base / "run", 0o755)
        subprocess.run(
            [sys.executable, "-c", KNOCK],
            cwd=node.base / "run",
            check=True,
            timeout=TIMEOUT,
        )
    assert node.log.count("refused, it may neither read nor operate") == 1


async def test_broken_packets_are_logged_once_a_minute(tmp_path: Path) -> None:
    node = Node(tmp_path)
    async with running_daemon(node):
        for _ in range(50):
            with connect(node.socket) as client:
                client.sendall(frames.PREFACE + frames.frame(b"\xc1"))
                assert client.recv(1) == b""
        for _ in range(50):
            with connect(node.socket) as client:
                client.sendall(frames.PREFACE + b"\0")
                client.shutdown(1)
                assert client.recv(1) == b""
    assert node.log.count("invalid packet, connection closed") == 1
    assert node.log.count("connection ended inside a packet") == 1


async def test_what_is_asked_for_in_vain_is_logged_once_a_minute(tmp_path: Path) -> None:
    node = Node(tmp_path)
    async with running_daemon(node) as daemon, native_client(daemon) as client, daemon.client() as other:
        for number in range(50):
            for method in ("run", "status"):
                with pytest.raises(Refused):
                    await client.call(method, component=f"nowhere{number}", event="startup")
                with pytest.raises(Refused):
                    await client.call(method, component="legacy", event=f"a/{number}")
            assert await other.run(f"a/{number}") == errno.EINVAL
            assert await other.run("startup", component=f"nowhere{number}") == errno.ENOENT
    warnings = [line for line in node.log.splitlines() if "nowhere" in line or "a/" in line]
    assert len([line for line in warnings if " is invalid: " in line]) == 1
    assert len([line for line in warnings if ": component nowhere" in line and " refused: " not in line]) == 1


async def test_long_requests_make_no_long_lines(tmp_path: Path) -> None:
    node = Node(tmp_path)
    long = "\u202e" * 300_000
    requests: list[tuple[str, dict[str, object]]] = [
        (long, {}),
        ("run", {"component": long, "event": "x"}),
        ("run", {"component": "legacy", "event": long}),
        ("run", {"component": "nowhere", "event": "x", "args": [long]}),
        ("run", {"component": "legacy", "event": "monitor", "args": [long]}),
        ("run", {"component": "legacy", "event": "x", "args": [long + "\0"]}),
        ("enable", {"component": "legacy", "script": long}),
        ("scripts", {"component": long}),
        ("lock", {"names": [long]}),
        ("cancel", {"run": long}),
        ("hello", {"client": long}),
        ("subscribe", {"kinds": [long]}),
        ("status", {"component": "legacy", "event": "x", "address": long}),
    ]
    node.script("10.a.script", "exit 1")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        for method, params in requests:
            with contextlib.suppress(Refused):
                await client.call(method, **params)
    assert "\u202e" not in node.log
    assert max(map(len, node.log.splitlines())) < 8400
