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
    """Updates about one request, which is made when the first is waited for, or when its block is entered.

    The request is taken back when the stream is closed, when waiting for an update is interrupted, and when nobody
    has the stream any more. The last comes at once if the loop has the only reference, as in `for update in
    client.run(…, stream=True)`; who keeps one uses `with`, or `close`.
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
        """Takes the request's result; raises if it is no success."""

    def close(self) -> None:
        """Takes the request back if it is under way. Idempotent."""
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
    """What happens in a run. Ends when it succeeded, and with an EventError when it did not.

    Attributes:
        result: How it went; None until it is over.
    """

    result: Run | None = None

    def _finish(self, result: Run) -> None:
        self.result = result
        check_run(result)


class BlockingSubscription(_Stream[None]):
    """What happens on the broker. Has no end of its own."""


class BlockingHeldLock:
    """Locks that are held for a block.

    Attributes:
        names: What is locked.
        number: The broker's number for it, as owners of locks show it; None outside the block.
        waited: How long it took to get them, in seconds.
    """

    def __init__(self, connection: Connection, request: Request[Grant]) -> None:
        """Takes nothing yet."""
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
        """Gives them back.

        Raises:
            BrokerUnavailable: The connection ended meanwhile, and with it the locks: the block went on without them.
        """
        assert self.number is not None
        number, self.number = self.number, None
        try:
            self._connection.call(requests.unlock(number))
        except BrokerError:
            if error is None:
                raise
