"""Ends a process group: TERM, a grace period, KILL, and waits for the end of its last member. Linux only.

The caller doesn't reap the group's leader meanwhile: a zombie keeps its pid, so that no signal can reach another
process with a reused pid. The leader counts as a member even if it has moved to another group.

The members of a group can only be found by reading all of /proc. A file server may have thousands of processes, and a
failover may end dozens of groups at once: concurrent searches share one walk, and there is a pause between two walks.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from collections.abc import Collection
from weakref import WeakKeyDictionary

import anyio

__all__ = ["end_group", "exited", "in_group", "kill_group", "members"]


_DESCRIPTOR_PAUSE = 0.1
_LOOK_AGAIN = 0.25
"""Seconds until a group is checked again even if no member has exited: one may have left the group."""
_PAUSE_FACTOR = 4
"""The pause between two walks is this many times the duration of a walk: walks take at most a fifth of the time."""


def in_group(pid: int, pgid: int) -> bool:
    """Returns whether a process is in a process group."""
    try:
        return os.getpgid(pid) == pgid
    except ProcessLookupError:
        return False  # it has ended


def members(pgid: int) -> list[int]:
    """Returns the pids of the living processes in a process group, without zombies."""
    return _walk({pgid})[pgid]


def _walk(groups: Collection[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {group: [] for group in groups}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        pid = int(entry)
        try:
            group = os.getpgid(pid)  # a tenth of the time that reading its file in /proc takes
        except ProcessLookupError:
            continue  # it has ended between the two calls
        if group not in found and pid not in found:
            continue
        if _lives(pid):
            found[group if group in found else pid].append(pid)
    return found


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # the command's name, in parentheses, may contain any character
            return file.read().rpartition(b")")[2].split(None, 1)[0] not in (b"Z", b"X")
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return False  # it has ended between the two calls


class _Walks:
    """The walks through /proc in one event loop, shared by all callers."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[list[int]]]] = []
        self._not_before = 0.0

    async def members(self, pgid: int) -> list[int]:
        """Waits for the next walk and returns the same as `members`. Cancellation-safe."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(max(0.0, self._not_before - time.monotonic()), self._walk)
        answer: asyncio.Future[list[int]] = loop.create_future()
        self._waiting.append((pgid, answer))
        return await answer

    def _walk(self) -> None:
        waiting, self._waiting = self._waiting, []
        began = time.monotonic()
        try:
            found = _walk({pgid for pgid, _ in waiting})
        except OSError as error:
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for pgid, answer in waiting:
                if not answer.done():
                    answer.set_result(found[pgid])
        ended = time.monotonic()
        self._not_before = ended + _PAUSE_FACTOR * (ended - began)


_walks: WeakKeyDictionary[asyncio.AbstractEventLoop, _Walks] = WeakKeyDictionary()


async def exited(pidfd: int) -> None:
    """Waits until the process of a pidfd has exited; it may not have been reaped yet.

    Cancellation-safe: only the waiting ends.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def on_readable() -> None:
        loop.remove_reader(pidfd)
        if not done.done():
            done.set_result(None)

    loop.add_reader(pidfd, on_readable)
    try:
        await done
    finally:
        loop.remove_reader(pidfd)


async def _group_gone(pgid: int) -> None:
    walks = _walks.setdefault(asyncio.get_running_loop(), _Walks())
    # Members may fork meanwhile, so repeat until a walk finds no process.
    while True:
        try:
            pids = await walks.members(pgid)
            if not pids:
                return
            with anyio.move_on_after(_LOOK_AGAIN):
                for pid in pids:
                    await _process_gone(pid)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            await anyio.sleep(_DESCRIPTOR_PAUSE)  # no descriptor is free: retry later


async def _process_gone(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await exited(pidfd)
    finally:
        os.close(pidfd)


def _signal_group(pgid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pgid, number)
    except ProcessLookupError:
        pass
    try:
        if os.getpgid(pgid) != pgid:  # the leader has moved
            os.kill(pgid, number)
    except ProcessLookupError:
        pass


def kill_group(pgid: int) -> None:
    """Kills all members of a group. An empty group is no error."""
    _signal_group(pgid, signal.SIGKILL)


async def end_group(pgid: int, grace: anyio.CancelScope) -> None:
    """Ends a process group: TERM, then KILL at the deadline of `grace`, which may be changed meanwhile.

    Returns when the group's last member has ended.

    Stopped processes are continued, so that they can react to TERM. If a process is blocked in the kernel (state D,
    such as with a dead file server), this waits until it has ended.

    Cancellation-safe: signals that were sent remain sent, nothing is leaked.
    """
    _signal_group(pgid, signal.SIGTERM)
    _signal_group(pgid, signal.SIGCONT)
    with grace:
        await _group_gone(pgid)
        return
    _signal_group(pgid, signal.SIGKILL)
    await _group_gone(pgid)
