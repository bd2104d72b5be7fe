"""Situations of an administrator at night, on three real nodes: each takes one command. docs/night-shift.md tells them.

The faults: an address that could not be taken, a monitor event that hung on a lock, a slow script, an event by hand.
Each but those about files of all nodes is asked by a user without root too, who may `read`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from ctdb_lab import Lab, Node, Plan, wait_until
from ctdb_lab.plan import eventd_path

from .steps import restore

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("able")]

SOON = 60
VICTIM = 1
COMMAND = str(Path(sys.executable).with_name("ctdb-event"))

_SITE = """#!/bin/sh
case "$1" in
takeip)
  if [ -e "@NODE@/../broken" ]; then echo "no route to $3"; exit 1; fi ;;
releaseip)
  sleep 1.2 ;;
monitor)
  if [ -e "@NODE@/hang" ]; then flock @NODE@/names.lock true; fi ;;
esac
exit 0
"""
_ALERT = """#!/bin/sh
{ cat; echo; } >>"${0%/*}/alerts-$(hostname)"
"""
USER = 61234
_CONFIGURATION = f"""[notify]
	command = @ALERT@
	on = failed timed-out health
[access]
	read = {USER}
"""
# Becomes another user once everything is imported: the programs may be in a directory that is closed to others.
_AS_USER = """
import importlib, os, pkgutil, pwd, sys
import ctdb_event
from ctdb_event import cli
for module in pkgutil.walk_packages(ctdb_event.__path__, "ctdb_event."):
    if not module.name.endswith(("__main__", ".service", ".families")):
        importlib.import_module(module.name)
