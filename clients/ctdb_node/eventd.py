"""Starts the event daemon as ctdbd does: it ends with us, and says through a descriptor when it listens."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from ctdb_node.problems import NodeError

__all__ = ["running"]

_log = logging.getLogger("ctdb-node")

_LISTENS = bytes(4)
_START_TIMEOUT = 30.0
"""Seconds until it listens. ctdbd gives it ten; nobody is kept waiting by a node in the foreground."""
_STOP_TIMEOUT = 60.0
"""Seconds after SIGTERM: more than it gives to scripts that it ends."""


def own_program() -> Sequence[str]:
    """Returns the command of the event daemon that came with us."""
    # the Debian package's own launcher: its modules are not on the interpreter's path
    launcher = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "bin", "ctdb-eventd")
    return (launcher,) if os.access(launcher, os.X_OK) else (sys.executable, "-m", "ctdb_eventd")


@asynccontextmanager
async def running(program: Sequence[str] | None = None) -> AsyncIterator[anyio.abc.Process]:
    """Runs the event daemon for the time of the block, which is entered when it listens.

    Args:
        program: Its command, if it is not our own.

    Raises:
        NodeError: It can't be started, ended before, or took too long.
    """
    reading, writing = os.pipe()
    try:
        command = [*(program or own_program()), "-P", str(os.getpid()), "-S", str(writing)]
        try:
            # in a session of its own, so that Ctrl-C reaches only us, and `shutdown` can still be run
            process = await anyio.open_process(
                command, stdin=subprocess.DEVNULL, stdout=None, stderr=None, pass_fds=[writing], start_new_session=True
            )
        except OSError as error:
            raise NodeError(f"can't start ctdb-eventd: {error}; expected a program there") from None
        finally:
            os.close(writing)
        try:
            await _wait_until_it_listens(process, reading)
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
    finally:
        os.close(reading)


async def _wait_until_it_listens(process: anyio.abc.Process, reading: int) -> None:
    with anyio.move_on_after(_START_TIMEOUT) as limit:
        await anyio.wait_readable(reading)
        if os.read(reading, len(_LISTENS)) != _LISTENS:
            raise NodeError(
                f"ctdb-eventd ended with exit status {await process.wait()} before it listened; see its message"
            )
    if limit.cancelled_caught:
        raise NodeError(
            f"ctdb-eventd, process {process.pid}, does not listen after {_START_TIMEOUT:.0f} s; see its log"
        )


async def _end(process: anyio.abc.Process) -> None:
    """Ends it with its scripts; one that doesn't obey is killed, and then its guardian ends them."""
    if process.returncode is None:
        process.terminate()
    with anyio.move_on_after(_STOP_TIMEOUT):
        await process.wait()
    if process.returncode is None:
        _log.error("ctdb-eventd, process %d, does not end %d s after SIGTERM: killing it", process.pid, _STOP_TIMEOUT)
        process.kill()
    await process.aclose()
