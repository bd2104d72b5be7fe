"""`ctdb-event scripts --nodes`: real daemons of several nodes, asked by CTDB's onnode or one that prints as it does."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nodes import TIMEOUT, Node, running_daemon

from ctdb_event.commands.node_scripts import differences
from ctdb_event.commands.onnode import json_list, last_line, said_by_node

ONNODE = """\
[ "$1 $2" = "-v all" ] || exit 1
shift 2
for node in $(cat "$CTDB_BASE/nodes"); do
    echo >&2
    echo ">> NODE: $node <<" >&2
    $ONNODE_SSH -n "$node" "$*" || status=$?
done
exit ${status:-0}
"""
SSH = """\
cd "$CTDB_BASE/$2" 2>/dev/null || { echo "ssh: connect to host $2 port 22: No route to host" >&2; exit 255; }
echo "Warning: Permanently added '$2' to the list of known hosts." >&2
CTDB_BASE=$PWD exec sh -c "$3"
"""
CTDB_ONNODE = "/usr/bin/onnode"


class Cluster:
    """Nodes, each with a daemon, and an `onnode` that reaches them."""

    def __init__(self, base: Path, nodes: list[Node], onnode: str) -> None:
        self.base = base
        self.nodes = nodes
        programs = base / "bin"
        programs.mkdir()
        ssh = _program(programs / "ssh", SSH)
        _program(programs / "ctdb-event", f'exec {sys.executable} -m ctdb_event "$@"\n')
        if onnode == "stub":
            _program(programs / "onnode", ONNODE)
        elif onnode == "CTDB's":
            (programs / "onnode").symlink_to(CTDB_ONNODE)
        self.environ = {
            **os.environ,
            **{"CTDB_TEST_MODE": "1", "CTDB_BASE": str(base), "ONNODE_SSH": ssh},
            "PATH": f"{programs}:/bin" if onnode else str(programs),
        }
        self.list_nodes(*(node.base.name for node in nodes))

    def list_nodes(self, *names: str) -> None:
        """Writes CTDB's list of nodes."""
        (self.base / "nodes").write_text("".join(f"{name}\n" for name in names))

    def scripts(self, *options: str) -> tuple[int, str, str]:
        """Returns the exit status of `scripts --nodes`, and what it prints."""
        words = [sys.executable, "-m", "ctdb_event", "scripts", "--nodes", *options]
        done = subprocess.run(words, env=self.environ, capture_output=True, text=True, timeout=TIMEOUT)
        return done.returncode, done.stdout, done.stderr


def _program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return str(path)


@contextlib.asynccontextmanager
async def running_cluster(base: Path, onnode: str) -> AsyncIterator[Cluster]:
    """Runs three nodes with the same scripts."""
    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for name in ("n0", "n1", "n2"):
            (base / name).mkdir()
            node = Node(base / name)
            node.script("00.first.script", "exit 0")
            node.script("50.second.script", "exit 0", mode=0o644)
            node.script("README", "no script")
            await stack.enter_async_context(running_daemon(node))
            nodes.append(node)
        yield Cluster(base, nodes, onnode)


@pytest.fixture(params=["stub", "CTDB's"])
def onnode(request: pytest.FixtureRequest) -> str:
    if request.param == "CTDB's" and not os.path.exists(CTDB_ONNODE):
        pytest.skip("needs CTDB's onnode")
    return str(request.param)


async def test_nodes_are_compared(tmp_path: Path, onnode: str) -> None:
    async with running_cluster(tmp_path, onnode) as cluster:
        assert cluster.scripts() == (0, "The scripts of 3 nodes are alike.\n", "")
        cluster.nodes[1].script("00.first.script", "exit 1")
        cluster.nodes[2].script("50.second.script", "exit 0", mode=0o755)
        cluster.nodes[0].script("60.third.script", "exit 0")

        code, out, err = cluster.scripts("--plain")
        lines = [line.split("\t") for line in out.splitlines()]
        assert (code, err) == (1, "")
        assert [(line[0], line[1], line[12], line[13]) for line in lines] == [
            *(("00.first", "enabled", "legacy", node) for node in ("n0", "n1", "n2")),
            *(
                ("50.second", state, "legacy", f"n{number}")
                for number, state in enumerate(["disabled"] * 2 + ["enabled"])
            ),
            *(
                ("60.third", state, "legacy", f"n{number}")
                for number, state in enumerate(["enabled"] + ["missing"] * 2)
            ),
        ]
        digests = [line[11] for line in lines]
        assert digests[0] == digests[2] != digests[1]
        assert digests[7:] == ["", ""]

        code, out, err = cluster.scripts("legacy")
        assert (code, err) == (1, "")
        assert out.splitlines()[0].split() == ["COMPONENT", "SCRIPT", "NODE", "STATE", "OWNER", "CONTENT"]
        assert out.splitlines()[-1].split() == ["legacy", "60.third", "n2", "missing"]


