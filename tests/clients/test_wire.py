"""The thin, blocking connection in the native dialect."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_broker import ScriptedBroker, running_broker
from threaded_listener import ThreadedListener

from ctdb_event import wire as wire_module
from ctdb_event.wire import CallFailed, ConnectionLost, Line, NotNative, Wire
from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.protocol import frames

PATIENCE = 60.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ScriptedBroker]:
    with running_broker(tmp_path / "s") as running:
        yield running


@contextmanager
def peer(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A bare listener: its path, and itself."""
    path = str(tmp_path / "bare")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(PATIENCE)
        yield path, listener


def test_a_call_and_its_result(broker: ScriptedBroker) -> None:
    broker.rules["echo"] = lambda asked: asked.result(asked.params)
    with Wire(broker.path) as wire:
        assert wire.call("echo", a=1, b=[b"\xff", "text"]) == {"a": 1, "b": [b"\xff", "text"]}
        assert wire.call("echo") == {}
    broker.gone()


def test_a_refusal_carries_what_the_broker_said(broker: ScriptedBroker) -> None:
    broker.rules["run"] = lambda asked: asked.error("ENOENT", "there is no such component", kind="NoSuchComponent")
    with Wire(broker.path) as wire, pytest.raises(CallFailed) as caught:
        wire.call("run", component="x")
    assert (caught.value.code, caught.value.message) == ("ENOENT", "there is no such component")
    assert caught.value.data == {"kind": "NoSuchComponent"}
    assert str(caught.value) == "there is no such component"


def test_notes_come_before_the_result_and_a_call_passes_over_them(broker: ScriptedBroker) -> None:
    def tell(asked: Any) -> None:
        asked.note("queued", run="r")
        asked.note("started", run="r")
        asked.result("over")

    broker.rules["run"] = tell
    with Wire(broker.path) as wire:
        request = wire.start("run", {})
        assert wire.receive(request) == ("note", "queued", 1, {"time": 1.0, "run": "r"})
        assert wire.receive(request) == ("note", "started", 2, {"time": 1.0, "run": "r"})
        assert wire.receive(request) == ("result", "over", None, None)
        with pytest.raises(KeyError):
            wire.receive(request)
        assert wire.call("run") == "over"


def test_answers_for_others_are_kept_until_they_are_asked_for(broker: ScriptedBroker) -> None:
    with Wire(broker.path) as wire:
        first, second = wire.start("one", {}), wire.start("two", {})
        one, two = broker.next("one"), broker.next("two")
        two.note("queued")
        two.error("EBUSY")
        one.raw(frames.result(99, frames.packed("of a request that nobody made")))
        one.result(1)
        assert wire.receive(first) == ("result", 1, None, None)
        assert wire.receive(second)[1] == "queued"
        with pytest.raises(CallFailed):
            wire.receive(second)


def test_the_descriptor_becomes_readable(broker: ScriptedBroker) -> None:
    with Wire(broker.path) as wire:
        request = wire.start("one", {})
        broker.next("one").result(1)
        assert select.select([wire], [], [], PATIENCE)[0] == [wire]
        assert wire.receive(request)[0] == "result"


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Wire(str(tmp_path / "nothing"))


@pytest.mark.parametrize("reads", [0, 4, 8, 1 << 16])
def test_a_daemon_that_hangs_up_at_the_preface_is_not_native(tmp_path: Path, reads: int) -> None:
    # with something unread the kernel resets the connection, else it ends it
    def hang_up(connection: socket.socket) -> None:
        if reads:
            connection.recv(reads)

    listener = ThreadedListener(tmp_path / "ctdb", hang_up)
    path = str(tmp_path / "ctdb")
    try:
        with Wire(path) as wire, pytest.raises(NotNative, match=f"the daemon at {path} speaks only the CTDB dialect"):
            wire.call("ping")
    finally:
        listener.close()


