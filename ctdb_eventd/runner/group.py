"""Ending a process group: TERM, a grace period, KILL, and knowing when its last member is gone. Linux only.

Waiting is on pidfds, never by polling. The caller keeps the group's leader unreaped meanwhile: a zombie holds its
number, so that no signal can reach a stranger that was given the same one.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Iterator

import anyio

__all__ = ["end_group", "exited", "members"]


_DESCRIPTOR_PAUSE = 0.1


def members(pgid: int) -> list[int]:
    """Returns the pids in a process group that still live; zombies are gone for all that matters."""
    return [pid for pid, state, group in _processes() if group == pgid and state not in "ZX"]


def _processes() -> Iterator[tuple[int, str, int]]:
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                # the command's name, in parentheses, may itself contain anything
                state, _parent, group = file.read().rpartition(b")")[2].split(None, 3)[:3]
        except OSError:
            continue  # ended between the two calls
        yield int(entry), state.decode(), int(group)


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
    # Members may fork while we look, hence again until a look finds nobody.
    while True:
        try:
            pids = members(pgid)
            if not pids:
                return
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
