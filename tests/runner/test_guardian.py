"""The guardian, and what a daemon finds of a former one: scripts of a killed daemon are ended, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from nodes import alive, children_of, command_of, until

from ctdb_eventd.runner import leftovers
from ctdb_eventd.runner.cgroups import Cgroups
from ctdb_eventd.runner.guardian import Guardian

# A daemon with a session of its own: starts a guardian with the given grace, protects the given groups as started at
# the given ticks, releases the given lines, starts what follows as if it were killed in the middle of it, and waits.
DAEMON = """
import asyncio, os, subprocess, sys
from ctdb_eventd.runner import leftovers
from ctdb_eventd.runner.cgroups import Cgroups
from ctdb_eventd.runner.guardian import Guardian, own_session
async def main():
    table = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
    guardian = Guardian(table, own_session(), Cgroups(None))
    if sys.argv[2]:
        guardian.startup(float(sys.argv[2]))
    for group in sys.argv[3].split():
        group, _, since = group.partition("@")
        line = guardian.protect()
        guardian._since[line] = int(since)
        guardian.started(line, int(group))
    for line in sys.argv[4].split():
        guardian.release(int(line))
    if sys.argv[5:]:
        guardian.protect()
        print(subprocess.Popen(sys.argv[5:]).pid, flush=True)
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@contextmanager
def script(body: str = "read -r _", *, trap: str = ":") -> Iterator[subprocess.Popen[str]]:
    """A script in a group of its own, such as a daemon runs."""
    with subprocess.Popen(
        ["sh", "-c", f"{trap}; echo ready; {body}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def kill_a_daemon(
    table: Path, *groups: int, grace: float | None = 60, released: str = "", since: int = 1, starting: str = ""
) -> int:
    """Has a daemon protect groups, and kills it; returns the process that it was just starting."""
    protected = " ".join(f"{group}@{since}" for group in groups)
    shown = "" if grace is None else str(grace)
    command = [sys.executable, "-c", DAEMON, str(table), shown, protected, released, *starting.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline()) if starting else 0
        assert daemon.stdout.readline() == "ready\n"
        daemon.kill()
    return pid


def left_in(table: Path) -> dict[int, list[int]]:
    return leftovers.ScriptTable(table.read_bytes()).left()


def finish(table: Path, grace: float = 60) -> int:
    """Ends what is left, as the next daemon does; returns how often it had to wait."""
    pauses = 0
    for pause in leftovers.ending(leftovers.ScriptTable(table.read_bytes()), grace):
        time.sleep(pause)
        pauses += 1
    return pauses


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table"


@asynccontextmanager
async def guardian(table: Path, grace: float = 60) -> AsyncIterator[tuple[Guardian, int]]:
    """A guardian of this very process, and its pid."""
    made = make(table)
    made.startup(grace)
    try:
        await until(guardians, "its command line, which the kernel shows a moment after the start")
        yield made, guardians()[0]
    finally:
        await made.shutdown()
    assert guardians() == []


def make(table: Path) -> Guardian:
    fd = os.open(table, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return Guardian(fd, 0, Cgroups(None))
    finally:
        os.close(fd)


def guardians() -> list[int]:
    return [pid for pid in children_of(os.getpid()) if alive(pid) and "script-guardian" in command_of(pid)]


# ---------------------------------------------------------------------- by the guardian


def test_the_scripts_of_a_killed_daemon_are_ended(table: Path) -> None:
    with script() as first, script("while :; do sleep 0.01; done", trap="trap 'exit 7' TERM") as second:
        kill_a_daemon(table, first.pid, second.pid)
        assert first.wait(timeout=60) == -signal.SIGTERM
        assert second.wait(timeout=60) == 7


def test_what_ignores_term_is_killed_after_the_grace_period(table: Path) -> None:
    with script("while :; do read -r _ || sleep 1; done", trap="trap '' TERM") as stubborn:
        kill_a_daemon(table, stubborn.pid, grace=0.01)
        assert stubborn.wait(timeout=60) == -signal.SIGKILL


def test_a_stopped_script_is_woken_to_be_ended(table: Path) -> None:
    with script("while :; do sleep 0.01; done", trap="trap 'exit 7' TERM") as stopped:
        os.killpg(stopped.pid, signal.SIGSTOP)
        kill_a_daemon(table, stopped.pid)
        assert stopped.wait(timeout=60) == 7


def test_a_group_that_was_released_is_left_alone(table: Path) -> None:
    with script() as over, script() as running:
        kill_a_daemon(table, over.pid, running.pid, released="0")
        assert running.wait(timeout=60) == -signal.SIGTERM
        assert over.poll() is None


def test_a_leader_that_moved_to_another_group_is_ended_too(table: Path) -> None:
    move = "import os; os.setpgid(0, os.getpgid(os.getppid())); print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", move], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as moved:
        assert moved.stdout is not None
        assert moved.stdout.readline() == "ready\n"
        assert os.getpgid(moved.pid) == os.getpgid(0)
        kill_a_daemon(table, moved.pid)
        assert moved.wait(timeout=60) == -signal.SIGTERM


async def test_a_script_that_was_just_being_started_is_ended(table: Path) -> None:
    """The daemon never came to know its number."""
    started = kill_a_daemon(table, starting="sleep 1000")
    await until(lambda: not alive(started), "the end of what was being started")


async def test_it_is_out_of_the_way_of_signals_that_are_meant_for_the_daemon(table: Path) -> None:
    async with guardian(table) as (_, pid):
        assert os.getsid(pid) == pid
        assert "ctdb" not in command_of(pid)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        status = Path(f"/proc/{pid}/status").read_text()
        assert alive(pid), status


def test_it_needs_no_process_to_do_its_work(table: Path) -> None:
    """A full limit of processes must not keep it from that."""
    watched = f"""
import sys
def hook(event, arguments):
    if event.startswith(("os.fork", "os.posix_spawn", "os.exec", "os.system", "subprocess", "_thread")):
        raise SystemExit(f"it wants {{event}}")
sys.addaudithook(hook)
exec(compile(open({leftovers.__file__!r}).read(), "guardian", "exec"))
"""
    with script("while :; do read -r _ || sleep 1; done", trap="trap '' TERM") as stubborn:
        table.write_bytes(leftovers.head(0, "") + leftovers.running_line(stubborn.pid, 0))
        with table.open("rb") as file:
            command = [sys.executable, "-c", f"import os; os.dup2({file.fileno()}, 3)\n{watched}", "guardian", "0.2"]
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[file.fileno()],
                timeout=60,
                check=False,
            )
        assert (done.returncode, done.stderr) == (0, b"")
        assert stubborn.wait(timeout=60) == -signal.SIGKILL


