"""The page of the client library: its programs run on a real broker, its tables name what there is."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from nodes import TIMEOUT, Daemon, Node, start_daemon

from ctdb_event import errors, updates
from ctdb_event.aio.client import AsyncClient

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "clients.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
DRIVERS = re.findall(r"^```python driver\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TRACING = """
echo "$*" >> "$CTDB_BASE/var/trace"
case $1 in
monitor) if [ -e "$CTDB_BASE/var/ill" ]; then echo not running; exit 3; fi ;;
takeip|releaseip)
    # nobody goes on before all are here: they only can be if they run side by side
    touch "$CTDB_BASE/var/$1.$3"
    while [ "$(ls "$CTDB_BASE/var" | grep -c "^$1")" -lt 3 ]; do sleep 0.02; done ;;
startup) echo started ;;
esac
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    node = Node(tmp_path)
    node.script("10.trace.script", TRACING)
    running = start_daemon(node)
    try:
        yield running
        assert running.stop() == 0, node.log
    finally:
        running.process.kill()
        running.process.wait()
        assert running.process.stderr is not None
        running.process.stderr.close()


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_column(text: str) -> list[str]:
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("|")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_every_program_runs(number: int, daemon: Daemon) -> None:
    node = daemon.node
    for name in ("takeip.a", "takeip.b"):  # these programs take one address, not three
        (node.var / name).touch()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[number]], env=node.environ, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout != ""


def test_there_are_programs_of_every_kind() -> None:
    assert len(PROGRAMS) == 5
    assert len(DRIVERS) == 1
    assert len(DRIVERS[0].splitlines()) < 50


def test_the_driver_brings_a_node_up_watches_it_and_takes_it_down(daemon: Daemon, tmp_path: Path) -> None:
    node = daemon.node
    program = tmp_path / "driver.py"
    program.write_text(DRIVERS[0])
    addresses = ["10.0.0.31", "10.0.0.32", "10.0.0.33"]
    command = [sys.executable, str(program), "0.01", "eth0", *addresses]
    with subprocess.Popen(command, env=node.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        patience = threading.Timer(TIMEOUT, process.kill)
        patience.start()
        try:
            assert process.stdout.readline() == "healthy\n"
            (node.var / "ill").touch()
            wait_for(process.stdout, "unhealthy: event monitor in legacy failed: 10.trace exited with status 3\n")
            (node.var / "ill").unlink()
            wait_for(process.stdout, "healthy\n")
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            assert process.wait(TIMEOUT) == 0
        finally:
            patience.cancel()
            process.kill()
    trace = [line for line in node.read("trace").splitlines() if line != "monitor"]
    assert trace[:3] == ["init", "setup", "startup"]
    assert sorted(trace[3:6]) == [f"takeip eth0 {address} 24" for address in addresses]
    assert sorted(trace[6:9]) == [f"releaseip eth0 {address} 24" for address in addresses]
    assert trace[9:] == ["shutdown"]


def wait_for(stream: Iterator[str], line: str) -> None:
    """Reads until the line comes, or the driver has ended."""
    assert line in stream, f"{line!r} never came"


def test_the_table_of_methods_names_them_all() -> None:
    methods = {name for name in dir(AsyncClient) if not name.startswith("_")} - {"dialect", "path"}
    assert set(first_column(section("Methods"))) == methods


def test_the_table_of_exceptions_names_them_all() -> None:
    assert sorted(first_column(section("Exceptions"))) == sorted(errors.__all__)


def test_the_table_of_updates_names_them_all_and_their_fields() -> None:
    common = {field.name for field in attrs.fields(updates.Update)}
    kinds = {
        name: {field.name for field in attrs.fields(getattr(updates, name))} - common
        for name in updates.__all__
        if name != "Update"
    }
    rows = [row.split("|") for row in section("Watching").splitlines() if row.startswith("| `")]
    told = {row[1].strip(" `"): set(re.findall(r"`(\w+)`", row[2])) for row in rows}
    assert told == kinds
