"""A node's directories and a daemon with replies set by the test, for tests of the command line."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from threaded_listener import ThreadedListener


def add_script(path: Path, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(mode)


def build_node(base: Path) -> None:
    """Lays out a node: provided and local scripts in every state that the commands for scripts distinguish."""
    for name in ("run", "var", "events/empty", "events/one", "share/events/empty", "events/both", "share/events/both"):
        (base / name).mkdir(parents=True, exist_ok=True)
    events, provided = base / "events", base / "share" / "events"
    for name in ("00.ctdb", "10.interface", "40.plain", "50.dang", "60.rel", "80.other", "85.same", "46.x.y", "5.x"):
        add_script(provided / "both" / f"{name}.script")
    add_script(provided / "both" / "20.off.script", 0o644)
    (provided / "both" / "README").touch()
    links = {
        "00.ctdb": f"{provided}/both/00.ctdb.script",
        "20.off": f"{provided}/both/20.off.script",
        "50.dang": "/nonexistent",
        "60.rel": "../../share/events/both/60.rel.script",
        "80.other": f"{provided}/both/10.interface.script",
        "86.renamed": f"{provided}/both/85.same.script",
        "92.localdang": "/nonexistent",
        "98.linkoff": "91.localoff.script",
    }
    for name, target in links.items():
        (events / "both" / f"{name}.script").symlink_to(target)
    for name in ("40.plain", "90.local", "95.x.y", "README"):
        add_script(events / "both" / f"{name}.script")
    add_script(events / "both" / "91.localoff.script", 0o644)
    add_script(events / "both" / "96.group.script", 0o655)
    add_script(events / "both" / "97.backup.script~")
    add_script(events / "onlylocal" / "10.a.script")
    add_script(provided / "onlyprovided" / "10.a.script")
    add_script(events / "one" / "10.a.script")
    add_script(provided / "one" / "20.b.script")
    (events / "odd" / "10.directory.script").mkdir(parents=True)
    os.mkfifo(events / "odd" / "20.fifo.script")


def text(value: bytes | None) -> bytes:
    """Encodes a string of the wire, independently of the code under test."""
    return b"\0\0\0\0" if value is None else struct.pack("=I", len(value) + 1) + value + b"\0"


def report(
    name: bytes, result: int, output: bytes | None = None, *, begin: float = 100.0, seconds: float = 0.002
) -> bytes:
    """Encodes one script of a STATUS reply; times in seconds since the epoch."""
    start, end = round(begin * 1_000_000), round((begin + seconds) * 1_000_000)
    times = struct.pack("=qqqq", *divmod(start, 1_000_000), *divmod(end, 1_000_000))
    return text(name) + times + struct.pack("=i", result) + text(output)


def packet(reqid: int, body: bytes) -> bytes:
    return struct.pack("=III", 12 + len(body), 0, reqid) + body


def plain_reply(command: int, result: int) -> bytes:
    return packet(1, struct.pack("=Ii", command, result))


def status_reply(summary: int, *reports: bytes) -> bytes:
    return packet(1, struct.pack("=Iiii", 2, 0, summary, len(reports)) + b"".join(reports))


class FakeDaemon:
    """Accepts connections; on each it records one request, sends `answer(request)` and closes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[bytes] = []
        self.answer: Callable[[bytes], bytes] = lambda request: b""
        self._listener = ThreadedListener(path, self._serve)
        self.close = self._listener.close

    def reply(self, data: bytes) -> None:
        """Answers every request with these bytes."""
        self.answer = lambda request: data

    def _serve(self, connection: socket.socket) -> None:
        request = self._receive(connection)
        self.requests.append(request)
        connection.sendall(self.answer(request))

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        data = connection.recv(4)
        while len(data) < struct.unpack_from("=I", data)[0]:
            data += connection.recv(1 << 16)
        return data
