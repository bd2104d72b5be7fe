"""`make run`: the demo, with and without real addresses, and broken off."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nodes import TIMEOUT, children_of, command_of, until

TOP = Path(__file__).resolve().parents[2]
DEMO = TOP / "contrib/demo/run.py"
README = TOP / "README.md"


@pytest.fixture
def place() -> Iterator[Path]:
    """Where the demo has its directory: short, for sockets."""
    with tempfile.TemporaryDirectory(prefix="demo.") as name:
        yield Path(name)


@pytest.fixture
def started(place: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    demos: list[subprocess.Popen[str]] = []

    def start(*arguments: str, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
        environ = {**os.environ, "TMPDIR": str(place), "EVENTS_STATE_DIR": "/nonexistent", "EVENTS_REAL_ADDRESSES": "x"}
        command = [sys.executable, str(DEMO), *arguments]
        demos.append(
            subprocess.Popen(
                command, env=environ, stdout=output, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
        )
        return demos[-1]

    yield start
    for demo in demos:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
        demo.communicate(timeout=TIMEOUT)


def in_order(said: str, *texts: str) -> None:
    """Checks that these are in what was said, one behind the other."""
    position = 0
    for text in texts:
        found = said.find(text, position)
        assert found >= 0, f"{text!r} is not behind what was before it, in:\n{said}"
        position = found + len(text)


def excerpt() -> list[str]:
    """The lines of the output that README shows."""
    blocks = README.read_text().split("```")[1::2]
    block = next(block for block in blocks if block.startswith("\n== "))
    return [line for line in block.splitlines() if line not in ("", "…")]


def without_numbers(text: str) -> str:
    # behind a line stands when it came, if it was logged a while later
    text = re.sub(r", at [\d:.]+\)", ")", text)
    return re.sub(r"\(ctdb-event show [^)]*\)", "", re.sub(r"\d+", "0", text))


LIFE = (
    "init succeeded; now: setup",
    "startup succeeded; now: running",
    "the node is HEALTHY",
    "10.interface: took 10.0.0.",
    "… and 19 more of these",
    "20 taken; 20 of 20 are here",
    "the node is UNHEALTHY: 50.service: the service is not running",
    "20 addresses given up, 0 moved, 0 taken; 0 of 20 are here",
    "[exit status 1]",
    "$ ctdb-event run 30 legacy startup",
    "the node is HEALTHY",
    "20 taken; 20 of 20 are here",
    "$ ctdb-node reallocate",
)
END = ("SIGTERM: shutting down", "50.service: service stopped", "exit status 0", "demo: everything went as expected\n")


def test_the_scripts_say_what_they_would_do(started: Callable[..., subprocess.Popen[str]], place: Path) -> None:
    demo = started("--no-interfaces")
    said, _ = demo.communicate(timeout=TIMEOUT)
    assert demo.returncode == 0, said
    in_order(said, *LIFE, "0 addresses given up, 0 moved, 0 taken; 20 of 20 are here", *END)
    assert "Traceback" not in said
    assert list(place.iterdir()) == []


@pytest.mark.interop
def test_root_has_real_addresses(started: Callable[..., subprocess.Popen[str]], place: Path) -> None:
    """The demo itself counts the kernel's addresses, after they have moved and at the end."""
    demo = started()
    said, _ = demo.communicate(timeout=TIMEOUT)
    assert demo.returncode == 0, said
    in_order(said, *LIFE, "10 moved, 0 taken; 20 of 20 are here", "10.0.0.31/24  eth1", *END)
    shown = [without_numbers(line) for line in excerpt()]
    assert len(shown) > 15
    in_order(without_numbers(said), *(f"{line}\n" for line in shown))
    assert "should be on" not in said
    assert "failed; trying again" not in said
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (signal.SIGINT, "$ ctdb-node run"),
        (signal.SIGINT, "init succeeded"),
        (signal.SIGINT, "the node is UNHEALTHY"),
        (signal.SIGTERM, "the node is HEALTHY"),
        (signal.SIGHUP, "service started"),
    ],
)
async def test_it_ends_cleanly_when_it_is_broken_off(
    started: Callable[..., subprocess.Popen[str]], place: Path, number: signal.Signals, text: str
) -> None:
    output = os.memfd_create("said")

    def said() -> str:
        return os.pread(output, 1 << 20, 0).decode()

    demo = started("--no-interfaces", output=output)
    await until(lambda: text in said(), text)
    nodes = [pid for pid in children_of(demo.pid) if "ctdb-node" in command_of(pid)]
    daemons = [pid for node in nodes for pid in children_of(node)]
    services = [int(file.read_text()) for file in place.glob("*/var/sample-events/service.pid") if file.read_text()]
    # from a terminal it comes to all that is in front; anybody else sends it to the demo alone
    os.killpg(demo.pid, number) if number is signal.SIGINT else demo.send_signal(number)
    assert demo.wait(TIMEOUT) == 128 + number, said()
    assert "Traceback" not in said()
    assert "FAILED" not in said()
    assert list(place.iterdir()) == []
    await until(lambda: not any(command_of(pid) for pid in (*nodes, *daemons, *services)), "the end of all processes")
    os.close(output)


def test_a_wrong_option_shows_what_there_is(started: Callable[..., subprocess.Popen[str]], place: Path) -> None:
    demo = started("--real")
    said, _ = demo.communicate(timeout=TIMEOUT)
    assert demo.returncode == 2
    assert said.startswith("run.py [--no-interfaces]: ")
    assert list(place.iterdir()) == []


def test_a_directory_with_too_long_a_name_is_said(place: Path) -> None:
    long = place / ("x" * 80)
    long.mkdir()
    command = [sys.executable, str(DEMO), "--no-interfaces"]
    done = subprocess.run(command, env={**os.environ, "TMPDIR": str(long)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "too long a name for a Unix socket below it: set TMPDIR to a shorter one" in done.stdout
    assert list(long.iterdir()) == []