import ctdb_eventd.history.reader
os.setgroups([]); os.setresgid(@USER@, @USER@, @USER@); os.setresuid(@USER@, @USER@, @USER@)
sys.exit(cli.main(sys.argv[1:]))
""".replace("@USER@", str(USER))


@attrs.define
class Night:
    """The lab."""

    lab: Lab

    def command(self, node: Node, *words: str) -> str:
        """Runs `ctdb-event` on a node; returns what it said."""
        done = node.run(COMMAND, *words)
        assert done.returncode in (0, 1), f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def as_user(self, node: Node, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs `ctdb-event` on a node as a user who may only read."""
        return node.run(sys.executable, "-c", _AS_USER, *words)

    def scripts_of_all_nodes(self) -> subprocess.CompletedProcess[str]:
        """Compares the nodes by CTDB's `onnode`, for which entering a node stands in for ssh."""
        ssh = self.lab.directory / "ssh"
        nodes = self.lab.nodes
        path = f"PATH={Path(COMMAND).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        enters = [
            f'{node.address}) exec {shlex.join(node.entering("env", path, "sh", "-c"))} "$3" ;;' for node in nodes
        ]
        ssh.write_text("#!/bin/sh\ncase $2 in\n" + "\n".join(enters) + "\nesac\nexit 255\n")
        ssh.chmod(0o755)
        environ = {**os.environ, "ONNODE_SSH": str(ssh), "CTDB_BASE": str(nodes[0].directory / "etc")}
        return subprocess.run([COMMAND, "scripts", "--nodes"], env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    directory = tmp_path_factory.mktemp("night")
    alert = directory / "alert"
    alert.write_text(_ALERT)
    alert.chmod(0o755)
    plan = Plan(
        eventd=eventd_path("ours"),
        addresses6=0,
        scripts={"50.site": _SITE, "60.local": "#!/bin/sh\nexit 0\n"},
        configuration=_CONFIGURATION.replace("@ALERT@", str(alert)),
        tunables={"EventScriptTimeout": 4, "MonitorTimeoutCount": 1},
    )
    with Lab(directory / "lab", plan) as lab:
        lab.wait_until_settled()
        yield Night(lab)


@pytest.fixture(autouse=True)
def _healthy(night: Night) -> Iterator[None]:
    yield
    (night.lab.directory / "broken").unlink(missing_ok=True)
    restore(night.lab)
    night.lab.wait_until_settled()


def _fail_over(lab: Lab) -> None:
    lab.nodes[VICTIM].order("disable")
    lab.wait_until_hosted(on={0, 2})
    lab.nodes[VICTIM].order("enable")
    lab.wait_until_settled()


def test_which_script_of_which_address_failed_some_failovers_ago(night: Night) -> None:
    lab = night.lab
    address = next(address for address, hosts in lab.hosting().items() if VICTIM in hosts)
    (lab.directory / "broken").touch()
    lab.nodes[VICTIM].ctdb("disable")  # fails too, as takeip does
    takers = [lab.nodes[0], lab.nodes[2]]
    wait_until(lambda: any(f"no route to {address}" in node.log for node in takers), SOON, "a takeip to fail")
    (lab.directory / "broken").unlink()
    lab.wait_until_hosted(on={0, 2})
    lab.nodes[VICTIM].order("enable")
    lab.wait_until_settled()
    for _ in range(2):
        _fail_over(lab)
    told = [night.command(node, "history", "--failed", "--address", address, "--plain") for node in takers]
    [run, node] = next((text.split()[0], node) for text, node in zip(told, takers, strict=True) if text)
    shown = night.command(node, "show", run)
    assert f"no route to {address}" in shown
    assert "exit status 1" in shown


def test_what_a_hung_monitor_waits_for_and_who_has_it(night: Night) -> None:
    node = night.lab.nodes[0]
    with subprocess.Popen(
        node.entering("sh", "-c", f"exec flock {node.directory}/names.lock sleep 300"), start_new_session=True
    ) as holder:
        try:
            (node.directory / "hang").touch()

            def is_seen() -> bool:
                return f"{node.directory}/names.lock held by" in night.command(node, "ps")

            wait_until(is_seen, SOON, "ps to tell what monitor waits for")
            wait_until(lambda: " hangs: process " in node.log, SOON, "the log to tell what it hung in")
        finally:
            (node.directory / "hang").unlink()
            for process in node.processes():
                if "names.lock" in process.command or process.command == "sleep 300":
                    node.kill(process)
            holder.kill()
    wait_until(lambda: "hung: process" in night.command(node, "show", "failed"), SOON, "the history to tell it")
    shown = night.command(node, "show", "failed")
    assert f"waits for a lock on {node.directory}/names.lock, held by process " in shown
    wait_until(lambda: '"event": "monitor"' in _alerts(node), SOON, "the alert")


def test_what_was_slow_between_two_times(night: Night) -> None:
    lab = night.lab
    begin = time.strftime("%Y-%m-%dT%H:%M:%S")
    _fail_over(lab)
    end = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 1))
    rows = [
        line.split("\t")
        for line in night.command(lab.nodes[VICTIM], "slow", "--plain", "--since", begin, "--until", end).splitlines()
    ]
    slowest = rows[0]
    assert slowest[:3] == ["script", "50.site", "releaseip"]


def test_an_alert_comes_when_an_event_fails(night: Night) -> None:
    lab = night.lab
    (lab.directory / "broken").touch()
    lab.nodes[VICTIM].ctdb("disable")  # fails too, as takeip does
    takers = [lab.nodes[0], lab.nodes[2]]
    wait_until(lambda: any('"event": "takeip"' in _alerts(node) for node in takers), SOON, "an alert")
    (lab.directory / "broken").unlink()


def _alerts(node: Node) -> str:
    path = node.directory.parents[1] / f"alerts-node{node.number}"
    return path.read_text() if path.exists() else ""


def test_a_picture_of_a_failover_of_three_nodes(night: Night, tmp_path: Path) -> None:
    lab = night.lab
    _fail_over(lab)
    files = []
    for node in lab.nodes:
        exported = night.command(node, "history", "--export", "--since", "1m")
        assert {json.loads(line)["node"] for line in exported.splitlines()} == {f"node{node.number}"}
        files.append(tmp_path / f"node{node.number}.jsonl")
        files[-1].write_text(exported)
    picture = tmp_path / "failover.html"
    subprocess.run([COMMAND, "timeline", "--html", str(picture), *map(str, files)], check=True)
    page = picture.read_text()
    assert all(f">node{number}<" in page for number in range(3))
    assert "takeip" in page


