"""Fixtures of the command line's tests: a node's directories, and daemons with replies set by the test."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_broker import FakeBroker
from fake_ctdb import FakeDaemon, build_node


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A node's base directory, which the environment names; script names as CTDB's own program knows them."""
    monkeypatch.setenv("CTDB_TEST_MODE", "1")
    monkeypatch.setenv("CTDB_BASE", os.fspath(tmp_path))
    monkeypatch.delenv("CTDB_EVENT_RUN_ALL", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    build_node(tmp_path)
    (tmp_path / "ctdb.conf").write_text("[eventd]\n  script names = suffix\n")
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def daemon(node: Path) -> Iterator[FakeDaemon]:
    """A daemon on the node's socket that the test controls."""
    fake = FakeDaemon(node / "run" / "eventd.socket")
    yield fake
    fake.close()


@pytest.fixture
def broker(node: Path) -> Iterator[FakeBroker]:
    """The same for the native dialect."""
    fake = FakeBroker(node / "run" / "eventd.socket", refuses_others=True)
    fake.reply("ping", {})
    yield fake
    fake.close()
