"""Long-lived operations of the asynchronous client: streams and held locks."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio

from ctdb_event import requests
from ctdb_event.aio.connection import Connection
from ctdb_event.core import Mailbox
from ctdb_event.decoding import decode_update
from ctdb_event.errors import BrokerError
from ctdb_event.failures import check_run, result_of
from ctdb_event.requests import Grant, Request
from ctdb_event.results import Run
from ctdb_event.updates import Update

__all__ = ["HeldLock", "RunStream", "Subscription"]

T = TypeVar("T")
S = TypeVar("S", bound="_Stream[Any]")

# Seconds. The broker answers `unlock` at once; if it is stopped, it must not block a cancelled task for ever.
_UNLOCK_TIMEOUT = 5.0


class _Wakeup:
    """Wakes the reader when an update arrives. A class of its own, so that the connection holds no reference to the
    stream, which is closed when its user drops it.
    """

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = anyio.Event()


class _Stream(Generic[T]):
    """Updates about one request, which is sent when the first update is awaited, or when the block is entered.

    The request is cancelled when the stream is closed, when waiting for an update is cancelled, and when the stream is
    garbage-collected. That happens at once if the loop has the only reference, as in `async for update in
    client.run(…, stream=True)`; code that keeps a reference uses `async with`, or `aclose`.
    """

    def __init__(self, connection: Connection, request: Request[T]) -> None:
        self._connection = connection
        self._request = request
        self._mailbox: Mailbox | None = None
        self._wakeup = _Wakeup()
        self._closed = False
        self._thread = threading.get_ident()

    def __aiter__(self: S) -> S:
        return self

    async def __anext__(self) -> Update:
        """Waits for the next update.

        Raises:
            BrokerError: The request was refused, the run did not succeed, or the connection ended.
        """
        if self._closed:
            raise StopAsyncIteration
        try:
            self._mailbox = await self._begin()
            while (note := self._mailbox.take()) is None and not self._mailbox.answered:
                await self._wakeup.wait()
            if note is not None:
                return decode_update(*note)
        except BaseException:
            self._close()
            raise
        self._closed = True
        self._finish(self._request.read(result_of(self._connection.core, self._mailbox)))
        raise StopAsyncIteration

    async def _begin(self) -> Mailbox:
        return self._mailbox or await self._connection.start(self._request, self._wakeup.set)

    def _finish(self, result: T) -> None:
        """Stores the request's result; raises if it is no success."""

    async def aclose(self) -> None:
        """Cancels the request if it is pending. Idempotent."""
        self._close()

    def _close(self) -> None:
        mailbox, self._closed = self._mailbox, True
        if mailbox is not None and not mailbox.answered:
            self._connection.abandon(mailbox)

    async def __aenter__(self: S) -> S:
        """Makes the request.

        Raises:
            BrokerError: It can't be made.
        """
        self._mailbox = await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def __del__(self) -> None:
        # the garbage collector may call this in any thread, but the client may be used in one only
        if not self._closed and threading.get_ident() == self._thread:
            self._close()


class RunStream(_Stream[Run]):
    """The updates of a run. Ends when the run has succeeded, and with an EventError when it has not.

    Attributes:
        result: The run's result; None until it is over.
    """

    result: Run | None = None

    def _finish(self, result: Run) -> None:
        self.result = result
        check_run(result)


class Subscription(_Stream[None]):
    """The broker's updates. Has no end of its own."""


class HeldLock:
    """Locks that are held for a block.

    Attributes:
        names: The locks' names.
        number: The broker's number for the request, as owners of locks show it; None outside the block.
        waited: How long it took to get them, in seconds.
    """

    def __init__(self, connection: Connection, request: Request[Grant]) -> None:
        """Requests nothing yet."""
        self._connection = connection
        self._request = request
        self.names: tuple[str, ...] = tuple(request.params["names"])
        self.number: int | None = None
        self.waited = 0.0

    async def __aenter__(self) -> HeldLock:
        """Waits for the locks.

        Raises:
            LockTimeout: They did not become free in time.
            WouldDeadlock: A script asks for a lock that is held for it.
            BrokerError: Anything else; they were not taken.
        """
        grant = await self._connection.call(self._request)
        self.number, self.waited = grant.lock, grant.waited
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Releases the locks.

        Raises:
            BrokerUnavailable: The connection, and with it the locks, ended before: the block went on without them.
        """
        assert self.number is not None
        number, self.number = self.number, None
        try:
            with anyio.move_on_after(_UNLOCK_TIMEOUT, shield=True):
                await self._connection.call(requests.unlock(number))
        except BrokerError:
            if error is None:
                raise
