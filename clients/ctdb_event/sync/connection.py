"""One blocking connection that makes typed requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ctdb_event import requests
from ctdb_event.core import Mailbox
from ctdb_event.errors import BrokerError
from ctdb_event.failures import connection_lost, nobody_listens, refused, result_of, speaks_only_ctdb
from ctdb_event.probing import refuses
from ctdb_event.requests import Request
from ctdb_event.transport import Transport

if TYPE_CHECKING:
    from ctdb_event.dialects import Dialect

__all__ = ["Connection", "connect"]

T = TypeVar("T")


def connect(path: str, dialects: Sequence[Callable[[], Dialect]]) -> Connection:
    """Connects.

    Args:
        path: The broker's socket.
        dialects: What to try in turn.

    Raises:
        BrokerUnavailable: No daemon listens there.
        BrokerError: The server speaks none of the dialects.
    """
    for make in dialects:
        try:
            connection = Connection(path, make())
        except OSError as error:
            raise nobody_listens(path, error) from None
        try:
            if connection.greet():
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        if refuses(path):
            raise refused(path)
    raise speaks_only_ctdb(path)


class Connection(Transport):
    """A connection to the broker."""

    def call(self, request: Request[T]) -> T:
        """Makes a request and waits for its result.

        Raises:
            BrokerError: It was refused, or the connection ended.
        """
        with self.whole():
            mailbox = self.begin(request)
            self.wait(lambda: mailbox.answered)
            try:
                return request.read(result_of(self.core, mailbox))
            except BrokerError:
                self.abandon(mailbox)  # a result that can't be decoded may be a lock, which must be released
                raise

    def begin(self, request: Request[Any]) -> Mailbox:
        """Sends a request.

        Raises:
            BrokerError: It can't be encoded, or the connection has ended.
        """
        if self.core.ended is not None:
            raise connection_lost(self.core.path, self.core.ended, None)
        return self.start(request.method, request.params)

    def greet(self) -> bool:
        """Checks that the daemon knows the dialect; False if it closes the connection without an answer."""
        if self.core.dialect == "ctdb":
            return True
        request = requests.hello()
        mailbox = self.begin(request)
        self.wait(lambda: mailbox.answered)
        if not self.core.received_any and self.core.closed_by_peer:
            return False
        self.core.limit = request.read(result_of(self.core, mailbox)).limits.packet
        return True
