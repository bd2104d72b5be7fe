"""A node's directories, a real daemon on them, and a raw client, for acceptance tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from client_end import decode_reply, encode_request

from ctdb_event.framing import Splitter
from ctdb_eventd.model import EventReport, EventSpec
from ctdb_eventd.protocol import packet
from ctdb_eventd.protocol.messages import Reply, Request, RunReply, RunRequest, StatusReply, StatusRequest
from ctdb_eventd.runner.cgroups import NoCgroups, base_for

TIMEOUT = 60.0
"""Seconds for whatever a test waits for, however slow the machine is: a test that reaches it has failed."""


class Node:
    """The directories of one node, in the test layout."""

    def __init__(self, base: Path) -> None:
        self.base = base
        for name in ("events/legacy", "share/events/legacy", "run", "var"):
            (base / name).mkdir(parents=True, exist_ok=True)
        self.socket = str(base / "run" / "eventd.socket")
        self.configure("")

    def configure(self, text: str) -> None:
        """Writes ctdb.conf: the log into the node's own file, then `text`."""
        (self.base / "ctdb.conf").write_text(
            f"[logging]\n  location = file:{self.base}/log\n  log level = DEBUG\n{text}"
        )

    def script(self, name: str, body: str, *, component: str = "legacy", mode: int = 0o755) -> Path:
        """Writes an event script; `body` follows a `#!/bin/sh` line."""
        return self.file(name, f"#!/bin/sh\n{body}\n", component=component, mode=mode)

    def file(self, name: str, text: str, *, component: str = "legacy", mode: int = 0o755) -> Path:
        """Writes any file into a component's directory."""
        path = self.base / "events" / component / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    @property
    def environ(self) -> dict[str, str]:
        """The environment for daemons and commands of this node."""
        return {**os.environ, "CTDB_TEST_MODE": "1", "CTDB_BASE": str(self.base)}

    @property
    def log(self) -> str:
        """The log so far."""
        path = self.base / "log"
        return path.read_text(errors="surrogateescape") if path.exists() else ""

    def read(self, name: str) -> str:
        """Returns the content of a file in the state directory, where test scripts write; empty if there is none."""
        path = self.base / "var" / name
        return path.read_text() if path.exists() else ""

    @property
    def var(self) -> Path:
        """The state directory."""
        return self.base / "var"


class Client:
    """One connection to the daemon; requests may overlap."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._packets = Splitter(packet.packet_length, packet.DEFAULT_MAX_REPLY)
        self._reqid = 0
        self._replies: dict[int, Reply] = {}
        self.order: list[int] = []

    def send(self, request: Request) -> int:
        """Sends a request and returns its id, without waiting."""
        self._reqid += 1
        self.writer.write(encode_request(self._reqid, request))
        return self._reqid

    async def reply(self, reqid: int) -> Reply:
        """Waits for the reply to a request; ConnectionError if the daemon closes first."""
        while reqid not in self._replies:
            received = self._packets.next()
            if received is not None:
                request_id, answer = decode_reply(received)
                self._replies[request_id] = answer
                self.order.append(request_id)
                continue
            data = await asyncio.wait_for(self._reader.read(65536), TIMEOUT)
            if not data:
                raise ConnectionError("the daemon closed the connection")
            self._packets.receive_data(data)
        return self._replies.pop(reqid)

    def start(self, event: str, *args: str, component: str = "legacy", limit: int = 30, run_all: bool = False) -> int:
        """Requests an event and returns the request id, without waiting for its end."""
        spec = EventSpec(component=component, event=event, args=args, timeout=limit, run_all=run_all)
        return self.send(RunRequest(spec))

    async def run(
        self, event: str, *args: str, component: str = "legacy", limit: int = 30, run_all: bool = False
    ) -> int:
        """Runs an event to its end and returns the result: 0 or an errno."""
        return await self.result(self.start(event, *args, component=component, limit=limit, run_all=run_all))

    async def result(self, reqid: int) -> int:
        """Waits for the end of an event."""
        reply = await self.reply(reqid)
        assert isinstance(reply, RunReply)
        return reply.result

    async def status(self, event: str, component: str = "legacy") -> EventReport:
        """Asks for an event's report, which must be there."""
        reply = await self.reply(self.send(StatusRequest(component, event)))
        assert isinstance(reply, StatusReply)
        assert reply.report is not None, os.strerror(reply.result)
        return reply.report

    async def at_eof(self) -> bool:
        """Waits until the daemon closes the connection; False if it sends something instead."""
        try:
            return await asyncio.wait_for(self._reader.read(1), TIMEOUT) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Closes the connection."""
        self.writer.close()


class Daemon:
    """A running daemon process."""

    def __init__(self, node: Node, process: subprocess.Popen[bytes]) -> None:
        self.node = node
        self.process = process

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Connects, and closes the connection at the end of the block."""
        reader, writer = await asyncio.open_unix_connection(self.node.socket)
        client = Client(reader, writer)
        try:
            yield client
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def memory(self) -> int:
        """Returns its resident memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def descriptors(self) -> list[str]:
        """Lists what the daemon has open.

        Without the history's file, which it opens shortly after the start, and the cgroup in which it stays between
        two events.
        """
        links = []
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(f"/proc/{self.process.pid}/fd/{name}"))
        cgroup = next((link for link in links if link.endswith("/cgroup.procs")), None)
        return sorted(link for link in links if link != cgroup and "/history/history.db" not in link)

    async def idle_descriptors(self) -> list[str]:
        """Lists what the daemon has open when no event runs; an event's cgroup is closed shortly after its reply."""
        await until(lambda: not any("cgroup.procs" in link for link in self.descriptors()), "cgroups to be closed")
        return self.descriptors()

    def descriptor_count(self) -> int:
        """Returns how many descriptors the daemon has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def children(self) -> list[int]:
        """Returns the pids of the daemon's children including zombies, without its guardian."""
        return [pid for pid in children_of(self.process.pid) if not _is_guardian(pid)]

    def guardians(self) -> list[int]:
        """Returns the pid of its guardian, if that has been started."""
        return [pid for pid in children_of(self.process.pid) if _is_guardian(pid)]

    async def guardian(self) -> int:
        """Waits until it has a guardian, which is started after it listens; returns the pid."""
        await until(self.guardians, "the guardian")
        (pid,) = self.guardians()
        return pid

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the daemon and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(TIMEOUT)


