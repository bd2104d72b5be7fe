"""The guardian: ends the scripts of a daemon that was killed, and only those."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from nodes import alive, children_of, command_of, until

from ctdb_eventd.runner.guardian import Guardian, lock_run_directory

# starts a guardian with the given grace, protects the given groups, releases the given lines, and waits to be killed
DAEMON = """
import asyncio, os, sys
from ctdb_eventd.runner.guardian import Guardian, lock_run_directory
async def main():
    lock = os.open(sys.argv[4], os.O_RDONLY) if sys.argv[4] else None
    assert lock is None or lock_run_directory(lock)
    guardian = Guardian(lock)
    guardian.startup(float(sys.argv[1]))
    for group in sys.argv[2].split():
        guardian.protect(int(group))
    for line in sys.argv[3].split():
        guardian.release(int(line))
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


def kill_a_daemon(*groups: int, grace: float = 60, released: str = "", lock: str = "") -> None:
    """Has a daemon protect groups, and kills it."""
    command = [sys.executable, "-c", DAEMON, str(grace), " ".join(map(str, groups)), released, lock]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "ready\n"
        daemon.kill()


@asynccontextmanager
async def guardian(grace: float = 60) -> AsyncIterator[tuple[Guardian, int]]:
    """A guardian of this very process, and its pid."""
    made = Guardian()
    made.startup(grace)
    try:
        yield made, guardians()[0]
    finally:
        await made.shutdown()
    assert guardians() == []


def guardians() -> list[int]:
    return [pid for pid in children_of(os.getpid()) if alive(pid) and "ctdb-eventd-guardian" in command_of(pid)]


def test_the_scripts_of_a_killed_daemon_are_ended() -> None:
    with script() as first, script("while :; do sleep 0.01; done", trap="trap 'exit 7' TERM") as second:
        kill_a_daemon(first.pid, second.pid)
        assert first.wait(timeout=60) == -signal.SIGTERM
        assert second.wait(timeout=60) == 7


def test_what_ignores_term_is_killed_after_the_grace_period() -> None:
    with script("while :; do read -r _ || sleep 1; done", trap="trap '' TERM") as stubborn:
        kill_a_daemon(stubborn.pid, grace=0.01)
        assert stubborn.wait(timeout=60) == -signal.SIGKILL


def test_a_stopped_script_is_woken_to_be_ended() -> None:
    with script("while :; do sleep 0.01; done", trap="trap 'exit 7' TERM") as stopped:
        os.killpg(stopped.pid, signal.SIGSTOP)
        kill_a_daemon(stopped.pid)
        assert stopped.wait(timeout=60) == 7


def test_a_group_that_was_released_is_left_alone() -> None:
    with script() as over, script() as running:
        kill_a_daemon(over.pid, running.pid, released="0")
        assert running.wait(timeout=60) == -signal.SIGTERM
        assert over.poll() is None


def test_a_leader_that_moved_to_another_group_is_ended_too() -> None:
    move = "import os; os.setpgid(0, os.getpgid(os.getppid())); print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", move], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as moved:
        assert moved.stdout is not None
        assert moved.stdout.readline() == "ready\n"
        assert os.getpgid(moved.pid) == os.getpgid(0)
        kill_a_daemon(moved.pid)
        assert moved.wait(timeout=60) == -signal.SIGTERM


async def test_its_lock_lasts_until_the_scripts_are_gone(tmp_path: Path) -> None:
    """So the next daemon knows when it may run anything."""
    with script("sleep 0.2; exit 7", trap="trap 'sleep 0.2; echo; exit 7' TERM") as busy:
        kill_a_daemon(busy.pid, lock=str(tmp_path))
        fd = os.open(tmp_path, os.O_RDONLY)
        try:
            assert not lock_run_directory(fd)
            # whoever is its parent takes note of its end, which is init in the place of a daemon that was killed
            await until(lambda: busy.poll() is not None and lock_run_directory(fd), "the lock")
            assert busy.returncode == 7
        finally:
            os.close(fd)


async def test_with_nothing_to_end_it_goes_quietly() -> None:
    async with guardian() as (made, pid):
        line = made.protect(os.getpgrp())
        made.release(line)
    assert not alive(pid)


async def test_lines_of_the_table_are_used_again() -> None:
    async with guardian() as (made, _):
        lines = [made.protect(2**22 - number) for number in range(3)]
        made.release(lines[1])
        assert made.protect(2**22 - 9) == lines[1]
        for line in lines:
            made.release(line)
        assert lines == [0, 1, 2]


async def test_a_guardian_that_is_killed_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async with guardian() as (_, pid):
        os.kill(pid, signal.SIGKILL)
        await until(lambda: guardians() not in ([], [pid]), "another guardian")
        assert caplog.messages == [f"the guardian process {pid} was killed, another one is started"]


async def test_without_a_shell_there_is_no_guardian_and_the_log_says_what_that_means(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ctdb_eventd.runner.guardian._SHELL", "/nonexistent/sh")
    made = Guardian()
    made.startup(60)
    made.release(made.protect(1))
    await made.shutdown()
    (message,) = caplog.messages
    assert message.startswith("no guardian (")
    assert message.endswith("): should this daemon be killed, its scripts go on running")


async def test_a_guardian_that_could_not_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctdb_eventd.runner.guardian._SHELL", "/nonexistent/sh")
    monkeypatch.setattr("ctdb_eventd.runner.guardian._RETRY_PAUSE", 0.01)
    descriptors = os.listdir("/proc/self/fd")
    made = Guardian()
    made.startup(60)
    assert guardians() == []
    monkeypatch.undo()
    await until(guardians, "a guardian")
    await made.shutdown()
    assert os.listdir("/proc/self/fd") == descriptors


async def test_a_guardian_that_was_never_started_can_be_shut_down() -> None:
    descriptors = os.listdir("/proc/self/fd")
    await Guardian().shutdown()
    assert os.listdir("/proc/self/fd") == descriptors