def test_who_ran_an_event_by_hand(night: Night) -> None:
    node = night.lab.nodes[0]
    assert node.run(COMMAND, "run", "30", "legacy", "ipreallocated").returncode == 0

    def by_hand() -> list[str]:
        lines = night.command(node, "history", "--event", "ipreallocated").splitlines()
        return [line for line in lines if "(uid 0)" in line]

    wait_until(by_hand, SOON, "the run in the history")
    assert "ctdbd" not in by_hand()[-1]


def test_what_differs_between_the_nodes_scripts(night: Night) -> None:
    nodes = night.lab.nodes
    # this one names its node
    assert {row[1] for row in _rows(night.scripts_of_all_nodes())} == {"50.site"}
    changed = nodes[1].directory / "etc/events/legacy/60.local.script"
    disabled = nodes[2].directory / "etc/events/legacy/60.local.script"
    before = changed.read_bytes()
    try:
        changed.write_bytes(before + b"# only here\n")
        disabled.chmod(0o644)
        rows = [row for row in _rows(night.scripts_of_all_nodes()) if row[1] == "60.local"]
    finally:
        changed.write_bytes(before)
        disabled.chmod(0o755)
    assert [row[2:5] for row in rows] == [
        [nodes[0].address, "enabled", "root"],
        [nodes[1].address, "enabled", "root"],
        [nodes[2].address, "disabled", "root"],
    ]
    contents = [row[5] for row in rows]
    assert contents[0] == contents[2] != contents[1]


def _rows(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    assert done.returncode == 1, f"{done.stdout}{done.stderr}"
    return [line.split() for line in done.stdout.splitlines()[1:]]


def test_a_user_without_root_reads_it_all(night: Night) -> None:
    lab = night.lab
    takers = [lab.nodes[0], lab.nodes[2]]

    def failed(node: Node) -> set[str]:
        """The failed takeips in a node's history."""
        words = ("history", "--failed", "--event", "takeip", "--limit", "1000", "--plain")
        return {line.partition("\t")[0] for line in night.command(node, *words).splitlines()}

    earlier = set().union(*map(failed, takers))

    def shown() -> Node | None:
        """The node that has the failure in its history."""
        for node in takers:
            if any("no route to" in night.command(node, "show", run) for run in failed(node) - earlier):
                return node
        return None

    (lab.directory / "broken").touch()
    lab.nodes[VICTIM].ctdb("disable")  # fails too, as takeip does
    wait_until(shown, SOON, "the failure in the history")
    (lab.directory / "broken").unlink()
    lab.wait_until_hosted(on={0, 2})
    node = shown()
    assert node is not None
    for words in (
        ("history", "--failed"),
        ("show", "failed"),
        ("diff", "failed", "good"),
        ("slow", "--since", "10m", "--plain"),
        ("history", "--export", "--failed"),
        ("timeline", "failed"),
        ("history", "--by", "ctdbd", "--event", "takeip"),
        ("scripts", "--json"),
        ("results", "legacy", "takeip"),
    ):
        mine, own = night.as_user(node, *words), node.run(COMMAND, *words)
        assert mine.stdout or own.stderr, words
        if words[0] != "slow":  # what goes on changes it
            assert (mine.returncode, mine.stdout, mine.stderr) == (own.returncode, own.stdout, own.stderr), words
    for command in (("ps", "--plain"), ("locks", "--plain"), ("health",), ("stats",)):
        mine = night.as_user(node, *command)
        assert mine.returncode in (0, 1), f"{command}: {mine.stdout}{mine.stderr}"
    refused = night.as_user(node, "run", "30", "legacy", "monitor")
    assert refused.returncode not in (0, 1)
    assert f"you (uid {USER}) may not run it on this daemon" in refused.stderr
