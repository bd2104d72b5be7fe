"""`ctdb-node run`: puts daemon, node and control socket together."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream

import ctdb_event
from ctdb_node import control, eventd
from ctdb_node.errors import NodeError
from ctdb_node.events import Events
from ctdb_node.hosting import Hosting
from ctdb_node.kernel import interfaces
from ctdb_node.node import Node
from ctdb_node.public_addresses import PublicAddress, parse
from ctdb_node.states import State, Trigger
from ctdb_node.supervisor import Supervisor
from ctdb_node.words import status_line

__all__ = ["run"]

_log = logging.getLogger("ctdb-node")

Reloads: TypeAlias = MemoryObjectReceiveStream[None]
_EXIT_TIMEOUT = 5.0
"""Seconds for the event daemon's process to end after its connections were closed."""
_BEFORE_READY = frozenset({State.INIT, State.SETUP})
"""A failure in these states ends the node, so the service manager is notified of readiness after them."""


async def run(base: str, socket_path: str, look: bool) -> int:
    """Runs a node to its end.

    Args:
        base: CTDB's configuration directory.
        socket_path: Path of the control socket.
        look: Ask the kernel for interfaces and addresses.

    SIGHUP reloads `public_addresses`, and the event daemon's configuration.

    Returns:
        0 after a clean shutdown, 1 if init or setup failed or the event daemon has ended.

    Raises:
        NodeError: It can't be started.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s ctdb-node: %(message)s")
    supervisor = Supervisor(os.environ)
    read = partial(_addresses, os.path.join(base, "public_addresses"), look)
    addresses = await read()
    node = Node(os.path.join(base, "notify.sh"))
    node.on_change = partial(_report, node, supervisor)
    async with anyio.create_task_group() as tasks:
        # signals are handled from the start: one must never leave a daemon or a socket behind
        with await tasks.start(_handle_signals, node) as reloads:
            tasks.start_soon(supervisor.serve)
            await tasks.start(control.serve, socket_path, node)
            end = await _run_node(node, addresses, look, supervisor, partial(_reload, node, supervisor, reloads, read))
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


async def _run_node(
    node: Node,
    addresses: tuple[PublicAddress, ...],
    look: bool,
    supervisor: Supervisor,
    reload: Callable[[ctdb_event.AsyncClient, Hosting], Coroutine[Any, Any, None]],
) -> State:
    async with eventd.running() as process, _connected(process) as client, anyio.create_task_group() as tasks:
        has_gone = anyio.Event()

        def gone() -> None:
            has_gone.set()
            node.trigger(Trigger.DAEMON_ENDED)

        async def watch() -> None:
            await process.wait()
            gone()

        tasks.start_soon(watch)
        events = Events(client, lambda: node.tunables["EventScriptTimeout"], gone)
        hosting = Hosting(addresses, events, look)
        await hosting.find()
        tasks.start_soon(reload, client, hosting)
        tasks.start_soon(_feed_watchdog, supervisor, client)
        end = await node.live(events, hosting)
        if has_gone.is_set():
            await _log_exit(process)
        tasks.cancel_scope.cancel()
    return end


async def _log_exit(process: anyio.abc.Process) -> None:
    # its connections are closed shortly before the process ends
    with anyio.move_on_after(_EXIT_TIMEOUT):
        await process.wait()
    if process.returncode is None:
        _log.error("ctdb-eventd, process %d, has closed the connection, but not ended", process.pid)
    else:
        _log.error("ctdb-eventd has ended, exit status %d", process.returncode)


@asynccontextmanager
async def _connected(process: anyio.abc.Process) -> AsyncIterator[ctdb_event.AsyncClient]:
    """Connects to the event daemon, which has reported that it listens, but may have ended since.

    Raises:
        NodeError: The connection fails.
    """
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(ctdb_event.connect())
        except ctdb_event.BrokerError as error:
            raise NodeError(f"ctdb-eventd, process {process.pid}, listened, but can't be asked: {error}") from None
        yield client


async def _handle_signals(node: Node, *, task_status: anyio.abc.TaskStatus[Reloads]) -> None:
    # capacity 1: a reload that is pending serves any number of signals
    sending, reloads = anyio.create_memory_object_stream[None](1)
    with sending, anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started(reloads)
        async for number in signals:
            if number == signal.SIGHUP:
                with suppress(anyio.WouldBlock):
                    sending.send_nowait(None)
                continue
            _log.info("%s: shutting down", number.name)
            node.trigger(Trigger.END_REQUESTED)


async def _reload(
    node: Node,
    supervisor: Supervisor,
    reloads: Reloads,
    read: Callable[[], Coroutine[Any, Any, tuple[PublicAddress, ...]]],
    client: ctdb_event.AsyncClient,
    hosting: Hosting,
) -> None:
    """Reloads the configuration on request; if the new one is invalid, the former one stays in effect."""
    async for _ in reloads:
        is_ready = node.state not in _BEFORE_READY
        if is_ready:
            supervisor.reloading()
        try:
            await client.reload()
        except ctdb_event.BrokerError as error:
            _log.error("ctdb-eventd continues with its former configuration: %s", error)
        try:
            hosting.replace(await read())
        except NodeError as error:
            _log.error("continuing with the former public addresses: %s", error)
        else:
            _log.info("public addresses were read again: %d", len(hosting.addresses))
            node.want()
        if is_ready:
            supervisor.notify("READY=1")
        node.on_change()


def _report(node: Node, supervisor: Supervisor) -> None:
    """Notifies the service manager of the node's present state."""
    if node.state is State.STARTRECOVERY:
        supervisor.notify("READY=1")
    if node.state is State.SHUTDOWN:
        supervisor.notify("STOPPING=1")
    supervisor.notify(f"STATUS={status_line(node.describe())}")


async def _feed_watchdog(supervisor: Supervisor, client: ctdb_event.AsyncClient) -> None:
    """Sends WATCHDOG=1 regularly to the service manager, as long as the event daemon answers."""
    with suppress(ctdb_event.BrokerError):  # if the daemon has ended, `_run_node` ends the node
        while supervisor.watchdog is not None:
            await client.ping()
            supervisor.notify("WATCHDOG=1")
            await anyio.sleep(supervisor.watchdog)
