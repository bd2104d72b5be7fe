"""Ending process groups: everybody in it, with grace for those who use it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from nodes import alive

from ctdb_eventd.runner import group
from ctdb_eventd.runner.group import end_group, exited, kill_group, members

LONG = 60.0


@contextmanager
def running(script: str) -> Iterator[subprocess.Popen[str]]:
    """A script in a group of its own that has said it is ready; whatever is left of it at the end is killed."""
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


async def end(process: subprocess.Popen[str], grace: float) -> int:
    with anyio.fail_after(LONG):
        await end_group(process.pid, anyio.move_on_after(grace))
    return process.wait(timeout=LONG)


async def test_term_ends_what_does_not_mind() -> None:
    with running("echo ready; read -r _") as process:
        assert await end(process, LONG) == -signal.SIGTERM


async def test_grace_lets_a_script_clean_up() -> None:
    with running("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done") as process:
        assert await end(process, LONG) == 7


@pytest.mark.parametrize("grace", [0, 0.01])
async def test_kill_ends_what_ignores_term(grace: float) -> None:
    with running("trap '' TERM; echo ready; while :; do read -r _ || sleep 1; done") as process:
        assert await end(process, grace) == -signal.SIGKILL


async def test_everybody_in_the_group_is_ended() -> None:
    with running("(trap '' TERM; while :; do sleep 1; done) & (sleep 60) & echo ready; read -r _") as process:
        everybody = members(process.pid)
        assert len(everybody) >= 3
        await end(process, 0.01)
    assert not any(alive(pid) for pid in everybody)


async def test_a_stopped_process_is_woken_to_be_ended() -> None:
    with running("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done") as process:
        os.killpg(process.pid, signal.SIGSTOP)
        assert await end(process, LONG) == 7


async def test_what_an_exited_leader_left_behind_is_ended_too() -> None:
    with running("sleep 60 & echo ready; exit") as process:
        pidfd = os.pidfd_open(process.pid)
        await exited(pidfd)
        os.close(pidfd)
        left = members(process.pid)
        assert len(left) == 1
        assert process.pid not in left
        await end(process, LONG)
    assert not alive(left[0])


async def test_grace_may_be_shortened_meanwhile() -> None:
    with running("trap 'echo told' TERM; echo ready; while :; do read -r _; done") as process:
        assert process.stdout is not None
        grace = anyio.move_on_after(10 * LONG)
        with anyio.fail_after(LONG):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(end_group, process.pid, grace)
                assert await asyncio.to_thread(process.stdout.readline) == "told\n"
                assert process.poll() is None
                grace.deadline = anyio.current_time()
        assert process.wait(timeout=LONG) == -signal.SIGKILL


async def test_a_leader_that_moved_to_another_group_is_ended_too() -> None:
    code = "import os; os.setpgid(0, os.getpgid(os.getppid())); print('ready', flush=True); input()"
    with running(f'exec {sys.executable} -c "{code}"') as process:
        assert os.getpgid(process.pid) == os.getpgid(0)
        assert members(process.pid) == [process.pid]
        assert await end(process, LONG) == -signal.SIGTERM
        assert members(process.pid) == []


def test_killing_reaches_a_leader_that_moved() -> None:
    code = "import os; os.setpgid(0, os.getpgid(os.getppid())); print('ready', flush=True); input()"
    with running(f'exec {sys.executable} -c "{code}"') as process:
        kill_group(process.pid)
        assert process.wait(LONG) == -signal.SIGKILL
        kill_group(process.pid)


async def test_nobody_waits_for_a_member_that_leaves_the_group_when_it_is_told_to_end() -> None:
    code = (
        "import os, signal, time; signal.signal(signal.SIGTERM, lambda *_: os.setsid()); print('ready', flush=True)\n"
        "while True: time.sleep(1)"
    )
    with running(f'{sys.executable} -c "{code}" & wait') as process:
        other = next(pid for pid in members(process.pid) if pid != process.pid)
        try:
            assert await end(process, 10 * LONG) == -signal.SIGTERM
            assert alive(other)
        finally:
            os.kill(other, signal.SIGKILL)


async def test_groups_that_end_together_share_their_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[set[int]] = []
    walk = group._walk

    def counted(groups: Collection[int]) -> dict[int, list[int]]:
        walks.append(set(groups))
        return walk(groups)

    monkeypatch.setattr(group, "_walk", counted)
    with contextlib.ExitStack() as stack:
        pids = {stack.enter_context(running("echo ready; read -r _")).pid for _ in range(20)}
        with anyio.fail_after(LONG):
            async with anyio.create_task_group() as tasks:
                for pid in pids:
                    tasks.start_soon(end_group, pid, anyio.move_on_after(LONG))
    assert walks[0] == pids
    assert len(walks) < len(pids)


async def test_without_descriptors_it_is_looked_again_when_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [OSError(errno.EMFILE, "no"), {7: []}]

    def walk(groups: Collection[int]) -> dict[int, list[int]]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return dict(answer)

    monkeypatch.setattr(group, "_walk", walk)
    with anyio.fail_after(LONG):
        await group._group_gone(7)
    assert answers == []


async def test_a_group_of_which_nobody_is_left_is_over_at_once() -> None:
    with running("echo ready") as process:
        process.wait(timeout=LONG)
        assert members(process.pid) == []
        with anyio.fail_after(LONG):
            await end_group(process.pid, anyio.move_on_after(LONG))


async def test_ending_may_be_cancelled_and_leaks_nothing() -> None:
    with running("trap '' TERM; echo ready; while :; do read -r _ || sleep 1; done") as process:
        descriptors = os.listdir("/proc/self/fd")
        with anyio.move_on_after(0.05):
            await end_group(process.pid, anyio.move_on_after(LONG))
        assert os.listdir("/proc/self/fd") == descriptors
        assert process.poll() is None


async def test_waiting_for_an_exit_may_be_cancelled() -> None:
    with running("echo ready; read -r _") as process:
        pidfd = os.pidfd_open(process.pid)
        with anyio.move_on_after(0.01) as patience:
            await exited(pidfd)
        assert patience.cancelled_caught
        assert not asyncio.get_running_loop().remove_reader(pidfd)
        process.kill()
        with anyio.fail_after(LONG):
            await exited(pidfd)
        os.close(pidfd)


async def test_an_exit_in_the_moment_of_cancelling_does_no_harm() -> None:
    with running("echo ready; read -r _") as process:
        pidfd = os.pidfd_open(process.pid)
        waiting = asyncio.ensure_future(exited(pidfd))
        await asyncio.sleep(0)
        process.kill()
        process.wait(timeout=LONG)
        asyncio.get_running_loop().call_soon(waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        os.close(pidfd)


async def test_a_process_that_ends_during_the_look_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([[2**22 + 1], []])
    monkeypatch.setattr(group, "_walk", lambda groups: {2**22 + 1: next(looks)})
    await end_group(2**22 + 1, anyio.move_on_after(LONG))
    assert next(looks, "none left") == "none left"


def test_what_vanishes_while_proc_is_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = str(os.getpid())
    monkeypatch.setattr(os, "listdir", lambda path: ["self", str(2**22 + 1), mine])
    assert members(os.getpgrp()) == [os.getpid()]


async def test_members_that_cannot_be_told_apart_by_their_names_are_found(tmp_path: Path) -> None:
    program = tmp_path / ") Z 1 1 ("
    program.symlink_to("/bin/cat")
    with subprocess.Popen([program], stdin=subprocess.PIPE, process_group=0) as process:
        assert members(process.pid) == [process.pid]
        process.communicate(timeout=LONG)
