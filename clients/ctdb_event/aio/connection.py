"""One connection on an event loop: two tasks of its own do all I/O around the core.

The writer is only cancelled when the connection ends, never between two parts of a frame, and the reader never blocks.
Requests only queue bytes and wait for their mailbox, so cancelling one can't desynchronise the stream.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.abc
import anyio.to_thread

from ctdb_event import requests
from ctdb_event.core import Core, Mailbox
from ctdb_event.failures import connection_lost, nobody_listens, refused, result_of, speaks_only_ctdb
from ctdb_event.probing import refuses
from ctdb_event.requests import Request

if TYPE_CHECKING:
    from ctdb_event.dialects import Dialect

__all__ = ["Connection"]

T = TypeVar("T")

_RECEIVE_SIZE = 1 << 16
# Bytes. A new request waits while more are unsent: a broker that doesn't read must not fill this process's memory.
_MAX_UNSENT = 1 << 20
_CLOSED = "closed by the client"


class Connection:
    """A connection to the broker, whose requests may be made by any number of tasks."""

    def __init__(self, path: str, dialects: Sequence[Callable[[], Dialect]]) -> None:
        """Doesn't connect yet.

        Args:
            path: The broker's socket.
            dialects: What to try in turn.
        """
        self.path = path
        self._dialects = dialects
        self._core: Core | None = None
        self._wanted = anyio.Event()
        self._drained = anyio.Event()
        self._over = anyio.Event()
        self._io = anyio.CancelScope()

    @property
    def core(self) -> Core:
        """The connection's state.

        Raises:
            BrokerUnavailable: It was never made.
        """
        if self._core is None:
            raise connection_lost(self.path, "it was never opened; use the client as `async with connect() as …`", None)
        return self._core

    async def open(self) -> None:
        """Connects, and starts the two tasks in the caller's.

        Raises:
            BrokerUnavailable: No daemon listens there.
            BrokerError: The server speaks none of the dialects.
        """
        if self._core is not None:
            raise connection_lost(self.path, "a client can connect only once; create a new one", None)
        async with contextlib.AsyncExitStack() as stack:
            core, stream = await self._dial()
            stack.push_async_callback(anyio.aclose_forcefully, stream)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            await tasks.start(self._serve, core, stream)
            self._core, self._inside = core, stack.pop_all()

    async def leave(self) -> None:
        """Closes, and ends the two tasks; in the task that opened."""
        await self.close()
        # without the exception of the client's block, which the task group would wrap in an exception group
        await self._inside.aclose()

    async def close(self) -> None:
        """Ends the connection; what waits for an answer gets BrokerUnavailable. Idempotent."""
        if self._core is None:
            return
        self._core.end(_CLOSED)
        self._io.cancel()
        with anyio.CancelScope(shield=True):
            await self._over.wait()

    async def call(self, request: Request[T]) -> T:
        """Makes a request and waits for its result; if the wait is cancelled, so is the request.

        Raises:
            BrokerError: It was refused, or the connection ended.
        """
        answered = anyio.Event()
        mailbox = await self.start(request, answered.set)
        try:
            await answered.wait()
        except BaseException:
            self.abandon(mailbox)
            raise
        return request.read(result_of(self.core, mailbox))

    async def start(self, request: Request[Any], notify: Callable[[], None]) -> Mailbox:
        """Queues a request when there is room. If the wait for room is cancelled, nothing was sent.

        Args:
            request: The request.
            notify: Called whenever its mailbox has changed.

        Raises:
            BrokerError: It can't be encoded, or the connection has ended.
        """
        core = self.core
        while core.ended is None and core.unsent > _MAX_UNSENT:
            await self._drained.wait()
        if core.ended is not None:
            raise connection_lost(self.path, core.ended, None)
        mailbox = core.start(request.method, request.params, notify)
        self._wanted.set()
        return mailbox

    def abandon(self, mailbox: Mailbox) -> None:
        """Cancels a request, without waiting for an answer."""
        self.core.abandon(mailbox)
        self._wanted.set()

    async def _dial(self) -> tuple[Core, anyio.abc.SocketStream]:
        for make in self._dialects:
            core = Core(self.path, make())
            try:
                stream: anyio.abc.SocketStream = await anyio.connect_unix(self.path)
            except OSError as error:
                raise nobody_listens(self.path, error) from None
            try:
                if await self._greet(core, stream):
                    return core, stream
            except BaseException:
                await anyio.aclose_forcefully(stream)
                raise
            await anyio.aclose_forcefully(stream)
            if await anyio.to_thread.run_sync(refuses, self.path):
                raise refused(self.path)
        raise speaks_only_ctdb(self.path)

    async def _greet(self, core: Core, stream: anyio.abc.SocketStream) -> bool:
        """Checks that the daemon knows the dialect; False if it closes the connection without an answer."""
        if core.dialect == "ctdb":
            return True
        request = requests.hello()
        mailbox = core.start(request.method, request.params)
        with contextlib.suppress(anyio.BrokenResourceError):  # closed by the daemon; its last answer says why
            await stream.send(core.data_to_send())
        while not mailbox.answered:
            await _receive(core, stream)
        if not core.received_any and core.closed_by_peer:
            return False
        core.limit = request.read(result_of(core, mailbox)).limits.packet
        return True

    async def _serve(
        self, core: Core, stream: anyio.abc.SocketStream, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        try:
            with self._io:
                task_status.started()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write, core, stream)
                    await self._read(core, stream)
                    tasks.cancel_scope.cancel()
        finally:
            core.end(_CLOSED)
            self._drained.set()
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)
            self._over.set()

    async def _read(self, core: Core, stream: anyio.abc.SocketStream) -> None:
        while core.ended is None:
            await _receive(core, stream)
            self._wanted.set()

    async def _write(self, core: Core, stream: anyio.abc.SocketStream) -> None:
        try:
            while True:
                await self._wanted.wait()
                self._wanted = anyio.Event()
                if data := core.data_to_send():
                    await stream.send(data)
                drained, self._drained = self._drained, anyio.Event()
                drained.set()
        except anyio.BrokenResourceError:
            pass  # the broker has gone; the reader finds that out too, after it has read the last data


async def _receive(core: Core, stream: anyio.abc.SocketStream) -> None:
    """Waits for the next bytes, or the end of the connection, however it ended."""
    try:
        data = await stream.receive(_RECEIVE_SIZE)
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        core.receive_eof()
    else:
        core.receive_data(data)