@pytest.mark.parametrize("end", ["killed", "killed with a queue", "restarted", "restarted and hung"])
def test_a_daemon_that_goes_before_its_first_word_is_lost(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle subscription, a lock that is waited for: nothing has been heard yet when the daemon goes."""
    if end == "restarted and hung":
        monkeypatch.setattr(wire_module, "_SOON", 0.01)
    with peer(tmp_path) as (path, listener), Wire(path) as wire:
        connection = listener.accept()[0]
        request = wire.start("subscribe", {})
        connection.close()
        if end == "killed":
            listener.close()
        elif end == "killed with a queue":  # the probe gets into the queue, and is ended with it
            probed = threading.Thread(target=close_when_asked, args=[listener])
            probed.start()
        elif end == "restarted":
            (tmp_path / "bare").unlink()
            running = ScriptedBroker(tmp_path / "bare")
            running.rules["ping"] = lambda asked: asked.result({})
        with pytest.raises(ConnectionLost, match="lost: "):
            wire.receive(request)
        if end == "restarted":
            running.close()
        elif end == "killed with a queue":
            probed.join(PATIENCE)


def close_when_asked(listener: socket.socket) -> None:
    assert select.select([listener], [], [], PATIENCE)[0]
    listener.close()


def test_another_thread_can_end_a_wait(broker: ScriptedBroker) -> None:
    with Wire(broker.path) as wire:
        request = wire.start("subscribe", {})
        broker.next("subscribe")
        wire.hang_up()
        wire.hang_up()
        with pytest.raises(ConnectionLost):
            wire.receive(request)
    wire.hang_up()


def test_a_connection_that_ends_later_is_lost(broker: ScriptedBroker) -> None:
    with Wire(broker.path) as wire:
        wire.call("hello")
        request = wire.start("run", {})
        broker.next("run").hang_up()
        with pytest.raises(ConnectionLost, match="lost: closed by the daemon"):
            wire.receive(request)


def test_a_version_that_is_not_spoken_fails_every_call(broker: ScriptedBroker) -> None:
    refusal = frames.error(0, "EPROTONOSUPPORT", "version 1 is not spoken", {"versions": [7]})
    broker.rules["ping"] = lambda asked: asked.raw(refusal)
    with Wire(broker.path) as wire:
        for _ in range(2):
            with pytest.raises(CallFailed, match="version 1 is not spoken"):
                wire.call("ping")


def test_nonsense_is_told(broker: ScriptedBroker) -> None:
    broker.rules["ping"] = lambda asked: asked.raw(b"\0\0\0\x01\xc1")
    with Wire(broker.path) as wire, pytest.raises(RemoteProtocolError):
        wire.call("ping")


def test_what_cannot_be_said_is_not_sent(broker: ScriptedBroker) -> None:
    with Wire(broker.path) as wire:
        with pytest.raises(LocalProtocolError):
            wire.call("hello", client=object())
        assert wire.call("hello")["version"] == 1


def test_a_closed_connection_says_so(broker: ScriptedBroker) -> None:
    wire = Wire(broker.path)
    wire.close()
    wire.close()
    with pytest.raises(ConnectionLost, match="it was closed here"):
        wire.call("ping")


def test_a_broker_that_does_not_read_before_it_has_written_is_heard(tmp_path: Path) -> None:
    """Both sides would wait for ever if a large request were written without reading meanwhile."""
    size = 8 << 20
    with peer(tmp_path) as (path, listener), Wire(path) as wire:
        connection = listener.accept()[0]
        answer = frames.result(1, frames.packed(b"x" * size))

        def write_first() -> None:
            connection.sendall(answer)
            left = size
            while left > 0:
                left -= len(connection.recv(1 << 16))

        thread = threading.Thread(target=write_first)
        thread.start()
        assert wire.call("echo", data=b"y" * size) == b"x" * size
        thread.join(PATIENCE)
        connection.close()


def test_a_broker_that_hangs_up_in_the_middle_of_a_request_is_heard_to_the_end(tmp_path: Path) -> None:
    with peer(tmp_path) as (path, listener), Wire(path) as wire:
        connection = listener.accept()[0]
        connection.recv(8)
        connection.sendall(frames.error(1, "EMSGSIZE", "too long", {}))
        connection.shutdown(socket.SHUT_WR)
        with pytest.raises(CallFailed, match="too long"):
            wire.call("echo", data=b"y" * (8 << 20))
        connection.close()


# ---------------------------------------------------------------------- interruptions


class Interrupted(Exception):
    """What the signal handler raises."""


def interrupt(*args: object) -> None:
    raise Interrupted


@contextmanager
def interrupted_while_waiting() -> Iterator[None]:
    """Sends this process a signal as soon as its main thread waits in a system call; its handler raises."""
    before = signal.signal(signal.SIGUSR1, interrupt)
    main = threading.get_native_id()

    def send() -> None:
        # S: it sleeps. It may sleep before it waits for the socket, so the test must not depend on where it was.
        while Path(f"/proc/self/task/{main}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            os.sched_yield()
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(Interrupted):
            yield
    finally:
        thread.join(PATIENCE)
        signal.signal(signal.SIGUSR1, before)


def test_an_interruption_while_waiting_loses_nothing(broker: ScriptedBroker) -> None:
    with Wire(broker.path) as wire:
        request = wire.start("run", {})
        asked = broker.next("run")
        with interrupted_while_waiting():
            wire.receive(request)
        asked.result("late")
        assert wire.receive(request)[1] == "late"
        assert wire.call("hello")["version"] == 1


def test_an_interruption_in_the_middle_of_a_frame_ends_the_connection(broker: ScriptedBroker) -> None:
    broker.rules["ping"] = broker.stall
    with Wire(broker.path) as wire:
        wire.start("ping", {})
        assert broker.stalled.wait(PATIENCE)
        with interrupted_while_waiting():
            wire.start("run", {"data": b"x" * (8 << 20)})
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="an interruption put it out of step"):
                wire.call("ping")
        broker.resume.set()
        broker.gone()


def test_a_socket_that_wakes_for_nothing(broker: ScriptedBroker) -> None:
    line = Line(broker.path, lambda pieces: bool(list(pieces)))
    assert line._take()
    line.close()


def test_it_loads_nothing_that_costs() -> None:
    code = "import sys; before = set(sys.modules); import ctdb_event.wire; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    loaded = set(done.stdout.split())
    assert {"ctdb_event.wire", "msgpack"} <= loaded
    costly = {"anyio", "asyncio", "attr", "attrs", "typing", "argparse", "json", "subprocess", "ctdb_eventd.model"}
    assert loaded & costly == set()
