"""What leaves the process group of its script, on a machine where cgroups may be made."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from native_client import native_client
from nodes import Node, alive, can_make_cgroups, running_daemon, until

from ctdb_eventd.runner import cgroups as cgroups_module
from ctdb_eventd.runner.cgroups import Cgroups, base_for

LEAVES = """
setsid sh -c 'trap "" TERM; echo $$ > $CTDB_BASE/var/stray; while :; do sleep 1000; done' </dev/null >/dev/null 2>&1 &
while ! [ -s $CTDB_BASE/var/stray ]; do sleep 0.01; done
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    if not can_make_cgroups():
        pytest.skip("no cgroups (version 2) can be made here: /proc/self/cgroup, mount -t cgroup2")
    node = Node(tmp_path)
    node.configure("[eventd]\n kill grace = 0.2\n")
    return node


def stray(node: Node) -> int:
    return int(node.read("stray") or 0)


def cgroups(pid: int) -> list[str]:
    base = base_for(pid)
    return os.listdir(base) if os.path.isdir(base) else []


def runs(pid: int) -> list[str]:
    return [name for name in cgroups(pid) if name.isdecimal()]


def members(pid: int) -> set[int]:
    """Returns the processes in the cgroups of a daemon's runs."""
    places = (f"{base_for(pid)}/{name}/cgroup.procs" for name in runs(pid))
    return {int(member) for place in places for member in Path(place).read_text().split()}


async def test_a_timeout_ends_what_has_left_the_group(node: Node) -> None:
    node.script("10.s.script", LEAVES + "sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup", limit=1) == errno.ETIMEDOUT
        await until(lambda: not alive(stray(node)), "the end of what had left")
        await until(lambda: members(daemon.process.pid) <= {daemon.process.pid}, "the end of the others")
    assert not cgroups(daemon.process.pid), "the daemon's end removes them"


async def test_a_cancel_does_so_too(node: Node) -> None:
    node.script("10.s.script", LEAVES + "sleep 1000")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        run = client.start("run", component="legacy", event="startup")
        await until(lambda: stray(node), "somebody to leave")
        await client.call("cancel", call=run)
        await until(lambda: not alive(stray(node)), "the end of what had left")


@pytest.fixture
def freezer(tmp_path: Path) -> Iterator[Path]:
    """A cgroup whose processes SIGKILL doesn't end, as if a file server didn't answer them."""
    top = tmp_path / "freezer"
    top.mkdir()
    if subprocess.run(["mount", "-t", "cgroup", "-o", "freezer", "none", top], capture_output=True).returncode:
        pytest.skip("the freezer of cgroups version 1 can't be mounted here")
    place = top / f"ctdb-eventd-test.{os.getpid()}"
    try:
        place.mkdir()
        (place / "freezer.state").write_text("FROZEN")
        yield place
        (place / "freezer.state").write_text("THAWED")
        while (place / "tasks").read_text():
            time.sleep(0.01)
        place.rmdir()
    finally:
        subprocess.run(["umount", "--lazy", top], check=True)


