"""Options, usage and exit statuses against what CTDB's own program was seen to do, and how the process ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_ctdb import FakeDaemon

from ctdb_event import cli, console
from ctdb_eventd import __version__

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "cli-vectors.json").read_text())
PROGRAM = [sys.executable, "-m", "ctdb_event"]
REAL_PROGRAM = "/usr/libexec/ctdb/ctdb-event"


def vector_name(vector: dict[str, Any]) -> str:
    return " ".join(vector["args"]) or "(nothing)"


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["args"] != ["--version"]], ids=vector_name)
def test_same_as_ctdbs_own_program(
    vector: dict[str, Any], node: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    code = cli.main(vector["args"])
    out, err = capfdbinary.readouterr()
    assert out.decode().replace(str(node), "{base}") == vector["stdout"]
    assert code == vector["exit"]
    if vector["stderr"]:  # where it says nothing, ours may give a reason
        assert err.decode() == vector["stderr"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if len(v["args"]) in (0, 3)][::5], ids=vector_name)
def test_same_as_a_process(vector: dict[str, Any], node: Path) -> None:
    done = subprocess.run([*PROGRAM, *vector["args"]], capture_output=True, check=False)
    assert done.stdout.decode().replace(str(node), "{base}") == vector["stdout"]
    assert done.returncode == vector["exit"]


@pytest.mark.interop
@pytest.mark.skipif(not os.path.exists(REAL_PROGRAM), reason=f"Debian package ctdb missing: no {REAL_PROGRAM}")
@pytest.mark.parametrize("vector", VECTORS, ids=vector_name)
def test_vectors_are_what_the_real_program_does(vector: dict[str, Any], node: Path) -> None:
    done = subprocess.run([REAL_PROGRAM, *vector["args"]], capture_output=True, check=False)
    out, err = (text.decode().replace(str(node), "{base}") for text in (done.stdout, done.stderr))
    assert {"args": vector["args"], "stdout": out, "stderr": err, "exit": done.returncode} == vector


@pytest.mark.parametrize(
    "arguments",
    [
        ["--socket", "{}", "status", "c", "e"],
        ["status", "--socket={}", "c", "e"],
        ["--socket=/nonexistent", "status", "c", "e", "--socket", "{}"],
    ],
)
def test_socket_option_names_another_daemon(
    arguments: list[str], node: Path, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CTDB_BASE")  # not needed then
    cli.main([argument.replace("{}", str(daemon.path)) for argument in arguments])
    assert len(daemon.requests) == 1


def test_the_version_which_ctdbs_own_program_does_not_tell(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(["--version"]) == 0
    assert capfdbinary.readouterr() == (f"ctdb-event {__version__}\n".encode(), b"")


def test_socket_option_needs_a_value(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(["status", "c", "e", "--socket"]) == 1
    assert capfdbinary.readouterr().err == b"Invalid option --socket: missing argument\n"


def test_undecodable_option_is_quoted_byte_for_byte(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main([os.fsdecode(b"--\xff")]) == 1
    assert capfdbinary.readouterr().err == b"Invalid option --\xff: unknown option\n"


def test_arguments_default_to_the_process_own(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ctdb-event", "-9"])
    assert cli.main() == 1
    assert capfdbinary.readouterr().err == b"Invalid option -9: unknown option\n"


@pytest.mark.parametrize("command", [["status", "c", "e"], ["run", "3", "c", "e"], ["script", "list", "c"]])
def test_test_mode_without_a_base(
    command: list[str], node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.delenv("CTDB_BASE")
    assert cli.main(command) == 1
    assert capfdbinary.readouterr() == (
        b"",
        b"ctdb-event: CTDB_TEST_MODE is set, so CTDB_BASE must name the directory of the test node\n",
    )


def test_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    def interrupt(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_execute", interrupt)
    assert cli.main(["status", "c", "e"]) == 130
    assert capfdbinary.readouterr() == (b"", b"")


def with_closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    ("open_stdout", "code", "complaint"),
    [
        (with_closed_pipe, 141, b""),
        (
            lambda: os.open("/dev/full", os.O_WRONLY),
            1,
            b"ctdb-event: can't write the output: No space left on device\n",
        ),
    ],
    ids=["reader gone", "disk full"],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_stdout_that_takes_nothing(
    open_stdout: Callable[[], int], code: int, complaint: bytes, unbuffered: str, node: Path
) -> None:
    stdout = open_stdout()
    try:
        done = subprocess.run(
            [*PROGRAM, "script", "list", "both"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )
    finally:
        os.close(stdout)
    assert (done.returncode, done.stderr) == (code, complaint)


@pytest.mark.parametrize("redirections", [">&-", ">&- 2>&-", "2>&-", "2>/dev/full"])
def test_streams_closed_from_the_start(redirections: str, node: Path) -> None:
    command = f'"$@" {redirections}'
    done = subprocess.run(["/bin/sh", "-c", command, "sh", *PROGRAM, "-9"], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr in (b"", b"Invalid option -9: unknown option\n")


def test_say_writes_on_where_a_write_was_short(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    class Reluctant:
        """A descriptor without a buffer: takes two bytes at a time."""

        def write(self, data: memoryview) -> int:
            taken.append(bytes(data[:2]))
            return len(taken[-1])

    class Stream:
        buffer = Reluctant()

    monkeypatch.setattr(sys, "stdout", Stream())
    console.say("abcde")
    assert taken == [b"ab", b"cd", b"e"]


@pytest.mark.parametrize(
    ("result", "code"), [(0, 0), (22, 22), (-110, 110), (255, 255), (256, 1), (-512, 1), (300, 44)]
)
def test_status_code_never_turns_failure_into_success(result: int, code: int) -> None:
    assert console.status_code(result) == code


def test_failure_is_its_text() -> None:
    failure = console.Failure("no such thing", 7)
    assert (str(failure), failure.code) == ("no such thing", 7)
