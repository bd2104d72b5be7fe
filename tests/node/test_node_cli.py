"""The command line of `ctdb-node` where nothing answers, nobody reads, or the words are wrong; a socket of the test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import TIMEOUT

COMMAND = [sys.executable, "-m", "ctdb_node"]


class Answering:
    """A socket that answers each connection with the same line."""

    def __init__(self, path: Path, line: bytes) -> None:
        self.path = path
        self._line = line
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self.asked: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if not (asked := connection.recv(4096)):
                    return
                self.asked.append(asked)
                connection.sendall(self._line)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
        self._thread.join(TIMEOUT)
        self._socket.close()


STATUS = {
    "state": "running",
    "healthy": True,
    "reason": "",
    "since": 0,
    "stopped": False,
    "tunables": {"MonitorInterval": 15},
    "addresses": [{"address": "10.0.0.1", "bits": 24, "interface": None}],
    "differences": [],
}


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    made = Answering(tmp_path / "socket", json.dumps(STATUS).encode() + b"\n")
    yield made
    made.close()


def run(*words: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)


def test_it_shows_what_it_is_told(answering: Answering) -> None:
    path = str(answering.path)
    shown = run("--socket", path, "status")
    assert shown.stdout == "running, HEALTHY\n10.0.0.1/24  -\nMonitorInterval=15\n"
    assert json.loads(run("--json", "--socket", path, "addresses").stdout) == STATUS
    assert run("--socket", path, "set", "MonitorInterval=15").stdout == "MonitorInterval=15\n"
    assert (run("--socket", path, "reallocate").stdout, answering.asked[-1]) == ("", b'["reallocate"]\n')


@pytest.mark.parametrize("words", [["nonsense"], ["set"], ["--socket"], []])
def test_wrong_usage_has_its_own_status(words: list[str]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ctdb-node ")


def test_wrong_usage_of_health_is_not_a_health() -> None:
    """2 would mean that it is not known yet."""
    assert run("health", "--nonsense").returncode == 3


@pytest.mark.parametrize(
    ("line", "why"),
    [(b"[]\n", "its reply is not a JSON object"), (b"nonsense\n", "Expecting value"), (b"", "Expecting")],
)
def test_an_answer_that_cant_be_read_is_said(tmp_path: Path, line: bytes, why: str) -> None:
    answering = Answering(tmp_path / "socket", line)
    done = run("--socket", str(answering.path), "status")
    answering.close()
    assert done.returncode == 1
    assert done.stderr.startswith(f"ctdb-node: no ctdb-node answers on {answering.path}: {why}")
    assert done.stderr.count("\n") == 1


def test_nobody_reads(answering: Answering) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run("--socket", str(answering.path), "status", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_said(answering: Answering) -> None:
    with open("/dev/full", "w") as full:
        done = run("--socket", str(answering.path), "status", stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr == "ctdb-node: can't write to standard output: No space left on device\n"


def test_ctrl_c_ends_a_command_that_waits(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "socket"))
        silent.listen()
        command = [*COMMAND, "--socket", str(tmp_path / "socket"), "status"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(100) == b'["status"]\n'
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, said) == (130, "")
