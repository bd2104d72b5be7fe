"""Fixtures of the tests of ctdb-node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_runs import Run
from nodes import Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with two public addresses, and a script that records its arguments."""
    made = Node(tmp_path)
    made.script("50.trace.script", 'echo "$*" >>"$CTDB_BASE/var/trace"')
    (tmp_path / "public_addresses").write_text("10.0.0.1/24 eth0,eth1\nfd00::2/64 eth1\n")
    return made


@pytest.fixture
def runs(node: Node) -> Iterator[list[Run]]:
    """A list for runs of ctdb-node; those in it are ended after the test."""
    started: list[Run] = []
    yield started
    for run in started:
        run.over()
