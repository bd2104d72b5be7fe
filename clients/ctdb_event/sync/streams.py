"""Long-lived operations of the blocking client: streams and held locks."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, TypeVar

from ctdb_event import requests
from ctdb_event.core import Mailbox
from ctdb_event.decoding import decode_update
from ctdb_event.errors import BrokerError
from ctdb_event.failures import check_run, result_of
from ctdb_event.requests import Grant, Request
from ctdb_event.results import Run
from ctdb_event.sync.connection import Connection
from ctdb_event.updates import Update

__all__ = ["BlockingHeldLock", "BlockingRunStream", "BlockingSubscription"]

T = TypeVar("T")
S = TypeVar("S", bound="_Stream[Any]")


class _Stream(Generic[T]):
    """Updates about one request, which is sent when the first update is waited for, or when the block is entered.

    The request is cancelled when the stream is closed, when waiting for an update is interrupted, and when the stream
    is garbage-collected. That happens at once if the loop has the only reference, as in `for update in
    client.run(…, stream=True)`; code that keeps a reference uses `with`, or `close`.
    """

    def __init__(self, connection: Connection, request: Request[T]) -> None:
        self._connection = connection
        self._request = request
        self._mailbox: Mailbox | None = None
        self._closed = False

    def __iter__(self: S) -> S:
        return self

    def __next__(self) -> Update:
        """Waits for the next update.

        Raises:
            BrokerError: The request was refused, the run did not succeed, or the connection ended.
        """
        if self._closed:
            raise StopIteration
        try:
            mailbox = self._mailbox = self._begin()
            while (note := mailbox.take()) is None and not mailbox.answered:
                self._connection.wait(lambda: mailbox.answered or mailbox.waiting)
            if note is not None:
                return decode_update(*note)
        except BaseException:
            self.close()
            raise
        self._closed = True
        self._finish(self._request.read(result_of(self._connection.core, mailbox)))
        raise StopIteration

    def _begin(self) -> Mailbox:
        return self._mailbox or self._connection.begin(self._request)

    def _finish(self, result: T) -> None:
        """Stores the request's result; raises if it is no success."""

    def close(self) -> None:
        """Cancels the request if it is pending. Idempotent."""
        mailbox, self._closed = self._mailbox, True
        if mailbox is not None and not mailbox.answered:
            self._connection.abandon(mailbox)

    def __enter__(self: S) -> S:
        """Makes the request.

        Raises:
            BrokerError: It can't be made.
        """
        self._mailbox = self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed:
            self.close()


class BlockingRunStream(_Stream[Run]):
    """The updates of a run. Ends when the run has succeeded, and with an EventError when it has not.

    Attributes:
        result: The run's result; None until it is over.
    """

    result: Run | None = None

    def _finish(self, result: Run) -> None:
        self.result = result
        check_run(result)


class BlockingSubscription(_Stream[None]):
    """The broker's updates. Has no end of its own."""


class BlockingHeldLock:
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

    def __enter__(self) -> BlockingHeldLock:
        """Waits for the locks.

        Raises:
            LockTimeout: They did not become free in time.
            WouldDeadlock: A script asks for a lock that is held for it.
            BrokerError: Anything else; they were not taken.
        """
        grant = self._connection.call(self._request)
        self.number, self.waited = grant.lock, grant.waited
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Releases the locks.

        Raises:
            BrokerUnavailable: The connection, and with it the locks, ended before: the block went on without them.
        """
        assert self.number is not None
        number, self.number = self.number, None
        try:
            self._connection.call(requests.unlock(number))
        except BrokerError:
            if error is None:
                raise
