"""`ctdb-event lock`: a command under locks of a broker, its end, signals, and the broker's end."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_broker import FakeBroker, ReceivedRequest
from nodes import TIMEOUT

from ctdb_event import cli

PROGRAM = [sys.executable, "-m", "ctdb_event"]
SHOW = "ls /proc/self/fd; sed -n 's/^Sig[BI][lg][kn]://p' /proc/self/status"
Capture = pytest.CaptureFixture[bytes]


@pytest.fixture
def locks(broker: FakeBroker) -> FakeBroker:
    broker.reply("lock", {"lock": 1, "waited": 0.0})
    return broker


@contextlib.contextmanager
def locked(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command under a lock, in a process group of its own."""
    with subprocess.Popen(
        [*PROGRAM, "lock", "a", "--", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def line_of(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_status_is_the_commands(code: int, locks: FakeBroker) -> None:
    assert cli.main(["lock", "a,b", "--wait", "2.5", "--", "sh", "-c", f"exit {code}"]) == code
    assert locks.asked("lock") == {"names": ["a", "b"], "wait": 2.5}
    assert cli.main(["lock", "a", "--", "sh", "-c", f"exit {code}"]) == code
    assert locks.asked("lock") == {"names": ["a"], "wait": None}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGPIPE])
def test_a_command_killed_by_a_signal(number: signal.Signals, locks: FakeBroker) -> None:
    assert cli.main(["lock", "a", "--", "sh", "-c", f"kill -{int(number)} $$"]) == 128 + number


def test_a_command_that_stops_and_goes_on(locks: FakeBroker) -> None:
    script = "(sleep 0.1; kill -CONT $$) & kill -STOP $$; exit 5"
    assert cli.main(["lock", "a", "--", "sh", "-c", script]) == 5


def standing(command: list[str]) -> tuple[list[str], list[int]]:
    """Runs a command that shows its open descriptors, and signals 1 to 31 as blocked and as ignored."""
    shown = subprocess.run([*command, "sh", "-c", SHOW], capture_output=True, check=True, text=True).stdout.split()
    # glibc's posix_spawn leaves its own two, 32 and 33, ignored
    return shown[:-2], [int(mask, 16) & 0x7FFFFFFF for mask in shown[-2:]]


def test_the_command_is_as_if_started_by_itself_but_for_the_connection(locks: FakeBroker) -> None:
    descriptors, signals = standing([*PROGRAM, "lock", "a", "--"])
    alone, expected = standing(["env"])
    assert (len(descriptors), signals) == (len(alone) + 1, expected)


def test_afterwards_everything_is_as_before(locks: FakeBroker) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGCHLD)
    assert cli.main(["lock", "a", "--", "true"]) == 0
    assert (signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGCHLD)) == before


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [("/nonexistent/x", 127, b"No such file or directory"), ("/etc/passwd", 126, b"Permission denied")],
)
def test_what_cannot_be_run(command: str, code: int, said: bytes, locks: FakeBroker, capfdbinary: Capture) -> None:
    assert cli.main(["lock", "a", "--", command]) == code
    assert capfdbinary.readouterr().err == b"ctdb-event: can't run " + command.encode() + b": " + said + b"\n"


def busy(asked: ReceivedRequest) -> None:
    if asked.params["wait"] is None:
        asked.result({"lock": 1, "waited": 3.0})
    else:
        asked.error("ETIMEDOUT", "no lock a within 0 s: held by x\x1b", kind="LockTimeout", names=["a"], holder="x")


