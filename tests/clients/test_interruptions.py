"""Exceptions of signal handlers at every step between the kernel and whoever waits: nothing is lost or comes twice.

A handler runs between two instructions of the interpreter, so each test is repeated with an interruption before the
first instruction of the code under test, before the second, and so on. The peer has said everything before, and has
hung up: what is lost shows as a lost connection, and nothing waits for ever.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
import itertools
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from fake_ctdb import report
from scripted_broker import run_value

from ctdb_event import blocking_link, core, ctdb, dialects, framing, requests, wire
from ctdb_event.blocking_link import Link
from ctdb_event.ctdb import CtdbDialect
from ctdb_event.dialects import NativeDialect
from ctdb_event.errors import BrokerError, BrokerUnavailable
from ctdb_event.requests import Ask
from ctdb_event.wire import ConnectionLost, Wire
from ctdb_eventd.protocol import frames, packet

READ_AND_ROUTE = (framing, wire, core, dialects, ctdb, blocking_link)
SENDS = {"send", "take_outgoing"}
"""Interrupted there a connection is lost, and is meant to be."""
RETURNS = {"receive"}
"""Of Wire: its last instructions are none between which a handler can run."""


class Interrupted(Exception):
    """What the signal handler raises."""


class Interruption:
    """Raises before instruction number N of the functions of some modules."""

    def __init__(self, modules: tuple[ModuleType, ...], number: int, spared: set[str]) -> None:
        self.files = {inspect.getfile(module) for module in modules}
        self.left = number
        self.spared = spared

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in self.files or frame.f_code.co_name in self.spared:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise Interrupted
        return self


def at_every_instruction(once: Callable[[Callable[[Callable[[], Any]], Any]], None], spared: set[str]) -> None:
    """Calls `once` until an interruption comes too late; it calls what it is given with what is to be interrupted."""
    for number in itertools.count(1):
        interruption = Interruption(READ_AND_ROUTE, number, spared)

        def work(what: Callable[[], Any], interruption: Interruption = interruption) -> Any:
            """Returns the result, or the exception if it is the interruption."""
            before = sys.gettrace()  # coverage's
            sys.settrace(interruption)
            try:
                return what()
            except Interrupted as error:
                return error
            finally:
                sys.settrace(before)

        once(work)
        if interruption.left > 0:
            assert number > 200, "it did not interrupt what it should"
            return


@contextlib.contextmanager
def said(tmp_path: Path, *data: bytes, more: bool = False) -> Iterator[tuple[str, Callable[[], socket.socket]]]:
    """A peer: its path, and what accepts the connection, says all this, and hangs up unless there is more."""
    path = tmp_path / "s"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(str(path))
        listener.listen()

        def speak() -> socket.socket:
            connection = stack.enter_context(listener.accept()[0])
            connection.settimeout(60)
            connection.sendall(b"".join(data))
            if not more:
                connection.shutdown(socket.SHUT_WR)
            return connection

        yield str(path), speak


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames come in several pieces, and a piece holds several frames."""
    monkeypatch.setattr(wire, "_RECEIVE_SIZE", 70)
    monkeypatch.setattr(framing, "_USED_ENOUGH", 30)


def note(request: int, number: int) -> bytes:
    return frames.note(request, "queued", number, {"run": "r"})


def test_the_thin_connection(tmp_path: Path) -> None:
    answers = [note(2, 1), note(1, 2), frames.result(2, b"\x07"), frames.error(9, "EIO", "", {}), note(1, 3)]

    def once(work: Callable[[Callable[[], Any]], Any]) -> None:
        with said(tmp_path, *answers, frames.result(1, b"\x08")) as (path, speak), Wire(path) as connection:
            one, two = connection.start("run", {}), connection.start("run", {})
            speak()
            got: dict[int, list[Any]] = {one: [], two: []}
            for request in (one, two):
                while not got[request] or got[request][-1] in (2, 1, 3):
                    heard = work(lambda request=request: connection.receive(request))  # type: ignore[misc]
                    if not isinstance(heard, Interrupted):
                        got[request].append(heard[2] if heard[0] == "note" else f"result {heard[1]}")
            assert got == {one: [2, 3, "result 8"], two: [1, "result 7"]}
            with pytest.raises(ConnectionLost):
                connection.call("ping")

    at_every_instruction(once, SENDS | RETURNS)


HELLO = frames.result(
    1,
    frames.packed(
        {
            **dict.fromkeys(["version", "pid"], 1),
            "server": "s",
            "started": 1.0,
            "methods": [],
            "limits": {"packet": 1 << 20, "requests": 9, "unsent": 9},
        }
    ),
)