async def test_a_node_that_cannot_be_asked(tmp_path: Path, onnode: str) -> None:
    async with running_cluster(tmp_path, onnode) as cluster:
        cluster.list_nodes("n0", "gone", "n1")
        code, out, err = cluster.scripts()
        reason = "ssh: connect to host gone port 22: No route to host"
        assert (code, out) == (2, "The scripts of 2 nodes are alike.\n")
        assert err == f"ctdb-event: node gone could not be queried: {reason}\n"
        found = json.loads(cluster.scripts("--json")[1])
        not_asked = [{"node": "gone", "reason": reason}]
        assert found == {"nodes": ["n0", "n1"], "differences": [], "not_asked": not_asked}

        cluster.list_nodes("n0")
        assert cluster.scripts() == (0, "There is nothing to compare.\n", "")
        code, out, err = cluster.scripts("nope")
        assert (code, out) == (2, "")
        assert "no node has scripts of component nope" in err
        assert cluster.scripts("--events")[0] == 2
        assert "--socket" in cluster.scripts("--socket", cluster.nodes[0].socket)[2]


async def test_without_a_daemon_on_a_node(tmp_path: Path, onnode: str) -> None:
    async with running_cluster(tmp_path, onnode) as cluster:
        (tmp_path / "idle").mkdir()
        cluster.list_nodes("n0", "idle")
        code, _, err = cluster.scripts()
        assert code == 2
        assert "node idle could not be queried: ctdb-event: " in err


async def test_without_onnode_or_nodes(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, [], "")
    code, out, err = cluster.scripts()
    assert (code, out) == (2, "")
    assert "can't run onnode: No such file or directory; it comes with CTDB" in err
    _program(tmp_path / "bin" / "onnode", "echo 'onnode: unable to open nodes file' >&2; exit 1\n")
    code, out, err = cluster.scripts()
    assert (code, out) == (2, "")
    assert "onnode lists no nodes: onnode: unable to open nodes file; " in err
    _program(tmp_path / "bin" / "onnode", "exit 3\n")
    assert "it printed nothing, exit status 3" in cluster.scripts()[2]


def test_what_each_node_said() -> None:
    output = "noise\n\n>> NODE: 10.0.0.1 <<\n[]\n\n>> NODE: fd00::2 <<\nssh: no\n  \n\n>> NODE: x <<\n"
    assert said_by_node(output) == {"10.0.0.1": "[]\n\n", "fd00::2": "ssh: no\n  \n\n", "x": ""}
    assert last_line("ssh: no\n  \n") == "ssh: no"
    assert last_line(" \n") == ""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", None),
        ("[warning] not JSON\n", None),
        ('{"a": [1]}\n', None),
        ("[]\n", []),
        ('[motd]\n[\n  {"a": 1}\n]\nbye\n', [{"a": 1}]),
    ],
)
def test_a_list_among_other_lines(said: str, found: object) -> None:
    assert json_list(said) == found


def test_what_differs() -> None:
    same = {"component": "c", "name": "00.a", "state": "enabled", "owner": 0, "digest": "1", "modified": 5.0}
    assert differences({}) == []
    assert differences({"n0": [same], "n1": [{**same, "modified": 6.0}]}) == []
    for other in ({"owner": 1}, {"digest": "2"}, {"state": "disabled"}):
        found = differences({"n0": [same], "n1": [{**same, **other}]})
        assert [one["node"] for one in found] == ["n0", "n1"]
        assert found[1].items() >= other.items()
    missing = {"component": "c", "name": "00.a", "node": "n1", "state": "missing", "owner": None, "digest": None}
    assert differences({"n0": [same], "n1": []})[1] == missing
    # of the same name in another component
    assert len(differences({"n0": [same], "n1": [{**same, "component": "d"}]})) == 4
