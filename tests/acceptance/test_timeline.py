"""Pictures of what real daemons did: a failover of three nodes with a lock and a script that fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from failovers import ADDRESSES, FAILING, exported_failover
from nodes import Node, running_daemon


def timeline(node: Node, *arguments: str) -> str:
    command = [sys.executable, "-m", "ctdb_event", "timeline", *arguments]
    environ = {**node.environ, "COLUMNS": "120", "PYTHONUTF8": "1"}
    drawn = subprocess.run(command, env=environ, capture_output=True, check=True, text=True)
    assert drawn.stderr == ""
    return drawn.stdout


async def test_a_failover_of_one_node_in_a_terminal_without_a_daemon(tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    await exported_failover(node, "node1", fails=True)
    lines = timeline(node).splitlines()
    assert lines[1] == os.uname().nodename
    for address in ADDRESSES:
        assert any(line.startswith(f"{address} ") for line in lines), address
    whole = lines.index(next(line for line in lines if line.startswith(f"{FAILING} ")))
    assert re.search(r"✗ +takeip failed ", lines[whole])
    # the bar before the mark is as long as the script took
    assert re.search(r"  50\.samba +[^ ]*✗ +exit status 3 ", lines[whole + 3])
    waited = [line for line in lines if "13.route " in line and " waited " in line and "routes" in line]
    assert len(waited) >= len(ADDRESSES) - 1, "they took turns at the lock"
    async with running_daemon(node):  # which reads it for those who may not
        assert timeline(node, "--socket", node.socket).splitlines() == lines


@pytest.fixture
async def exports(tmp_path: Path) -> list[str]:
    files = []
    for number in (1, 2, 3):
        export = await exported_failover(Node(tmp_path / f"base{number}"), f"node{number}", fails=number == 2)
        file = tmp_path / f"node{number}.jsonl"
        file.write_text(export)
        files.append(os.fspath(file))
    return files


async def test_the_failover_of_a_cluster_in_files(exports: list[str], tmp_path: Path) -> None:
    html, svg, perfetto = (tmp_path / f"picture.{name}" for name in ("html", "svg", "json"))
    options = [f"--html={html}", f"--svg={svg}", f"--perfetto={perfetto}"]
    assert timeline(Node(tmp_path), *options, *exports) == ""
    for text in (html.read_text(), svg.read_text()):
        assert [text.count(f">node{number}</text>") for number in (1, 2, 3)] == [1, 1, 1]
        assert "Cannot assign &lt;b&gt;requested&lt;/b&gt; address</title>" in text
    events = json.loads(perfetto.read_text())["traceEvents"]
    nodes = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert nodes == {1: "node1", 2: "node2", 3: "node3"}
    failed = {(nodes[event["pid"]], event["name"]) for event in events if event.get("cat") == "failed"}
    assert failed == {("node2", "takeip failed"), ("node2", "exit status 3")}
    spans = [event for event in events if event["ph"] == "X"]
    assert [event["ts"] for event in spans] == sorted(event["ts"] for event in spans)
