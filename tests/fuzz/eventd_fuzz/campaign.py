"""Runs a daemon of its own and attacks it for a while, or for so many packets; prints what came of it."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import attrs
import msgpack
from nodes import Daemon, Node, start_daemon

from ctdb_event.dialects import read_frame
from ctdb_eventd.errors import RemoteProtocolError
from eventd_fuzz.configuration import check_configuration, configuration
from eventd_fuzz.conversation import Conversation, Wrong, converse
from eventd_fuzz.streams import PREFACE, ctdb_stream, native_frame, native_stream

__all__ = ["CORPUS", "Campaign", "Figures", "check_corpus", "daemon_under_attack"]

CORPUS = Path(__file__).parent.parent / "corpus"
MiB = 1 << 20
_MOST_BYSTANDERS = 5
_KINDS = ("started", "finished", "lock-waiting", "lock-acquired", "health", "script-started")
_SLOW: dict[str, object] = {"component": "quick", "event": "startup"}


@contextlib.contextmanager
def daemon_under_attack(base: Path) -> Iterator[Daemon]:
    """Runs a daemon with the components that the model knows."""
    node = Node(base)
    node.configure("  log level = NOTICE\n")
    node.script("10.script.script", "exit 0", component="quick")
    node.script("10.script.script", "exit 0", component="other")
    for component in ("quick", "other"):
        (base / "share/events" / component).mkdir()
    daemon = start_daemon(node)
    try:
        yield daemon
    finally:
        daemon.stop()
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()


@attrs.define
class Figures:
    """What an attack was, and what it did to the daemon."""

    seed: int = 0
    seconds: float = 0.0
    packets: int = 0
    answers: int = 0
    refused: int = 0
    connections: int = 0
    configurations: int = 0
    replies: int = 0
    """Read by the client library."""
    memory: tuple[int, int] = (0, 0)
    """Bytes, before and after."""
    descriptors: tuple[int, int] = (0, 0)
    worst_ping: float = 0.0
    """Seconds that another client waited at most, meanwhile."""

    def __str__(self) -> str:
        before, after = (size / MiB for size in self.memory)
        return (
            f"seed {self.seed}: {self.packets} packets in {self.seconds:.0f} s on {self.connections} connections, "
            f"{self.answers} answers, {self.refused} refused; "
            f"{self.configurations} texts of ctdb.conf, {self.replies} frames read by the client library\n"
            f"daemon alive, memory {before:.1f} MiB before and {after:.1f} MiB after ({after - before:+.1f}), "
            f"descriptors {self.descriptors[0]} before and {self.descriptors[1]} after, "
            f"worst ping {self.worst_ping * 1000:.0f} ms"
        )


class Campaign:
    """One attack."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        """Attacks `daemon`; the same seed makes the same attack."""
        self._daemon = daemon
        self._path = daemon.node.socket
        self._random = Random(seed)
        self._bystanders: deque[socket.socket] = deque()
        self.figures = Figures(seed=seed)

    def run(self, packets: int | None, seconds: float | None) -> Figures:
        """Attacks until so many packets were looked at, or so many seconds are over.

        Raises:
            Wrong: The daemon, or a reader, did what it must not.
        """
        figures, began = self.figures, time.monotonic()
        self._say(PREFACE)
        self._wait_until_complete()
        before = self._state()
        with _Pinger(self._path) as pinger:
            while (packets is None or figures.packets < packets) and (
                seconds is None or time.monotonic() - began < seconds
            ):
                self._attack()
        while self._bystanders:
            self._bystanders.popleft().close()
        figures.seconds, figures.worst_ping = time.monotonic() - began, pinger.worst
        after = self._state()
        figures.memory, figures.descriptors = (before[0], after[0]), (before[1], after[1])
        log = self._daemon.node.log
        if "this is a bug" in log or "Traceback" in log:
            raise Wrong(f"the log at {self._daemon.node.base}/log speaks of a bug")
        return figures

    def _attack(self) -> None:
        random = self._random
        if random.random() < 0.02:
            self._let_one_wait()
        self._say(native_stream(random) if random.random() < 0.6 else ctdb_stream(random))
        self._check(configuration(random), check_configuration, "ctdb.conf")
        self.figures.configurations += 1
        self._check(native_frame(random, 1), _read_reply, "bytes for the client library")
        self.figures.replies += 1

    def _let_one_wait(self) -> None:
        """Has one more client hold or await locks and be told what happens, which it never reads; the oldest goes."""
        client = socket.socket(socket.AF_UNIX)
        client.connect(self._path)
        asked: list[tuple[str, dict[str, object]]] = [
            ("lock", {"names": ["a"]}),
            ("subscribe", {"kinds": list(_KINDS)}),
            ("run", _SLOW),
        ]
        client.sendall(PREFACE + b"".join(_request(*one) for one in asked))
        self._bystanders.append(client)
        if len(self._bystanders) > _MOST_BYSTANDERS:
            self._bystanders.popleft().close()

    def _say(self, data: bytes) -> None:
        try:
            said: Conversation = converse(self._path, data)
        except (Wrong, OSError) as error:
            status = self._daemon.process.poll()
            alive = "" if status is None else f"the daemon has ended with status {status}; "
            raise Wrong(f"{alive}{error}; sent: {_kept(data)}") from error
        self.figures.connections += 1
        self.figures.packets += said.packets
        self.figures.answers += said.answers
        self.figures.refused += said.refused

    def _check(self, data: bytes, check: object, what: str) -> None:
        assert callable(check)
        try:
            check(data)
        except Exception as error:
            raise Wrong(f"{error}; {what}: {_kept(data)}") from error

    def _wait_until_complete(self) -> None:
        """Waits until the daemon has loaded what it loads a moment after its start: then it starts its threads."""
        deadline = time.monotonic() + 60
        while len(os.listdir(f"/proc/{self._daemon.process.pid}/task")) < 2:
            if time.monotonic() > deadline:
                raise Wrong("after a minute the daemon has not started the thread that writes the history")
            time.sleep(0.05)

    def _state(self) -> tuple[int, int]:
        """Returns memory and number of descriptors, when nobody else is connected any more."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self._path)
            deadline, head = time.monotonic() + 60, PREFACE
            while (clients := _call(client, head, "stats")["clients"]) > 1:
                if time.monotonic() > deadline:
                    raise Wrong(f"{clients - 1} connections are left, though all were closed")
                head = b""
            # while this one is there, before and after
            pid = self._daemon.process.pid
            memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
            return memory, len(self._daemon.descriptors())


