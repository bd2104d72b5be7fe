"""The commands' connection, and the blocking transport that it shares with the library."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_broker import FakeBroker, running_broker
from interruption import interrupted_while_waiting
from nodes import TIMEOUT
from threaded_listener import ThreadedListener

from ctdb_event import probing
from ctdb_event.commands.connection import CallFailed, ConnectionLost, DaemonConnection, NotNative
from ctdb_event.errors import InvalidRequest
from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.protocol import frames


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[FakeBroker]:
    with running_broker(tmp_path / "s") as running:
        yield running


@contextmanager
def peer(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A bare listener: its path, and itself."""
    path = str(tmp_path / "bare")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(TIMEOUT)
        yield path, listener


def test_a_call_and_its_result(broker: FakeBroker) -> None:
    broker.rules["echo"] = lambda asked: asked.result(asked.params)
    with DaemonConnection(broker.path) as daemon:
        assert daemon.call("echo", a=1, b=[b"\xff", "text"]) == {"a": 1, "b": [b"\xff", "text"]}
        assert daemon.call("echo") == {}
    broker.gone()


def test_a_refusal_carries_what_the_broker_said(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.error("ENOENT", "there is no such component", kind="NoSuchComponent")
    with DaemonConnection(broker.path) as daemon, pytest.raises(CallFailed) as caught:
        daemon.call("run", component="x")
    assert (caught.value.code, caught.value.message) == ("ENOENT", "there is no such component")
    assert caught.value.data == {"kind": "NoSuchComponent"}
    assert str(caught.value) == "there is no such component"


def test_notes_come_before_the_result_and_a_call_passes_over_them(broker: FakeBroker) -> None:
    def tell(asked: Any) -> None:
        asked.note("queued", run="r")
        asked.note("started", run="r")
        asked.result("over")

    broker.rules["run"] = tell
    with DaemonConnection(broker.path) as daemon:
        request = daemon.start("run", {})
        assert daemon.next_note(request) == ("queued", 1, {"time": 1.0, "run": "r"})
        assert daemon.next_note(request) == ("started", 2, {"time": 1.0, "run": "r"})
        assert daemon.next_note(request) is None
        assert request.value == "over"
        assert daemon.call("run") == "over"


def test_answers_for_others_are_kept_until_they_are_asked_for(broker: FakeBroker) -> None:
    with DaemonConnection(broker.path) as daemon:
        first, second = daemon.start("one", {}), daemon.start("two", {})
        one, two = broker.next("one"), broker.next("two")
        two.note("queued")
        two.error("EBUSY")
        one.raw(frames.result(99, frames.packed("of a request that nobody made")))
        one.result(1)
        assert daemon.next_note(first) is None
        assert first.value == 1
        queued = daemon.next_note(second)
        assert queued is not None
        assert queued[0] == "queued"
        with pytest.raises(CallFailed):
            daemon.next_note(second)


def test_the_descriptor_becomes_readable(broker: FakeBroker) -> None:
    with DaemonConnection(broker.path) as daemon:
        request = daemon.start("one", {})
        broker.next("one").result(1)
        assert select.select([daemon], [], [], TIMEOUT)[0] == [daemon]
        assert daemon.next_note(request) is None


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DaemonConnection(str(tmp_path / "nothing"))


@pytest.mark.parametrize("reads", [0, 4, 8, 1 << 16])
def test_a_daemon_that_hangs_up_at_the_preface_is_not_native(tmp_path: Path, reads: int) -> None:
    # with something unread the kernel resets the connection, else it ends it
    def hang_up(connection: socket.socket) -> None:
        if reads:
            connection.recv(reads)

    listener = ThreadedListener(tmp_path / "ctdb", hang_up)
    path = str(tmp_path / "ctdb")
    try:
        only = f"the daemon at {path} speaks only the CTDB dialect"
        with DaemonConnection(path) as daemon, pytest.raises(NotNative, match=only):
            daemon.call("ping")
    finally:
        listener.close()


@pytest.mark.parametrize("end", ["killed", "killed with a queue", "restarted", "restarted and hung"])
def test_a_daemon_that_goes_before_its_first_word_is_lost(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle subscription, a lock that is waited for: nothing has been heard yet when the daemon goes."""
    if end == "restarted and hung":
        monkeypatch.setattr(probing, "_ANSWER_TIMEOUT", 0.01)
    with peer(tmp_path) as (path, listener), DaemonConnection(path) as daemon:
        connection = listener.accept()[0]
        request = daemon.start("subscribe", {})
        connection.close()
        if end == "killed":
            listener.close()
        elif end == "killed with a queue":  # the probe gets into the queue, and is ended with it
            probed = threading.Thread(target=close_when_asked, args=[listener])
            probed.start()
        elif end == "restarted":
            (tmp_path / "bare").unlink()
            running = FakeBroker(tmp_path / "bare")
            running.rules["ping"] = lambda asked: asked.result({})
        with pytest.raises(ConnectionLost, match="lost: "):
            daemon.next_note(request)
        if end == "restarted":
            running.close()
        elif end == "killed with a queue":
            probed.join(TIMEOUT)


def close_when_asked(listener: socket.socket) -> None:
    assert select.select([listener], [], [], TIMEOUT)[0]
    listener.close()


def test_another_thread_can_end_a_wait(broker: FakeBroker) -> None:
    with DaemonConnection(broker.path) as daemon:
        request = daemon.start("subscribe", {})
        broker.next("subscribe")
        daemon.hang_up()
        daemon.hang_up()
        with pytest.raises(ConnectionLost):
            daemon.next_note(request)
    daemon.hang_up()


def test_a_connection_that_ends_later_is_lost(broker: FakeBroker) -> None:
    with DaemonConnection(broker.path) as daemon:
        daemon.call("hello")
        request = daemon.start("run", {})
        broker.next("run").hang_up()
        with pytest.raises(ConnectionLost, match="lost: closed by the daemon"):
            daemon.next_note(request)


def test_a_version_that_is_not_spoken_fails_every_call(broker: FakeBroker) -> None:
    refusal = frames.error(0, "EPROTONOSUPPORT", "version 1 is not spoken", {"versions": [7]})
    broker.rules["ping"] = lambda asked: asked.raw(refusal)
    with DaemonConnection(broker.path) as daemon:
        with pytest.raises(CallFailed, match="version 1 is not spoken"):
            daemon.call("ping")
        with pytest.raises(ConnectionLost, match="version 1 is not spoken"):
            daemon.call("ping")


def test_nonsense_is_told(broker: FakeBroker) -> None:
    broker.rules["ping"] = lambda asked: asked.raw(b"\0\0\0\x01\xc1")
    with DaemonConnection(broker.path) as daemon, pytest.raises(RemoteProtocolError):
        daemon.call("ping")


def test_what_cannot_be_said_is_not_sent(broker: FakeBroker) -> None:
    with DaemonConnection(broker.path) as daemon:
        with pytest.raises(InvalidRequest):
            daemon.call("hello", client=object())
        assert daemon.call("hello")["version"] == 1


def test_a_closed_connection_says_so(broker: FakeBroker) -> None:
    daemon = DaemonConnection(broker.path)
    daemon.close()
    daemon.close()
    with pytest.raises(ConnectionLost, match="closed by the client"):
        daemon.call("ping")


def test_a_broker_that_does_not_read_before_it_has_written_is_heard(tmp_path: Path) -> None:
    """Both sides would wait for ever if a large request were written without reading meanwhile."""
    size = 8 << 20
    with peer(tmp_path) as (path, listener), DaemonConnection(path) as daemon:
        connection = listener.accept()[0]
        answer = frames.result(1, frames.packed(b"x" * size))

        def write_first() -> None:
            connection.sendall(answer)
            left = size
            while left > 0:
                left -= len(connection.recv(1 << 16))

        thread = threading.Thread(target=write_first)
        thread.start()
        assert daemon.call("echo", data=b"y" * size) == b"x" * size
        thread.join(TIMEOUT)
        connection.close()


def test_a_broker_that_hangs_up_in_the_middle_of_a_request_is_heard_to_the_end(tmp_path: Path) -> None:
    with peer(tmp_path) as (path, listener), DaemonConnection(path) as daemon:
        connection = listener.accept()[0]
        connection.sendall(frames.error(1, "EMSGSIZE", "too long", {}))
        connection.shutdown(socket.SHUT_WR)
        with pytest.raises(CallFailed, match="too long"):
            daemon.call("echo", data=b"y" * (8 << 20))
        connection.close()


# ---------------------------------------------------------------------- interruptions


def test_an_interruption_while_waiting_ends_the_connection(broker: FakeBroker) -> None:
    with DaemonConnection(broker.path) as daemon:
        request = daemon.start("run", {})
        broker.next("run")
        with interrupted_while_waiting():
            daemon.next_note(request)
        broker.gone()
        with pytest.raises(ConnectionLost, match="it was interrupted in the middle of a message"):
            daemon.next_note(request)


def test_an_interruption_in_the_middle_of_a_frame_ends_the_connection(broker: FakeBroker) -> None:
    broker.rules["ping"] = broker.stall
    with DaemonConnection(broker.path) as daemon:
        daemon.start("ping", {})
        assert broker.stalled.wait(TIMEOUT)
        with interrupted_while_waiting():
            daemon.start("run", {"data": b"x" * (8 << 20)})
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="it was interrupted in the middle of a message"):
                daemon.call("ping")
        broker.resume.set()
        broker.gone()


def test_a_socket_that_wakes_for_nothing(broker: FakeBroker) -> None:
    with DaemonConnection(broker.path) as daemon:
        daemon.receive()
        assert daemon.call("hello")["version"] == 1


def test_it_loads_nothing_that_costs() -> None:
    code = "import sys; old = set(sys.modules); import ctdb_event.commands.connection; print(*set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    loaded = set(done.stdout.split())
    assert {"ctdb_event.commands.connection", "msgpack"} <= loaded
    costly = {"anyio", "asyncio", "attr", "attrs", "typing", "argparse", "json", "subprocess", "ctdb_eventd.model"}
    assert loaded & costly == set()
