"""Ending a process group: TERM, a grace period, KILL, and knowing when its last member is gone. Linux only.

The caller keeps the group's leader unreaped meanwhile: a zombie holds its number, so that no signal can reach a
stranger that was given the same one. The leader counts as a member even if it has moved to another group.

Only a walk through /proc tells who is in a group. A file server may have thousands of processes, and a failover dozens
of groups to end at once: whoever needs a walk in the same moment shares one, and between two there is a pause.
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

__all__ = ["end_group", "exited", "kill_group", "members"]


_DESCRIPTOR_PAUSE = 0.1
_LOOK_AGAIN = 0.25
"""Seconds after which a group is looked at again though nobody of it has exited: a member may have left it."""
_PAUSE_FACTOR = 4
"""Between two walks is a pause of so many times what a walk takes: they never take more than a fifth of the time."""


def members(pgid: int) -> list[int]:
    """Returns the pids in a process group that still live; zombies are gone for all that matters."""
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
            continue  # ended between the two calls
        if group not in found and pid not in found:
            continue
        if _lives(pid):
            found[group if group in found else pid].append(pid)
    return found


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # the command's name, in parentheses, may itself contain anything
            return file.read().rpartition(b")")[2].split(None, 1)[0] not in (b"Z", b"X")
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return False  # ended between the two calls


class _Walks:
    """The walks of one event loop, for all who wait for one."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[list[int]]]] = []
        self._not_before = 0.0

    async def members(self, pgid: int) -> list[int]:
        """Waits for the next walk and returns what `members` does. Cancellation-safe."""
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
    """Waits until the process behind a pidfd has exited; it may still have to be reaped.

    Cancellation-safe: nothing but the waiting ends.
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
    # Members may fork meanwhile, hence again until a look finds no process.
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
            await anyio.sleep(_DESCRIPTOR_PAUSE)  # no descriptor to look with: others come and go


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
    """Kills every member of a group at once. An empty group is no error."""
    _signal_group(pgid, signal.SIGKILL)


async def end_group(pgid: int, grace: anyio.CancelScope) -> None:
    """Ends a process group: TERM, then KILL at the deadline of `grace`, which may be moved meanwhile.

    Returns when the group's last member is gone.

    A stopped process is woken, or it could not act on TERM. A process that the kernel doesn't let die (state D, a
    dead file server) makes this wait for as long as that lasts.

    Cancellation-safe: the signals that were sent stay sent, nothing is leaked.
    """
    _signal_group(pgid, signal.SIGTERM)
    _signal_group(pgid, signal.SIGCONT)
    with grace:
        await _group_gone(pgid)
        return
    _signal_group(pgid, signal.SIGKILL)
    await _group_gone(pgid)