def _read_reply(data: bytes) -> None:
    try:
        read_frame(data)
    except RemoteProtocolError as error:
        if len(str(error)) > 2000:
            raise Wrong(f"an error of {len(str(error))} characters") from None


def _request(method: str, params: Mapping[str, object]) -> bytes:
    body: bytes = msgpack.packb({"id": 1, "method": method, "params": params})
    return struct.pack(">I", len(body)) + body


def _call(client: socket.socket, head: bytes, method: str) -> dict[str, int]:
    client.sendall(head + _request(method, {}))
    reader = client.makefile("rb")
    answer = msgpack.unpackb(reader.read(struct.unpack(">I", reader.read(4))[0]))
    return dict(answer["result"])


class _Pinger:
    """Another client, who asks again and again and measures."""

    def __init__(self, path: str) -> None:
        self.worst = 0.0
        self._client = socket.socket(socket.AF_UNIX)
        self._client.settimeout(60)
        self._client.connect(path)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ping)

    def __enter__(self) -> _Pinger:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def _ping(self) -> None:
        head = PREFACE
        while not self._over.wait(0.05):
            asked = time.monotonic()
            try:
                _call(self._client, head, "ping")
            except (OSError, struct.error):
                return  # the attack itself says what became of the daemon
            self.worst = max(self.worst, time.monotonic() - asked)
            head = b""


def _kept(data: bytes) -> str:
    """Keeps an input that found a fault, and says where."""
    name = f"eventd-fuzz-{os.getpid()}.bin"
    path = Path(os.environ.get("TMPDIR", "/tmp")) / name
    path.write_bytes(data)
    return f"{len(data)} bytes, kept in {path}; move it to {CORPUS} once it is mended"


def check_corpus(daemon: Daemon, path: Path) -> None:
    """Says once more what has found a fault before.

    `NAME.conf` is a configuration, `NAME.reply` for the client library, anything else for the daemon.

    Raises:
        Wrong: It does again.
    """
    data = path.read_bytes()
    if path.suffix == ".conf":
        check_configuration(data)
    elif path.suffix == ".reply":
        _read_reply(data)
    else:
        converse(daemon.node.socket, data)