def children_of(parent: int) -> list[int]:
    """Returns the pids of a process's children."""
    return [pid for pid, (_, its_parent) in _processes() if its_parent == parent]


def command_of(pid: int) -> str:
    """Returns a process's command line, empty for a zombie or one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _is_guardian(pid: int) -> bool:
    return " script-guardian " in command_of(pid)


def can_make_cgroups() -> bool:
    """Tries whether a daemon that is started here can create cgroups."""
    try:
        os.mkdir(base := base_for(os.getpid()))
        os.rmdir(base)
    except (NoCgroups, OSError):
        return False
    return True


def alive(pid: int) -> bool:
    """Returns whether a process lives; a zombie doesn't, since there may be no parent to reap it."""
    return any(pid == its_pid and state not in "ZX" for its_pid, (state, _) in _processes())


def _processes() -> Iterator[tuple[int, tuple[str, int]]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()
                yield int(name), (fields[0], int(fields[1]))


async def until(condition: Callable[[], object], what: str) -> None:
    """Waits until `condition` returns something true; fails with `what` after `TIMEOUT`."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        await asyncio.sleep(0.01)


async def until_async(condition: Callable[[], Awaitable[object]], what: str) -> None:
    """Like `until`, for a condition that has to be awaited."""
    deadline = time.monotonic() + TIMEOUT
    while not await condition():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        await asyncio.sleep(0.01)


def start_daemon(
    node: Node, *options: str, environ: dict[str, str] | None = None, prefix: Sequence[str] = ()
) -> Daemon:
    """Starts a daemon, with `prefix` before the command, and returns when it has reported that it listens."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "ctdb_eventd", "-S", str(write_end), *options],
        env={**node.environ, **(environ or {})},
        cwd=node.base,
        pass_fds=[write_end],
        stderr=subprocess.PIPE,
    )
    os.close(write_end)
    with open(read_end, "rb", buffering=0) as pipe:
        if pipe.read(4) == struct.pack("=I", 0):
            return Daemon(node, process)
    _, errors = process.communicate(timeout=TIMEOUT)
    raise AssertionError(f"the daemon did not start: exit status {process.returncode}, {errors.decode()}")


@contextlib.asynccontextmanager
async def running_daemon(
    node: Node, *options: str, environ: dict[str, str] | None = None, prefix: Sequence[str] = ()
) -> AsyncIterator[Daemon]:
    """Runs a daemon during the block, and checks that it ends cleanly and leaves neither socket nor errors."""
    daemon = start_daemon(node, *options, environ=environ, prefix=prefix)
    try:
        yield daemon
        status = daemon.stop()
        # SIGKILL by the test: its descriptors are closed, which others notice, before it can be waited for
        killed = status == -signal.SIGKILL
        assert killed or status == 0, f"exit status {status}\n{node.log}"
        assert killed or not Path(node.socket).exists()
        assert "this is a bug" not in node.log, node.log
        assert "Traceback" not in node.log, node.log
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        assert daemon.process.stderr is not None
        errors = daemon.process.stderr.read().decode()
        daemon.process.stderr.close()
    assert errors == ""


def socket_mode(path: str) -> int:
    """Returns a socket's permission bits."""
    status = os.stat(path)
    assert stat.S_ISSOCK(status.st_mode)
    return stat.S_IMODE(status.st_mode)


def connect(path: str) -> socket.socket:
    """Opens a blocking connection, for bytes that no client would send."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(TIMEOUT)
    client.connect(path)
    return client
