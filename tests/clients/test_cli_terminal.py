"""No control character gets to a terminal: neither of a script's output or name, nor of what the user typed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from fake_ctdb import FakeDaemon, add_script, plain_reply, report, status_reply

ESCAPE = "\x1b[31m"
EVIL = b"one \x1b]0;title\x07\xff\n\ttwo\r\n"


def shown(*arguments: str, utf8: bool = True) -> tuple[str, bytes]:
    """Returns what a command writes to a terminal, stdout and stderr together, and what it writes to a pipe."""
    command = [sys.executable, "-m", "ctdb_event", *arguments]
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8" if utf8 else "latin-1"}
    controller, terminal = pty.openpty()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, env=environ, timeout=60)
    os.close(terminal)
    seen = b""
    try:
        while data := os.read(controller, 1 << 16):
            seen += data
    except OSError:  # EIO: nobody has the terminal any more
        pass
    os.close(controller)
    piped = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environ, timeout=60).stdout
    return seen.decode().replace("\r\n", "\n"), piped


def test_status(daemon: FakeDaemon) -> None:
    daemon.reply(status_reply(1, report(b"10.x\x1b", 1, EVIL)))
    screen, piped = shown("status", "legacy", "monitor")
    assert screen == (
        "10.x\\x1b                ERROR      0.002 Thu Jan  1 00:01:40 1970\n"
        "  OUTPUT:\n    one \\x1b]0;title\\x07\\xff\n    \ttwo\\x0d\n"
    )
    assert piped.partition(b"\n")[0] == b"10.x\x1b                ERROR      0.002 Thu Jan  1 00:01:40 1970"
    assert piped.partition(b"\n")[2] == b"  OUTPUT:\n    one \x1b]0;title\x07\xff\n    \ttwo\r\n"


def test_a_terminal_that_may_not_know_utf8(daemon: FakeDaemon) -> None:
    daemon.reply(status_reply(1, report(b"10.x", 1, "é\n".encode())))
    assert shown("status", "legacy", "monitor", utf8=False)[0].endswith("  OUTPUT: \\xe9\n")
    assert shown("status", "legacy", "monitor")[0].endswith("  OUTPUT: é\n")


def test_run(daemon: FakeDaemon) -> None:
    daemon.reply(plain_reply(1, 8))
    screen, piped = shown("run", "3", "legacy", f"x{ESCAPE}")
    assert screen == "Event x\\x1b[31m in legacy failed\n"
    assert piped == b"Event x\x1b[31m in legacy failed\n"


def test_script_list(node: Path) -> None:
    (node / "share/events/legacy").mkdir(parents=True, exist_ok=True)
    add_script(node / "events/legacy" / os.fsdecode(b"10.\xc3\xa9\xff\x1b[31m.script"))
    screen, piped = shown("script", "list", "legacy")
    assert screen == "* 10.é\\xff\\x1b[31m\n"
    assert piped == b"* 10.\xc3\xa9\xff\x1b[31m\n"
    assert "\x1b" not in shown("script", "enable", "legacy", f"5{ESCAPE}")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--stream", ESCAPE, "legacy", "x"],
        ["run", ESCAPE, "legacy", "x"],
        ["ps", "--socket", f"/tmp/{ESCAPE}"],
        ["status", "--socket", f"/tmp/{ESCAPE}", "a", "b"],
        [f"--{ESCAPE}", "status"],
        ["lint", f"./{ESCAPE}"],
    ],
)
def test_what_the_user_typed(arguments: list[str], node: Path) -> None:
    screen, _ = shown(*arguments)
    assert "\\x1b[31m" in screen
    assert "\x1b" not in screen
