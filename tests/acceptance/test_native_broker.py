"""The native dialect on a real daemon: who it is, its scripts, its configuration, and clients that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import resource
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from native_client import NativeClient, Refused, native_client
from nodes import TIMEOUT, Daemon, Node, alive, connect, running_daemon, start_daemon, until

from ctdb_event.dialects import NativeDialect
from ctdb_eventd import __version__
from ctdb_eventd.config import Config
from ctdb_eventd.dispatcher.methods import Methods
from ctdb_eventd.events import CATALOGUE
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.messages import Note

SCRIPT = """
[ -p "$CTDB_BASE/var/gate-$1" ] && { echo $$ > "$CTDB_BASE/var/pid-$1"; read line < "$CTDB_BASE/var/gate-$1"; }
exit 0
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("10.first.script", SCRIPT)
    return node


def read_all(client: socket.socket) -> bytes:
    """Reads until the daemon closes."""
    data = b""
    while True:
        try:
            more = client.recv(65536)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def contents(data: bytes) -> list[dict[str, Any]]:
    """What the frames in `data` hold."""
    found = []
    while data:
        length = 4 + struct.unpack(">I", data[:4])[0]
        found.append(frames.unpack(data[:length])[1])
        data = data[length:]
    return found


async def refused(client: NativeClient, method: str, **params: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await client.call(method, **params)
    return caught.value


# ---------------------------------------------------------------------- the broker itself


async def test_hello_says_who_it_is_and_what_it_can_do(node: Node) -> None:
    before = time.time()
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        answer = await client.call("hello", client="a test 1.0")
        assert answer.keys() == {"version", "server", "pid", "started", "methods", "limits"}
        assert (answer["version"], answer["server"]) == (frames.VERSION, f"ctdb-eventd {__version__}")
        assert answer["pid"] == daemon.process.pid
        assert before <= answer["started"] <= time.time()
        assert sorted(answer["methods"]) == sorted(Methods.NAMES)
        limits = {"packet": Config().max_packet, "requests": 16384, "unsent": 1 << 18, "subscriptions": 100}
        assert answer["limits"] == limits
        assert (await client.call("hello"))["pid"] == answer["pid"], "it may be said again"
        assert f"client {os.getpid()} (uid {os.geteuid()}) is a test 1.0" in node.log


async def test_every_method_that_hello_names_is_known(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        for method in (await client.call("hello"))["methods"]:
            with contextlib.suppress(Refused):
                if method == "subscribe":
                    await client.call("cancel", call=client.start(method))
                else:
                    await client.call(method)
        assert "NoSuchMethod" not in node.log


async def test_ping_is_answered_with_nothing(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        assert await client.call("ping", whatever=[1, 2]) == {}


async def test_an_unknown_method_is_an_error_with_those_there_are(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        error = await refused(client, "explode")
        assert (error.code, error.kind, error.data["method"]) == ("ENOSYS", "NoSuchMethod", "explode")
        assert "ping" in error.data["methods"]
        assert await client.call("ping") == {}


async def test_stats_count_what_there_is(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client, native_client(daemon) as other:
        watch = other.start("subscribe")
        await other.call("ping")
        await client.call("run", component="legacy", event="startup")
        stats = await client.call("stats")
        assert stats.keys() == {
            *("version", "pid", "started", "uptime", "processor_seconds", "memory", "descriptors", "clients"),
            *("subscribers", "requests", "notes_lost", "runs", "scripts_started", "queued", "running", "slots"),
        }
        assert (stats["version"], stats["pid"]) == (__version__, daemon.process.pid)
        assert (stats["clients"], stats["subscribers"], stats["notes_lost"]) == (2, 1, 0)
        assert stats["runs"] == {"success": 1, "failed": 0, "timed-out": 0, "cancelled": 0}
        assert (stats["scripts_started"], stats["queued"], stats["running"]) == (1, 0, 0)
        assert stats["slots"].keys() == {"running", "waiting", "free_limit", "limit"}
        assert (stats["slots"]["running"], stats["slots"]["waiting"]) == (0, 0)
        assert stats["slots"]["limit"] == Config().max_scripts
        assert stats["memory"] > 1 << 20
        assert len(daemon.descriptors()) <= stats["descriptors"] <= daemon.descriptor_count()
        assert 0 < stats["processor_seconds"]
        assert 0 < stats["uptime"] <= time.time() - stats["started"] + 1
        assert stats["requests"] == 4
        assert (await client.call("stats"))["requests"] == 5
        await other.call("cancel", call=watch)


# ---------------------------------------------------------------------- components, scripts, events


async def test_components_and_how_many_of_their_scripts_are_enabled(node: Node) -> None:
    node.script("20.off.script", "exit 0", mode=0o644)
    node.file("README", "no script")
    node.script("10.web.script", "exit 0", component="web")
    (node.base / "events" / "empty").mkdir()
    (node.base / "events" / "a file").write_text("")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        events = node.base / "events"
        assert await client.call("components") == [
            {"name": "empty", "directory": f"{events}/empty", "scripts": 0, "enabled": 0, "error": None},
            {"name": "legacy", "directory": f"{events}/legacy", "scripts": 2, "enabled": 1, "error": None},
            {"name": "web", "directory": f"{events}/web", "scripts": 1, "enabled": 1, "error": None},
        ]


async def test_components_that_are_not_there_are_an_error_of_the_system(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        (node.base / "events").rename(node.base / "elsewhere")
        error = await refused(client, "components")
        assert (error.code, error.kind, error.data["path"]) == ("ENOENT", "OSError", f"{node.base}/events")


async def test_scripts_and_what_is_to_be_said_of_them(node: Node) -> None:
    directory = node.base / "events" / "legacy"
    provided = node.base / "share" / "events" / "legacy" / "30.linked.script"
    provided.write_text("#!/bin/sh\nexit 0\n")
    provided.chmod(0o755)
    (directory / "30.linked.script").symlink_to(provided)
    (directory / "40.gone.script").symlink_to("/nowhere/40.gone.script")
    node.script("20.locked.script", "# ctdb-eventd-locks: routes iptables\nexit 0", mode=0o644)
    node.file("notes.txt", "no script")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        answer = await client.call("scripts", component="legacy")
        assert answer.keys() == {"component", "directory", "scripts", "refused"}
        assert (answer["component"], answer["directory"]) == ("legacy", str(directory))
        by_name = {script["name"]: script for script in answer["scripts"]}
        assert list(by_name) == ["10.first", "20.locked", "30.linked", "40.gone"]
        for name, script in by_name.items():
            known = {"name", "path", "target", "enabled", "reason", "warnings", "locks", "events", "known_from"}
            assert script.keys() == known | {"owner", "modified", "digest"}
            assert script["path"] == f"{directory}/{name}.script"
        assert [script["enabled"] for script in by_name.values()] == [True, False, True, False]
        assert (by_name["10.first"]["target"], by_name["10.first"]["reason"]) == (None, None)
        assert by_name["20.locked"]["reason"]
        linked, status = by_name["30.linked"], provided.stat()
        assert (linked["owner"], linked["modified"]) == (status.st_uid, status.st_mtime)
        assert linked["digest"] == hashlib.sha256(provided.read_bytes()).hexdigest()
        assert [by_name["40.gone"][key] for key in ("owner", "modified", "digest")] == [None] * 3
        assert sorted(by_name["20.locked"]["locks"]) == ["iptables", "routes"]
        assert by_name["30.linked"]["target"] == str(provided)
        assert "/nowhere/40.gone.script" in by_name["40.gone"]["reason"]
        assert [file["path"] for file in answer["refused"]] in ([], [f"{directory}/notes.txt"])


@pytest.mark.parametrize(
    ("component", "code", "kind"), [("web", "ENOENT", "NoSuchComponent"), ("..", "EINVAL", "InvalidName")]
)
async def test_scripts_of_what_is_no_component(node: Node, component: str, code: str, kind: str) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        error = await refused(client, "scripts", component=component)
        assert (error.code, error.kind) == (code, kind)


async def test_events_are_those_of_a_nodes_life_in_order(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        events = await client.call("events")
        assert [event["name"] for event in events] == list(CATALOGUE)
        assert all(event.keys() == {"name", "mode", "args"} for event in events)
        by_name = {event["name"]: event for event in events}
        assert by_name["takeip"] == {
            **{"name": "takeip", "mode": "address"},
            "args": ["interface", "address", "netmask bits"],
        }
        assert (by_name["monitor"]["mode"], by_name["startup"]["mode"]) == ("monitor", "exclusive")


async def test_scripts_are_disabled_and_enabled_and_the_next_event_knows(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        states = []
        for method in ("disable", "disable", "enable", "enable"):
            assert await client.call(method, component="legacy", script="10.first") == {}
            result = await client.call("run", component="legacy", event="startup")
            states.append(result["scripts"][0]["state"])
        assert states == ["disabled", "disabled", "ok", "ok"]
        assert "legacy: script 10.first disabled" in node.log


@pytest.mark.parametrize(
    ("params", "code", "kind"),
    [
        ({"component": "legacy", "script": "10.other"}, "ENOENT", "NoSuchScript"),
        ({"component": "legacy", "script": "../10.x"}, "EINVAL", "InvalidName"),
        ({"component": "a/b", "script": "10.first"}, "EINVAL", "InvalidName"),
        ({"component": "legacy", "script": "50.dir"}, "EINVAL", "NotAFile"),
        ({"component": "legacy"}, "EINVAL", "InvalidParameter"),
    ],
)
async def test_what_can_not_be_enabled(node: Node, params: dict[str, Any], code: str, kind: str) -> None:
    (node.base / "events" / "legacy" / "50.dir.script").mkdir()
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        error = await refused(client, "enable", **params)
        assert (error.code, error.kind) == (code, kind)


# ---------------------------------------------------------------------- reload


async def test_a_good_configuration_is_in_force_at_once(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        node.configure("[eventd]\nmax scripts = 3\nmax packet = 2097152\n")
        assert await client.call("reload") == {"warnings": []}
        assert (await client.call("stats"))["slots"]["limit"] == 3
        assert (await client.call("hello"))["limits"]["packet"] == 2097152


async def test_warnings_about_a_configuration_are_returned(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        node.configure("[event]\ndebug skript = x\n")
        (warning,) = (await client.call("reload"))["warnings"]
        assert "debug skript" in warning
        assert warning in node.log


async def test_a_bad_configuration_is_refused_with_its_line_and_the_former_one_stays(node: Node) -> None:
    node.configure("[eventd]\nmax scripts = 5\n")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        node.configure("[eventd]\nmax scripts = 3\nmax packet = many\n")
        error = await refused(client, "reload")
        assert (error.code, error.kind) == ("EINVAL", "ConfigError")
        assert (error.data["file"], error.data["line"]) == (f"{node.base}/ctdb.conf", 6)
        assert error.data["expected"]
        assert f"{node.base}/ctdb.conf:6: " in error.message
        assert (await client.call("stats"))["slots"]["limit"] == 5


async def test_a_configuration_that_can_not_be_carried_out_changes_nothing(node: Node, tmp_path: Path) -> None:
    """Here the wrappers of commands can't be written; the log, which could change, stays too."""
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        node.configure(f"[logging]\nlocation = file:{tmp_path}/other.log\n[eventd]\nmax scripts = 3\n")
        (wrappers,) = node.var.glob("eventd/bin")
        wrappers.rename(wrappers.with_name("moved"))
        wrappers.write_text("in the way")
        error = await refused(client, "reload")
        assert error.kind == "StartupError"
        assert f"the former one stays in effect: {wrappers} must be a directory of" in node.log
        assert (tmp_path / "other.log").read_text() == ""
        assert (await client.call("stats"))["slots"]["limit"] == 256
        descriptors = daemon.descriptors()
        await refused(client, "reload")
        assert daemon.descriptors() == descriptors
        wrappers.unlink()
        wrappers.with_name("moved").rename(wrappers)
        assert (await client.call("reload"))["warnings"] == []
        assert "configuration reloaded" in (tmp_path / "other.log").read_text()


# ---------------------------------------------------------------------- broken clients


BAD_FRAMES = {
    "params are a list": frames.frame(frames.packed({"id": 1, "method": "ping", "params": []})),
    "params are nil": frames.frame(frames.packed({"id": 1, "method": "ping", "params": None})),
    "keys of params are no text": frames.frame(frames.packed({"id": 1, "method": "ping", "params": {1: 2}})),
    "keys are no text": frames.frame(frames.packed({"id": 1, "method": "ping", b"params": {}})),
    "no method": frames.frame(frames.packed({"id": 1})),
    "a method that is no text": frames.frame(frames.packed({"id": 1, "method": b"ping"})),
    "no id": frames.frame(frames.packed({"method": "ping"})),
    "an id below zero": frames.frame(frames.packed({"id": -1, "method": "ping"})),
    "an id that is too large": frames.frame(frames.packed({"id": 1 << 63, "method": "ping"})),
    "an id that is no number": frames.frame(frames.packed({"id": True, "method": "ping"})),
    "no map": frames.frame(frames.packed([1, 2])),
    "no msgpack": frames.frame(b"\xc1"),
    "nothing": frames.frame(b""),
    "two maps": frames.frame(frames.packed({"id": 1, "method": "ping"}) * 2),
    "half a map": frames.frame(frames.packed({"id": 1, "method": "ping"})[:-1]),
    "too deep": frames.frame(b"\x91" * 5000 + b"\x90"),
    "too long": struct.pack(">I", 1 << 20),
    "a packet of the other dialect": struct.pack("<III", 68, 0, 1),
}


@pytest.mark.parametrize("bad", BAD_FRAMES.values(), ids=[*BAD_FRAMES])
async def test_what_is_no_frame_closes_its_own_connection_with_one_line_in_the_log(node: Node, bad: bytes) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as other:
        with contextlib.closing(connect(node.socket)) as client:
            client.sendall(frames.PREFACE + frames.request(7, "ping", {}) + bad + frames.request(8, "ping", {}))
            assert contents(await asyncio.to_thread(read_all, client)) == [{"id": 7, "result": {}}]
        assert await other.call("ping") == {}
        assert node.log.count("invalid packet, connection closed") == 1


@pytest.mark.parametrize("version", [0, 2, 255])
@pytest.mark.parametrize("more", [b"", frames.request(1, "ping", {}), b"x" * 100_000], ids=["alone", "request", "much"])
async def test_a_version_that_is_not_spoken_is_told_the_one_that_is(node: Node, version: int, more: bytes) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as other:
        with contextlib.closing(connect(node.socket)) as client:
            client.sendall(frames.PREFACE[:-1] + bytes([version]))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(more)
            (content,) = contents(await asyncio.to_thread(read_all, client))
        assert content["id"] == 0
        assert content["error"]["code"] == "EPROTONOSUPPORT"
        assert content["error"]["data"] == {"kind": "VersionNotSupported", "versions": [frames.VERSION]}
        assert await other.call("ping") == {}


@pytest.mark.parametrize("size", range(1, 8))
async def test_who_hangs_up_within_the_preface_harms_nobody(node: Node, size: int) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as other:
        with contextlib.closing(connect(node.socket)) as client:
            client.sendall(frames.PREFACE[:size])
        while (await other.call("stats"))["clients"] > 1:
            pass


async def test_a_preface_and_requests_may_come_byte_by_byte(node: Node) -> None:
    async with running_daemon(node):
        with contextlib.closing(connect(node.socket)) as client:
            for byte in frames.PREFACE + frames.request(7, "ping", {}):
                client.send(bytes([byte]))
            answer = client.recv(65536)
    assert contents(answer) == [{"id": 7, "result": {}}]


async def test_a_bug_is_answered_and_logged_and_the_daemon_goes_on(node: Node) -> None:
    # what nobody has thought of: here a part of the daemon that fails
    broken = node.base / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'ctdb_eventd' in sys.orig_argv:\n"
        "    from ctdb_eventd.broker import Broker\n"
        "    def events(self): raise KeyError('oops')\n"
        "    Broker.events = events\n"
    )
    path = os.pathsep.join(filter(None, (str(broken), os.environ.get("PYTHONPATH"))))
    daemon = start_daemon(node, environ={"PYTHONPATH": path})
    try:
        async with native_client(daemon) as client:
            error = await refused(client, "events")
            assert (error.code, error.kind) == ("EIO", "Bug")
            assert await client.call("ping") == {}
        assert daemon.stop() == 0
        assert "method='events'" in node.log
        assert "this is a bug in ctdb-eventd" in node.log
        assert "KeyError: 'oops'" in node.log
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()


# ---------------------------------------------------------------------- many, and of both kinds


async def test_both_dialects_at_once(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as native, daemon.client() as ctdb:
        for number in range(20):
            mine = native.start("run", component="legacy", event="takeip", args=["eth0", f"10.0.0.{number}", "24"])
            theirs = ctdb.start("releaseip", "eth0", f"10.0.0.{number}", "24")
            assert await ctdb.result(theirs) == 0
            assert (await native.result(mine))["outcome"] == "success"
        assert len((await native.call("status", addresses=True))["results"]) == 40


async def test_a_monitor_of_the_other_dialect_gives_way(node: Node) -> None:
    os.mkfifo(node.var / "gate-monitor")
    async with running_daemon(node) as daemon, native_client(daemon) as native, daemon.client() as ctdb:
        monitor = ctdb.start("monitor")
        await until(lambda: node.read("pid-monitor").strip(), "the monitor")
        assert (await native.call("run", component="legacy", event="startup"))["outcome"] == "success"
        assert await ctdb.result(monitor) == 125


async def test_replies_come_in_the_order_in_which_requests_are_done(node: Node) -> None:
    os.mkfifo(node.var / "gate-startup")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        slow = client.start("run", component="legacy", event="startup")
        await until(lambda: node.read("pid-startup").strip(), "the run")
        assert await client.call("ping") == {}
        with open(node.var / "gate-startup", "w") as gate:
            gate.write("go\n")
        assert (await client.result(slow))["outcome"] == "success"


@contextlib.contextmanager
def descriptors_of_children(soft: int) -> Iterator[None]:
    """What is started meanwhile may have so many, and may raise that to what we have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_more_clients_than_descriptors_get_in_by_raising_the_limit(node: Node) -> None:
    with descriptors_of_children(64):
        daemon = start_daemon(node)
    clients: list[socket.socket] = []
    try:
        for number in range(200):
            client = connect(node.socket)
            clients.append(client)
            client.sendall(frames.PREFACE + frames.request(number, "ping", {}))
            assert contents(client.recv(65536)) == [{"id": number, "result": {}}]
        async with native_client(daemon) as native:
            assert (await native.call("stats"))["clients"] == 201
            assert (await native.call("run", component="legacy", event="startup"))["outcome"] == "success"
        assert "up to 128 are allowed from now on" in node.log
        assert "up to 256 are allowed from now on" in node.log
        assert "can't accept a connection" not in node.log
        assert daemon.stop() == 0
    finally:
        for one in clients:
            one.close()
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()


# ---------------------------------------------------------------------- clients that go


@pytest.mark.parametrize("phase", ["waiting", "holding", "streaming", "subscribed", "queued", "running", "reading"])
async def test_who_goes_in_any_phase_leaves_nothing(node: Node, phase: str) -> None:
    node.script("10.first.script", "# ctdb-eventd-locks: routes\n" + SCRIPT)
    os.mkfifo(node.var / "gate-slow")
    async with running_daemon(node) as daemon, native_client(daemon) as watcher:
        async with native_client(daemon) as client:
            pid = 0
            if phase in ("streaming", "queued", "running", "reading"):
                client.start("run", component="legacy", event="slow", stream=phase == "streaming")
                await until(lambda: node.read("pid-slow").strip(), "the run")
                pid = int(node.read("pid-slow"))
            if phase == "queued":
                client.start("run", component="legacy", event="startup", stream=True)
            elif phase == "subscribed":
                client.start("subscribe")
                client.start("subscribe", kinds=["output"])
            elif phase in ("holding", "waiting"):
                await client.call("lock", names=["other"])
                if phase == "waiting":
                    held = await watcher.call("lock", names=["routes"])
                    client.start("lock", names=["routes", "another"], wait=50)
            elif phase == "reading":
                for _ in range(200):
                    client.start("status")
            await watcher.call("ping")
        while (stats := await watcher.call("stats"))["clients"] > 1 or stats["running"] or stats["queued"]:
            pass
        if phase == "waiting":
            await watcher.call("unlock", lock=held["lock"])
        while (await watcher.call("status"))["jobs"]:
            pass
        assert await watcher.call("locks") == []
        assert (await watcher.call("stats"))["subscribers"] == 0
        if pid:
            await until(lambda: not alive(pid), "the script's end")
        (node.var / "gate-slow").unlink()
        assert (await watcher.call("run", component="legacy", event="startup"))["outcome"] == "success"


async def test_an_id_that_is_used_again_too_early_is_answered_twice(node: Node) -> None:
    os.mkfifo(node.var / "gate-slow")
    async with running_daemon(node):
        reader, writer = await asyncio.open_unix_connection(node.socket)
        dialect = NativeDialect()
        answers: list[tuple[int, Any]] = []
        writer.write(dialect.greeting + dialect.encode(1, "run", {"component": "legacy", "event": "slow"}))
        await until(lambda: node.read("pid-slow").strip(), "the run")
        writer.write(dialect.encode(1, "subscribe", {"kinds": ["finished"]}) + dialect.encode(2, "cancel", {"call": 1}))
        while len(answers) < 3:
            data = await asyncio.wait_for(reader.read(65536), TIMEOUT)
            assert data
            answers += [(call, said[1]) for call, said in dialect.receive_data(data, writer.write)]
            if len(answers) == 2:
                with open(node.var / "gate-slow", "w") as gate:
                    gate.write("go\n")
        writer.close()
    assert sorted(answers[:2], key=lambda answer: answer[0]) == [(1, {"notes": 0}), (2, {"state": "running"})]
    assert (answers[2][0], answers[2][1]["outcome"]) == (1, "success")


async def test_the_daemons_end_is_the_end_of_every_call(node: Node) -> None:
    os.mkfifo(node.var / "gate-slow")
    async with running_daemon(node) as daemon, native_client(daemon) as client, native_client(daemon) as other:
        await other.call("lock", names=["routes"])
        calls = [
            client.start("run", component="legacy", event="slow", stream=True),
            client.start("run", component="legacy", event="startup"),
            client.start("subscribe"),
            client.start("lock", names=["routes"], wait=1000),
        ]
        await until(lambda: node.read("pid-slow").strip(), "the run")
        pid = int(node.read("pid-slow"))
        assert await asyncio.to_thread(daemon.stop) == 0
        for call in calls[:3]:
            with pytest.raises(ConnectionError):
                await client.result(call)
        assert not alive(pid)


async def test_those_who_watch_the_same_are_told_the_same_in_the_same_order(node: Node) -> None:
    async with running_daemon(node) as daemon, contextlib.AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(native_client(daemon)) for _ in range(20)]
        calls = [watcher.start("subscribe") for watcher in watchers]
        for watcher in watchers:
            await watcher.call("ping")
        async with native_client(daemon) as client:
            for number in range(10):
                await client.call("run", component="legacy", event="takeip", args=["eth0", f"10.0.0.{number}", "24"])
        told: list[list[Note]] = []
        for watcher, call in zip(watchers, calls, strict=True):
            await watcher.call("cancel", call=call)
            assert (await watcher.result(call))["notes"] == len(watcher.notes[call])
            told.append(watcher.notes[call])
        assert all(notes == told[0] for notes in told)
        assert [note.kind for note in told[0]].count("finished") == 10


async def test_a_crowd_that_comes_and_goes_in_any_phase_leaves_nothing(node: Node) -> None:
    node.script("10.first.script", "# ctdb-eventd-locks: routes\nexit 0")
    node.script("10.first.script", "# ctdb-eventd-locks: iptables\nexit 0", component="other")
    chance = random.Random(42)

    def anything(client: NativeClient) -> int:
        """Starts one call of any kind."""
        what = chance.choice(["takeip", "monitor", "lock", "subscribe", "status", "cancel", "detach"])
        component, address = chance.choice(["legacy", "other"]), f"10.0.0.{chance.randrange(5)}"
        if what == "lock":
            names = chance.sample(["routes", "iptables", "mine"], chance.randint(1, 3))
            return client.start("lock", names=names, wait=chance.choice([None, 0, 0.01]))
        if what == "subscribe":
            return client.start("subscribe", kinds=chance.choice([None, ["output"], ["lock-waiting"]]))
        if what == "status":
            return client.start("status", addresses=True)
        if what == "cancel":
            return client.start("cancel", call=chance.randint(1, 10))
        if what == "takeip":
            args = ["eth0", address, "24"]
            return client.start("run", component=component, event="takeip", args=args, stream=chance.random() < 0.5)
        return client.start("run", component=component, event="monitor", detach=what == "detach")

    async def visit(daemon: Daemon) -> None:
        async with native_client(daemon) as client:
            for _ in range(chance.randint(1, 12)):
                anything(client)
            if chance.random() < 0.5:
                # what has no answer for as long as others don't move is left to the end of the connection
                await client.call("ping")

    async with running_daemon(node) as daemon, native_client(daemon) as watcher:
        await watcher.call("ping")
        before = len(daemon.descriptors())
        for _ in range(10):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(20):
                    tasks.create_task(visit(daemon))
        while (stats := await watcher.call("stats"))["clients"] > 1 or stats["running"] or stats["queued"]:
            pass
        while (await watcher.call("status"))["jobs"]:
            pass
        assert await watcher.call("locks") == []
        assert (stats["subscribers"], stats["slots"]["running"], stats["slots"]["waiting"]) == (0, 0, 0)
        await until(lambda: len(daemon.descriptors()) == before, "everything closed")
        assert daemon.children() == []
        assert (await watcher.call("lock", names=["routes", "iptables", "mine"], wait=0))["lock"] > 0