async def test_what_has_left_is_killed_even_if_the_kernel_holds_the_script(node: Node, freezer: Path) -> None:
    node.script("10.s.script", f"{LEAVES} echo $$ > $CTDB_BASE/var/script; sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        asked = client.start("startup", limit=2)
        await until(lambda: node.read("script"), "the script")
        script = int(node.read("script"))
        (freezer / "tasks").write_text(str(script))
        assert await client.result(asked) == errno.ETIMEDOUT
        line = f"legacy startup: process {script} of process group {script} survived SIGKILL, the kernel holds it"
        await until(lambda: line in node.log, "the line in the log")
        await until(lambda: not alive(stray(node)), "the end of what had left")
        assert alive(script)
        (freezer / "freezer.state").write_text("THAWED")
        await until(lambda: f"process group {script} is gone" in node.log, "the end of the rest")
        await until(lambda: members(daemon.process.pid) <= {daemon.process.pid}, "the end of the others")


@pytest.mark.parametrize("status", [0, 1])
async def test_what_a_script_leaves_on_purpose_goes_on(node: Node, status: int) -> None:
    node.script("10.s.script", f"{LEAVES} exit {status}")
    node.script("20.s.script", "[ $1 = startup ] || sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        await client.run("startup")
        first = stray(node)
        (node.var / "stray").unlink()
        await client.run("recovered", limit=1)
        await until(lambda: members(daemon.process.pid) <= {daemon.process.pid}, "the end of the event")
        assert alive(first)
        assert alive(stray(node)), "a later script's timeout is not its own"
    for pid in (first, stray(node)):
        assert alive(pid), "nor is the daemon's end"
        os.killpg(pid, 9)


SAYS_WHERE = 'grep ^0:: /proc/self/cgroup >>"$CTDB_BASE/var/where"'


async def test_events_one_after_another_have_the_same_cgroup(node: Node) -> None:
    # for the daemon, each move to another one would cost more than the start of a script
    node.script("10.s.script", LEAVES + SAYS_WHERE)
    node.script("20.s.script", SAYS_WHERE)
    left = set()
    async with running_daemon(node) as daemon, daemon.client() as client:
        for _ in range(3):
            assert await client.run("startup") == 0
            left.add(stray(node))
            (node.var / "stray").unlink()
            await until(lambda: members(daemon.process.pid) <= {daemon.process.pid}, "the end of the event")
        assert len(runs(daemon.process.pid)) == 1
    where = node.read("where").split()
    assert len(where) == 6
    assert len(set(where)) == 1
    assert len(left) == 3
    for pid in left:
        assert alive(pid), "the next event's end is not that of what an earlier one has left"
        os.killpg(pid, 9)


async def test_events_side_by_side_have_each_their_own(node: Node) -> None:
    node.script("10.s.script", f'{SAYS_WHERE}; until [ -e "$CTDB_BASE/var/all" ]; do sleep 0.01; done; {SAYS_WHERE}')
    async with running_daemon(node) as daemon, daemon.client() as client:
        calls = [client.start("takeip", "eth0", f"10.0.0.{number}", "24") for number in range(5)]
        await until(lambda: len(node.read("where").split()) == 5, "all to run")
        assert len(set(node.read("where").split())) == 5
        (node.var / "all").touch()
        for call in calls:
            assert await client.result(call) == 0
        await until(lambda: len(runs(daemon.process.pid)) <= 1, "the removal of all that are not used again")
        assert Counter(node.read("where").split()).most_common(1)[0][1] == 2
        assert await client.run("takeip", "eth0", "10.0.0.6", "24") == 0
        assert len(runs(daemon.process.pid)) == 1
    assert not cgroups(daemon.process.pid)


@pytest.mark.parametrize("kills", ["daemon", "both"])
async def test_a_killed_daemon_leaves_nobody(node: Node, kills: str) -> None:
    node.script("10.s.script", LEAVES + "sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("startup")
        await until(lambda: stray(node), "somebody to leave")
        if kills == "both":
            os.kill(await daemon.guardian(), 9)
        daemon.process.kill()
        daemon.process.wait()
    former = daemon.process.pid
    if kills == "daemon":
        await until(lambda: not os.path.isdir(base_for(former)), "the guardian to remove its cgroups")
    async with running_daemon(node):
        assert not alive(stray(node))
        assert not os.path.isdir(base_for(former))


async def test_what_a_killed_daemon_with_the_same_number_left_is_no_obstacle(node: Node) -> None:
    os.makedirs(f"{base_for(os.getpid())}/1")
    cgroups = Cgroups(base_for(os.getpid()))
    try:
        made = cgroups.make("legacy")
        assert made is not None
        made.close()
    finally:
        cgroups.remove()
    assert not os.path.isdir(base_for(os.getpid()))


async def test_what_is_started_while_others_are_let_go_leaves_too(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Cgroups(base_for(os.getpid()))
    children: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        children.append(subprocess.Popen(["sleep", "1000"]))
        assert cgroup is not None
        cgroup.add(children[-1].pid)

    def move(pid: int, directory: str) -> None:
        if len(children) < 3:
            start()
        real(pid, directory)

    real = cgroups_module._move
    try:
        cgroup = made.make("legacy")
        assert cgroup is not None
        start()
        monkeypatch.setattr(cgroups_module, "_move", move)
        cgroup.let_go()
        assert len(children) == 3
        assert cgroup.members() == []
        cgroup.close()
    finally:
        for child in children:
            child.kill()
            child.wait()
        made.remove()


def in_another_pid_namespace(code: str, *arguments: str) -> str:
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a namespace of processes")
def test_daemons_of_two_containers_with_the_same_number_have_cgroups_of_their_own(node: Node) -> None:
    code = "import sys; from ctdb_eventd.runner.cgroups import base_for; print(base_for(int(sys.argv[1])))"
    theirs, ours = in_another_pid_namespace(code, "69"), base_for(69)
    assert os.path.dirname(theirs) == os.path.dirname(ours)
    assert theirs != ours


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a namespace of processes")
def test_a_process_of_another_container_is_no_member(node: Node) -> None:
    code = """
import signal, sys
from ctdb_eventd.runner.cgroups import Cgroups
cgroups = Cgroups(sys.argv[1])
cgroup = cgroups.make("legacy")
open(f"{sys.argv[2]}/made", "w").close()
while not open(f"{sys.argv[1]}/1/cgroup.procs").read():
    pass
print(open(f"{sys.argv[1]}/1/cgroup.procs").read().split(), cgroup.members())
cgroup.send_signal(signal.SIGKILL, except_group=0)
print("lives")
"""
    base = base_for(os.getpid())
    joins = 'until [ -e "$1/made" ]; do sleep 0.01; done; echo $$ >"$0/1/cgroup.procs"; exec sleep 1000'
    with subprocess.Popen(["sh", "-c", joins, base, str(node.var)]) as other:
        try:
            assert in_another_pid_namespace(code, base, str(node.var)) == "['0'] []\nlives"
        finally:
            other.kill()
    Cgroups(base).remove()