def test_the_wait_is_over(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.rules["lock"] = busy
    assert cli.main(["lock", "--wait", "0", "a", "--", "true"]) == 124
    said = b"ctdb-event: no lock a within 0 s: held by x\\x1b; ctdb-event locks shows who holds what\n"
    assert capfdbinary.readouterr().err == said


@pytest.mark.parametrize(
    ("code", "kind"), [("EINVAL", "InvalidName"), ("EDEADLK", "WouldDeadlock"), ("ECANCELED", "Cancelled")]
)
@pytest.mark.parametrize("on_a_terminal", [False, True])
def test_locks_that_cannot_be_had(
    code: str,
    kind: str,
    on_a_terminal: bool,
    broker: FakeBroker,
    capfdbinary: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_a_terminal)
    broker.refuse("lock", code, "no such luck", kind=kind)
    assert cli.main(["lock", "a", "--", "true"]) == 125
    assert capfdbinary.readouterr().err.startswith(b"ctdb-event: no such luck")


def test_no_daemon(node: Path, capfdbinary: Capture) -> None:
    assert cli.main(["lock", "a", "--", "true"]) == 125
    assert b"no event daemon listens" in capfdbinary.readouterr().err


def test_a_person_is_told_what_the_wait_is_for(
    broker: FakeBroker, capfdbinary: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    broker.rules["lock"] = busy
    assert cli.main(["lock", "a", "--", "true"]) == 0
    assert capfdbinary.readouterr().err == b"ctdb-event: waiting: no lock a within 0 s: held by x\\x1b\n"
    assert [params["wait"] for method, params in broker.requests if method == "lock"] == [0.0, None]
    broker.reply("lock", {"lock": 1, "waited": 0.0})
    assert cli.main(["lock", "a", "--", "true"]) == 0
    assert capfdbinary.readouterr().err == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(number: signal.Signals, locks: FakeBroker) -> None:
    script = f"trap 'echo got {number.name}; exit 9' {int(number)}; echo ready; while :; do sleep 0.01; done"
    with locked("sh", "-c", script) as process:
        assert line_of(process) == b"ready\n"
        process.send_signal(number)  # to ctdb-event alone
        assert line_of(process) == f"got {number.name}\n".encode()
        assert process.wait(TIMEOUT) == 9


def test_a_key_of_the_terminal_reaches_the_command_once(locks: FakeBroker) -> None:
    script = "trap 'echo got' INT; echo ready; until read x; do :; done; echo $x; exit 9"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(
            sys.executable,
            [*PROGRAM, "lock", "a", "--", "bash", "-c", script.replace("read x", "until read x; do :; done")],
        )
    try:
        read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        read_until(terminal, b"got\r\n")
        os.write(terminal, b"done\n")
        assert read_until(terminal, b"done\r\ndone\r\n").count(b"got\r\n") == 0
    finally:
        os.close(terminal)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def read_until(terminal: int, wanted: bytes) -> bytes:
    data = b""
    deadline = time.monotonic() + TIMEOUT
    while wanted not in data:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], data
        data += os.read(terminal, 4096)
    return data


def test_the_daemon_goes_while_the_command_runs(locks: FakeBroker) -> None:
    with locked("sh", "-c", "echo ready; read x; exit 7") as process:
        assert line_of(process) == b"ready\n"
        locks.hang_up()
        assert process.stderr is not None
        assert process.stdin is not None
        said = process.stderr.readline()
        assert said.startswith(b"ctdb-event: lock a lost; the command continues without: connection to ")
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(TIMEOUT) == 7


def test_what_the_broker_says_meanwhile_does_not_matter(broker: FakeBroker) -> None:
    locked_by: list[ReceivedRequest] = []
    pinged = threading.Event()

    def lock(asked: ReceivedRequest) -> None:
        locked_by.append(asked)
        asked.result({"lock": 1, "waited": 0.0})

    def ping(asked: ReceivedRequest) -> None:
        pinged.set()
        asked.result({})

    broker.rules.update(lock=lock, ping=ping)
    with locked("sh", "-c", "echo ready; read x; exit 7") as process:
        assert line_of(process) == b"ready\n"
        locked_by[0].note("of-later")
        assert pinged.wait(TIMEOUT)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(TIMEOUT) == 7
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_ctrl_c_while_it_waits(broker: FakeBroker) -> None:
    came, done = threading.Event(), threading.Event()

    def never(asked: ReceivedRequest) -> None:
        came.set()
        done.wait(TIMEOUT)
        asked.result({"lock": 1})

    broker.rules["lock"] = never
    with locked("true") as process:
        assert came.wait(TIMEOUT)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""
        done.set()
