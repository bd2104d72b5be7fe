"""What `ctdb-node run` says when the event daemon can't be had."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.abc
import pytest
from nodes import Node

from ctdb_node import cli, eventd


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    made = Node(tmp_path)
    monkeypatch.setenv("CTDB_TEST_MODE", "1")
    monkeypatch.setenv("CTDB_BASE", str(tmp_path))
    return made


def run() -> int:
    return cli.main(["run", "--no-interfaces"])


def test_a_daemon_that_ends_before_it_is_connected_to(
    node: Node, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It has said that it listens, and is killed before anybody asks it."""
    really = eventd.running

    @asynccontextmanager
    async def killed() -> AsyncIterator[anyio.abc.Process]:
        async with really() as process:
            process.kill()
            await process.wait()
            yield process

    monkeypatch.setattr(eventd, "running", killed)
    assert run() == 1
    said = capfd.readouterr().err
    assert "listened, but can't be asked: " in said
    assert "Traceback" not in said
    assert not (node.base / "run" / "node.socket").exists()


def test_a_daemon_that_never_listens_is_killed(
    node: Node, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It waits for its configuration, a pipe into which nobody writes, and heeds no SIGTERM there."""
    (node.base / "ctdb.conf").unlink()
    os.mkfifo(node.base / "ctdb.conf")
    monkeypatch.setattr(eventd, "_START_TIMEOUT", 0.5)
    monkeypatch.setattr(eventd, "_STOP_TIMEOUT", 0.5)
    assert run() == 1
    assert "does not listen after 0 s; see its log" in capfd.readouterr().err


def test_a_daemon_that_cant_be_executed(
    node: Node, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.executable", str(node.base / "python"))
    assert run() == 1
    assert (
        f"can't start ctdb-eventd: [Errno 2] No such file or directory: '{node.base}/python'" in capfd.readouterr().err
    )


def test_a_daemon_that_cant_start_is_said_with_its_own_message(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    node.configure("[eventd]\nno such key = 1\n")
    assert run() == 1
    said = capfd.readouterr().err
    assert "no such key" in said
    assert "ctdb-node: ctdb-eventd ended with exit status 1 before it listened; see its message" in said


def test_an_environment_that_names_no_place_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CTDB_TEST_MODE", "1")
    monkeypatch.delenv("CTDB_BASE", raising=False)
    for command in ("run", "status"):
        assert cli.main([command]) == 1
        assert "CTDB_TEST_MODE is set, so CTDB_BASE must name the directory" in capfd.readouterr().err


def test_the_daemon_is_the_installed_one_wherever_it_is_started(
    node: Node, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Anybody may have put a package of that name into the working directory."""
    (node.base / "ctdb_eventd").mkdir()
    (node.base / "ctdb_eventd/__init__.py").write_text("raise SystemExit('a decoy')\n")
    monkeypatch.chdir(node.base)
    node.configure("[eventd]\nno such key = 1\n")
    assert run() == 1
    said = capfd.readouterr().err
    assert "no such key" in said
    assert "a decoy" not in said
