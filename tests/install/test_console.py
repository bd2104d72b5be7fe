"""What the installer says: output that nobody takes stops nothing, and an interrupt is no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctdb_eventd_install import cli

from .tree import OWN_DAEMON, FakeNode


def run_into(node: FakeNode, stdout: int, *arguments: str, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """Runs the installer with a standard output of one's own; returns its exit status and what it said on stderr."""
    command = [sys.executable, "-m", "ctdb_eventd_install", *node.arguments, *arguments]
    run = subprocess.run(command, stdout=stdout, stderr=stderr, text=True, timeout=60)
    return run.returncode, run.stderr or ""


@pytest.fixture
def unread() -> Iterator[int]:
    """The writing end of a pipe whose reader has gone."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    yield write_end
    os.close(write_end)


@pytest.fixture
def full() -> Iterator[int]:
    """A file on a full disk."""
    with open("/dev/full", "wb") as file:
        yield file.fileno()


def test_a_reader_who_goes_stops_nothing(node: FakeNode, unread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_into(node, unread) == (0, "")
    assert node.run("--status") == 0
    assert run_into(node, unread, "--status") == (0, "")
    for buffered in ("", "1"):  # without a buffer it is the writing that fails
        monkeypatch.setenv("PYTHONUNBUFFERED", buffered)
        assert run_into(node, unread, "--help") == (0, "")
        assert run_into(node, unread, "--version") == (0, "")
    assert run_into(node, unread, "--remove", stderr=subprocess.STDOUT) == (0, "")
    assert run_into(node, unread, "--program", "/nonexistent", stderr=subprocess.STDOUT)[0] == cli.EXIT_ERROR
    assert node.helper.read_text() == OWN_DAEMON


def test_a_full_disk_under_the_report_stops_nothing(node: FakeNode, full: int) -> None:
    status, said = run_into(node, full)
    lost = "the rest of the report is lost, its output can't be written: No space left on device"
    assert (status, said) == (0, f"ctdb-eventd-install: {lost}\n")
    assert node.run("--status") == 0


def test_an_interrupt_needs_no_traceback(node: FakeNode, tmp_path: Path) -> None:
    """Ctrl-C while CTDB's tool is asked for its version, as an example of what may take a while."""
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    node.file("usr/bin/ctdb", f"#!/bin/sh\n: >{ready}\nexec sleep 1000\n")
    command = [sys.executable, "-m", "ctdb_eventd_install", *node.arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        ready.read_text()
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == cli.EXIT_INTERRUPTED
    assert said == "ctdb-eventd-install: interrupted; --status shows whether an operation is incomplete\n"
    assert node.helper.read_text() == OWN_DAEMON