def run(**changes: Any) -> Ask[Any]:
    return requests.run("legacy", "monitor", (), 0, False)


def until_answered(link: Link, work: Callable[[Callable[[], Any]], Any], mailbox: core.Mailbox) -> int:
    """Waits, after an interruption once more; returns how many there were."""
    return sum(isinstance(work(lambda: link.wait(lambda: mailbox.answered)), Interrupted) for _ in range(2))


def test_the_blocking_client(tmp_path: Path) -> None:
    value = frames.packed(run_value())
    answers = [HELLO, note(3, 1), note(2, 2), frames.result(3, value), note(2, 3), frames.result(2, value)]

    def once(work: Callable[[Callable[[], Any]], Any]) -> None:
        with said(tmp_path, *answers) as (path, speak):
            link = connected(path, speak, NativeDialect)
            one, two = link.start(run()), link.start(run())
            until_answered(link, work, two)
            until_answered(link, work, one)
            assert [mailbox.result()["run"] for mailbox in (one, two)] == ["abc-1", "abc-1"]
            assert [one.take(), one.take(), one.take()] == [
                ("queued", 2, {"run": "r"}),
                ("queued", 3, {"run": "r"}),
                None,
            ]
            assert [two.take(), two.take()] == [("queued", 1, {"run": "r"}), None]
            link.close()

    at_every_instruction(once, SENDS)


def connected(path: str, speak: Callable[[], socket.socket], dialect: Any) -> Link:
    """A link whose peer has spoken by the time it waits."""

    class Speaking(Link):
        def _greet(self) -> bool:
            self.peer = speak()
            return super()._greet()

    return Speaking(path, [dialect])


def test_a_lock_that_is_granted_when_the_wait_is_interrupted_is_given_back(tmp_path: Path) -> None:
    answers = [HELLO, frames.result(2, frames.packed({"lock": 7, "waited": 0.0})), frames.result(3, b"\x80")]

    def once(work: Callable[[Callable[[], Any]], Any]) -> None:
        with said(tmp_path, *answers) as (path, speak):
            link = connected(path, speak, NativeDialect)
            lock, ping = link.start(requests.lock(("a",), None)), link.start(requests.ping())
            if isinstance(work(lambda: link.wait(lambda: lock.answered)), Interrupted):
                link.abandon(lock)
                link.wait(lambda: ping.answered)
                assert ping.result() == {}
                link.close()
                sent = b"".join(iter(lambda: link.peer.recv(1 << 16), b""))  # type: ignore[attr-defined]
                assert sent.count(frames.packed("unlock")) == 1
            else:
                link.close()

    at_every_instruction(once, SENDS)


RUN_FAILED = packet.frame(1, struct.pack("=Ii", packet.COMMAND_RUN, errno.ENOEXEC))
STATUS = packet.frame(1, struct.pack("=Iiii", packet.COMMAND_STATUS, 0, 3, 1) + report(b"10.x", 3))


def test_the_ctdb_dialect(tmp_path: Path) -> None:
    def once(work: Callable[[Callable[[], Any]], Any]) -> None:
        with said(tmp_path, RUN_FAILED, STATUS, packet.frame(2, struct.pack("=Ii", packet.COMMAND_RUN, 0))) as (
            path,
            speak,
        ):
            link = connected(path, speak, CtdbDialect)
            failed, other = link.start(run()), link.start(run())
            until_answered(link, work, failed)
            until_answered(link, work, other)
            assert [script["name"] for script in failed.result()["scripts"]] == ["10.x"]
            assert other.result()["outcome"] == "success"
            link.close()

    at_every_instruction(once, SENDS)


@pytest.mark.parametrize("answers", [[note(2, 1)], [frames.error(0, "EIO", "enough", {})], [frames.frame(b"\xc1")]])
def test_the_end(tmp_path: Path, answers: list[bytes]) -> None:
    def once(work: Callable[[Callable[[], Any]], Any]) -> None:
        with said(tmp_path, HELLO, more=True) as (path, speak):
            link = connected(path, speak, NativeDialect)
            one, two = link.start(run()), link.start(run())
            link.peer.sendall(b"".join(answers))  # type: ignore[attr-defined]
            link.peer.shutdown(socket.SHUT_WR)  # type: ignore[attr-defined]
            until_answered(link, work, two)
            until_answered(link, work, one)
            for mailbox in (one, two):
                with pytest.raises(BrokerError):
                    mailbox.result()
            with pytest.raises(BrokerUnavailable):
                link.call(requests.ping())
            link.close()

    at_every_instruction(once, SENDS)