async def test_with_nothing_to_end_it_goes_quietly(table: Path) -> None:
    async with guardian(table) as (made, pid):
        line = made.protect()
        made.started(line, os.getpgrp())
        made.release(line)
    assert not alive(pid)


async def test_lines_of_the_table_are_used_again(table: Path) -> None:
    async with guardian(table) as (made, _):
        lines = [made.protect() for _ in range(3)]
        made.release(lines[1])
        assert made.protect() == lines[1]
        for line in lines:
            made.release(line)
        assert lines == [0, 1, 2]


async def test_a_guardian_that_is_killed_is_replaced(table: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guardian(table) as (_, pid):
        os.kill(pid, signal.SIGKILL)
        await until(lambda: guardians() not in ([], [pid]), "another guardian")
        assert caplog.messages == [f"the guardian process {pid} was killed, another one is started"]


async def test_without_an_interpreter_there_is_no_guardian_and_the_log_says_what_that_means(
    table: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    made = make(table)
    made.startup(60)
    made.release(made.protect())
    await made.shutdown()
    (message,) = caplog.messages
    assert message.startswith("no guardian (")
    assert message.endswith("): if this daemon is killed, its scripts continue until the next one starts")


async def test_a_guardian_that_could_not_be_started_is_tried_again(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    monkeypatch.setattr("ctdb_eventd.runner.guardian._RETRY_PAUSE", 0.01)
    descriptors = os.listdir("/proc/self/fd")
    made = make(table)
    made.startup(60)
    assert guardians() == []
    monkeypatch.undo()
    await until(guardians, "a guardian")
    await made.shutdown()
    assert os.listdir("/proc/self/fd") == descriptors


async def test_a_guardian_that_was_never_started_can_be_shut_down(table: Path) -> None:
    descriptors = os.listdir("/proc/self/fd")
    await make(table).shutdown()
    assert os.listdir("/proc/self/fd") == descriptors


def test_what_a_dying_daemon_was_just_starting_is_still_its_child(table: Path) -> None:
    """The kernel closes what it has open, which wakes the guardian, before it takes its children from it."""
    daemon = [sys.executable, "-c", DAEMON, os.fspath(table), "", "", "", "sleep", "1000"]
    with subprocess.Popen(daemon, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        started = int(process.stdout.readline())
        assert process.stdout.readline() == "ready\n"
        assert started in left_in(table)
        process.kill()
    assert finish(table) > 0
    assert not alive(started)


# ---------------------------------------------------------------------- by the next daemon


def test_what_is_left_is_found_and_ended(table: Path) -> None:
    with script() as running:
        starting = kill_a_daemon(table, running.pid, grace=None, starting="sleep 1000")
        assert left_in(table) == {-running.pid: [running.pid], starting: [starting]}
        assert finish(table) > 0
        assert left_in(table) == {}
        assert running.wait(timeout=60) == -signal.SIGTERM
        assert not alive(starting)


def test_the_daemon_itself_is_not_left_in_a_cgroup(tmp_path: Path) -> None:
    with script() as daemon, script() as stray:
        (tmp_path / "cgroup.procs").write_text(f"{daemon.pid}\n{stray.pid}\n")
        table = leftovers.ScriptTable(leftovers.head(daemon.pid, str(tmp_path)))
        assert table.left() == {stray.pid: [stray.pid]}


def test_a_number_that_was_given_to_another_process_since_is_left_alone(table: Path) -> None:
    with script() as stranger:
        kill_a_daemon(table, stranger.pid, grace=None, since=leftovers.ticks() + 1000)
        assert left_in(table) == {}
        assert stranger.poll() is None


def test_a_group_without_its_leader_is_found(table: Path) -> None:
    """As long as somebody is in the group, the kernel gives the number to nobody else."""
    with script("sleep 1000 >/dev/null 2>&1 & echo $!; exit 0") as leader:
        assert leader.stdout is not None
        member = int(leader.stdout.readline())
        leader.wait(timeout=60)
        kill_a_daemon(table, leader.pid, grace=None)
        assert left_in(table) == {-leader.pid: [member]}
        os.kill(member, signal.SIGKILL)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 200,
        b"running\nrunning x 1 2\nrunning 1 0 99999999999\nrunning 0 0 99999999999\nstarting\nsession -1\n",
        b"starting 0\n",
        b"session 0\nstarting 0\n",
        bytes(range(256)),
    ],
)
def test_a_table_without_sense_names_nobody(data: bytes) -> None:
    """Least of all process 1, or everybody."""
    assert leftovers.ScriptTable(data).left() == {}


def test_what_the_kernel_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    monkeypatch.setattr(leftovers, "_TO_DIE", 0.1)
    monkeypatch.setattr(leftovers, "_tell", lambda target, number: None)
    with script() as held:
        kill_a_daemon(table, held.pid, grace=None)
        with pytest.raises(leftovers.Unended) as caught:
            finish(table, grace=0)
        assert caught.value.args == (held.pid,)
