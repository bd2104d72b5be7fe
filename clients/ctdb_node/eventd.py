"""Starts the event daemon as ctdbd does: it ends when this process does, and reports through a pipe that it listens."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from ctdb_node.errors import NodeError

__all__ = ["running"]

_log = logging.getLogger("ctdb-node")

_LISTENS = bytes(4)
_START_TIMEOUT = 30.0
"""Seconds until it listens. ctdbd's limit is ten; a node in the foreground may wait longer."""
_STOP_TIMEOUT = 60.0
"""Seconds after SIGTERM; more than the daemon's own grace period for its scripts."""


def own_program() -> Sequence[str]:
    """Returns the command of the event daemon that was installed together with this program.

    Its modules come from there only: not from the working directory, which anybody may have filled.
    """
    # the Debian package's own launcher: its modules are not on the interpreter's path
    launcher = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "bin", "ctdb-eventd")
    return (launcher,) if os.access(launcher, os.X_OK) else (sys.executable, "-I", "-m", "ctdb_eventd")


@asynccontextmanager
async def running(program: Sequence[str] | None = None) -> AsyncIterator[anyio.abc.Process]:
    """Runs the event daemon for the time of the block, which is entered when it listens.

    Args:
        program: Its command; this project's daemon by default.

    Raises:
        NodeError: It can't be started, it ended before it listened, or that took too long.
    """
    reading, writing = os.pipe()
    try:
        command = [*(program or own_program()), "-P", str(os.getpid()), "-S", str(writing)]
        try:
            # in a session of its own: Ctrl-C must only reach this process, since `shutdown` is still to be run
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
    """Ends the daemon, which ends its scripts; if it doesn't end, it is killed, and its guardian ends the scripts."""
    if process.returncode is None:
        process.terminate()
    with anyio.move_on_after(_STOP_TIMEOUT):
        await process.wait()
    if process.returncode is None:
        _log.error("ctdb-eventd, process %d, does not end %d s after SIGTERM: killing it", process.pid, _STOP_TIMEOUT)
        process.kill()
    await process.aclose()
