"""Starts the event daemon as ctdbd does: it ends with us, and says through a descriptor when it listens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from ctdb_node.problems import NodeError

__all__ = ["running"]

_LISTENS = bytes(4)


@asynccontextmanager
async def running(
    program: Sequence[str] = (sys.executable, "-m", "ctdb_eventd"),
) -> AsyncIterator[anyio.abc.Process]:
    """Runs the event daemon for the time of the block, which is entered when it listens.

    Args:
        program: Its command.

    Raises:
        NodeError: It ended before.
    """
    reading, writing = os.pipe()
    try:
        command = [*program, "-P", str(os.getpid()), "-S", str(writing)]
        try:
            # in a session of its own, so that Ctrl-C reaches only us, and `shutdown` can still be run
            process = await anyio.open_process(
                command, stdin=subprocess.DEVNULL, stdout=None, stderr=None, pass_fds=[writing], start_new_session=True
            )
        finally:
            os.close(writing)
        try:
            await anyio.wait_readable(reading)
            if os.read(reading, len(_LISTENS)) != _LISTENS:
                raise NodeError(
                    f"ctdb-eventd ended with exit status {await process.wait()} before it listened; see its message"
                )
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.terminate()
                await process.wait()
                await process.aclose()
    finally:
        os.close(reading)
