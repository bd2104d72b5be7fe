"""Our command line and CTDB's own side by side: before the same daemon of CTDB's, and in the bytes that they send."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ctdb_versions import SENDS_LEADING_EMPTY_ARGUMENT
from fake_ctdb import FakeDaemon, plain_reply, report, status_reply

HELPERS = Path("/usr/libexec/ctdb")
MISSING = [name for name in ("ctdb-event", "ctdb-eventd") if not (HELPERS / name).exists()]
OURS = [sys.executable, "-m", "ctdb_event"]
REAL = [str(HELPERS / "ctdb-event")]
SCRIPT = """#!/bin/sh
case $1 in
fail) echo bad; exit 7 ;;
hang) echo waiting; exec sleep 60 ;;
sig) kill -9 $$ ;;
esac
"""
TIMEOUT = 20.0

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(MISSING), reason=f"Debian package ctdb missing: no {', '.join(MISSING)} in {HELPERS}"),
]


@contextlib.contextmanager
def real_daemon(node: Path) -> Iterator[None]:
    """Runs CTDB's own daemon on the node until the end of the block; it listens when the block starts."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [HELPERS / "ctdb-eventd", "-S", str(writer)],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it ends its whole process group when it ends
    )
    os.close(writer)
    try:
        assert os.read(reader, 4) == b"\0\0\0\0"
        yield
    finally:
        os.close(reader)
        process.terminate()
        process.wait(TIMEOUT)


def call(program: list[str], arguments: list[str]) -> tuple[str, int]:
    done = subprocess.run([*program, *arguments], capture_output=True, timeout=TIMEOUT, check=False)
    return done.stdout.decode(), done.returncode


def form_of_4_24(stdout: str) -> str:
    """Debian's 4.17 keeps the newline at an output's end; later versions strip it."""
    return re.sub(r"(  OUTPUT: [^\n]*\n)\n", r"\1", stdout)


def test_same_words_for_the_same_daemon(node: Path) -> None:
    for name in ("10.first", "20.second"):
        path = node / "events" / "one" / f"{name}.script"
        path.write_text(SCRIPT)
        path.chmod(0o755)
    (node / "ctdb.conf").write_text("[logging]\n  location = file:\n")
    with real_daemon(node):
        for event in ("never", "monitor", "fail", "sig", "hang"):
            if event != "never":
                arguments = ["run", "1" if event == "hang" else "30", "one", event, "eth0", "10.0.0.1"]
                assert call(OURS, arguments) == call(REAL, arguments)
            out, code = call(REAL, ["status", "one", event])
            assert call(OURS, ["status", "one", event]) == (form_of_4_24(out), code)
        for arguments in (["run", "30", "nope", "monitor"], ["status", "nope", "monitor"]):
            assert call(OURS, arguments) == call(REAL, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "legacy", "monitor"],
        ["run", "30", "legacy", "monitor"],
        ["run", "0", "legacy", "takeip", "eth0", "10.0.0.1", "24"],
        ["run", "030", "legacy", "e", ""],
        ["run", " 5", "legacy", "e", "", "a b", ""],
        ["run", "+5", "legacy", "e", os.fsdecode(b"\xff"), "--", "-x"],
    ],
    ids=str,
)
@pytest.mark.parametrize("run_all", [False, True])
def test_same_bytes_are_sent(
    arguments: list[str], run_all: bool, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    if run_all:
        monkeypatch.setenv("CTDB_EVENT_RUN_ALL", "")
    command = 1 if arguments[0] == "run" else 2
    daemon.answer = lambda request: request_id(request, plain_reply(command, 22))
    sent = arguments if SENDS_LEADING_EMPTY_ARGUMENT.here else _without_leading_empty(arguments)
    assert call(OURS, sent) == call(REAL, arguments)
    ours, real = daemon.requests
    assert (ours[:8], ours[12:]) == (real[:8], real[12:])


def _without_leading_empty(arguments: list[str]) -> list[str]:
    """Less the empty words between an event and the first one that isn't, if there is one."""
    words = arguments[4:]
    while len(words) > 1 and not words[0]:
        del words[0]
    return [*arguments[:4], *words]


def request_id(request: bytes, reply: bytes) -> bytes:
    return reply[:8] + request[8:12] + reply[12:]


@pytest.mark.parametrize("command", [["run", "30"], ["status"]])
@pytest.mark.parametrize("result", [0, 2, 5, 8, 11, 22, 35, 110, 125, 255])
def test_same_words_for_every_result(command: list[str], result: int, daemon: FakeDaemon) -> None:
    reply = status_reply(0) if command == ["status"] and not result else plain_reply(len(command) % 2 + 1, result)
    daemon.answer = lambda request: request_id(request, reply)
    assert call(OURS, [*command, "legacy", "monitor"]) == call(REAL, [*command, "legacy", "monitor"])


def test_same_words_for_scripts(daemon: FakeDaemon) -> None:
    results = [0, 1, 7, 63, 64, 255, -1, -2, -4, -8, -13, -62, -110, -125, -200, -9999]
    # half milliseconds, which floating point rounds one way or the other
    durations = [0.0005, 0.0015, 0.0025, 1.9965, 2.0005, 59.9995, -0.5, -1.0015]
    reports = [report(b"10.x", result, begin=n) for n, result in enumerate(results)]
    reports += [report(b"20.y", 0, begin=100 + n, seconds=s) for n, s in enumerate(durations)]
    reports += [report(b"30.a-long-name-that-is-longer", 0, begin=1795362780.5, seconds=0.75)]
    daemon.answer = lambda request: request_id(request, status_reply(-110, *reports))
    assert call(OURS, ["status", "legacy", "monitor"]) == call(REAL, ["status", "legacy", "monitor"])
