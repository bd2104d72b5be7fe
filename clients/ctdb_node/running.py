"""`ctdb-node run`: puts daemon, node and control socket together."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.abc

import ctdb_event
from ctdb_node import control, eventd
from ctdb_node.events import Events
from ctdb_node.hosting import Hosting
from ctdb_node.kernel import interfaces
from ctdb_node.life import Happening, State
from ctdb_node.node import Node
from ctdb_node.problems import NodeError
from ctdb_node.public_addresses import PublicAddress, parse

__all__ = ["run"]

_log = logging.getLogger("ctdb-node")


async def run(base: str, socket_path: str, look: bool) -> int:
    """Runs a node to its end.

    Args:
        base: CTDB's configuration directory.
        socket_path: Of the control socket.
        look: Ask the kernel for interfaces and addresses.

    Returns:
        0 after a clean end, 1 if init or setup failed or the event daemon has gone.

    Raises:
        NodeError: It can't be started.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s ctdb-node: %(message)s")
    addresses = await _addresses(os.path.join(base, "public_addresses"), look)
    node = Node(os.path.join(base, "notify.sh"))
    async with anyio.create_task_group() as tasks:
        # from the first moment: a signal must never leave a daemon or a socket behind
        await tasks.start(_heed_signals, node)
        await tasks.start(control.serve, socket_path, node)
        end = await _live(node, addresses, look)
        tasks.cancel_scope.cancel()
    return 0 if end is State.ENDED else 1


async def _addresses(path: str, look: bool) -> tuple[PublicAddress, ...]:
    try:
        text = await anyio.Path(path).read_text()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"can't read {path}: {error}") from None
    return parse(text, path, (await interfaces()).names if look else None)


async def _live(node: Node, addresses: tuple[PublicAddress, ...], look: bool) -> State:
    async with eventd.running() as process, _connected(process) as client, anyio.create_task_group() as tasks:

        def gone() -> None:
            node.happens(Happening.DAEMON_ENDED)

        async def watch() -> None:
            status = await process.wait()
            _log.error("ctdb-eventd has ended, exit status %d", status)
            gone()

        tasks.start_soon(watch)
        events = Events(client, lambda: node.tunables["EventScriptTimeout"], gone)
        hosting = Hosting(addresses, events, look)
        await hosting.find()
        end = await node.live(events, hosting)
        tasks.cancel_scope.cancel()
    return end


@asynccontextmanager
async def _connected(process: anyio.abc.Process) -> AsyncIterator[ctdb_event.AsyncClient]:
    """Connects to the event daemon that has just said that it listens; it may have ended since.

    Raises:
        NodeError: It can't be asked.
    """
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(ctdb_event.connect())
        except ctdb_event.BrokerError as error:
            raise NodeError(f"ctdb-eventd, process {process.pid}, listened, but can't be asked: {error}") from None
        yield client


async def _heed_signals(node: Node, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            _log.info("%s: shutting down", number.name)
            node.happens(Happening.TOLD_TO_END)
