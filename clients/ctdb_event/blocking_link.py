"""One blocking connection: whoever waits reads, and what comes about other requests goes into their mailboxes.

So calls may be made while a stream is iterated. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ctdb_event import requests
from ctdb_event.core import Core, Mailbox
from ctdb_event.dialects import Dialect
from ctdb_event.failures import nobody_listens, refused, speaks_only_ctdb
from ctdb_event.requests import Ask
from ctdb_event.wire import ConnectionLost, Line, refuses

__all__ = ["Link"]

T = TypeVar("T")


class Link:
    """A connection to the broker.

    Attributes:
        core: The connection's state.
    """

    core: Core

    def __init__(self, path: str, dialects: Sequence[Callable[[], Dialect]]) -> None:
        """Connects.

        Args:
            path: The broker's socket.
            dialects: What to try in turn.

        Raises:
            BrokerUnavailable: Nobody listens.
            BrokerError: Whoever listens speaks none of the dialects.
        """
        for make in dialects:
            self.core = Core(path, make())
            try:
                self._line = Line(path, self.core.take)
            except OSError as error:
                raise nobody_listens(path, error) from None
            try:
                if self._greet():
                    return
            except BaseException:
                self._line.close()
                raise
            self._line.close()
            if refuses(path):
                raise refused(path)
        raise speaks_only_ctdb(path)

    def close(self) -> None:
        """Ends the connection. Idempotent."""
        self.core.end("it was closed here")
        self._line.close()

    def call(self, ask: Ask[T]) -> T:
        """Makes a request and waits for its result; interrupted meanwhile, it is taken back.

        Raises:
            BrokerError: It was refused, or the connection ended.
        """
        mailbox = self.start(ask)
        try:
            self.wait(lambda: mailbox.answered)
            return ask.read(mailbox.result())
        except BaseException:
            self.abandon(mailbox)
            raise

    def start(self, ask: Ask[Any]) -> Mailbox:
        """Sends a request.

        Raises:
            BrokerError: It can't be said, or the connection has ended.
        """
        mailbox = self.core.start(ask.method, ask.params)
        try:
            self._flush()
        except BaseException:
            self.abandon(mailbox)
            raise
        return mailbox

    def wait(self, ready: Callable[[], bool]) -> None:
        """Reads until what is waited for is there. The end of the connection answers every request."""
        self._hear()
        while not ready():
            try:
                more = self._line.receive()
            except ConnectionLost:
                self.core.end(self._line.reason)
            else:
                self._hear() if more else self.core.hung_up()

    def _hear(self) -> None:
        """Routes what has come, and sends what has to be sent for it, whereby more may come."""
        self.core.hear()
        while self.core.unsent:
            self._flush()
            self.core.hear()

    def abandon(self, mailbox: Mailbox) -> None:
        """Takes a request back, without waiting for an answer."""
        self.core.abandon(mailbox)
        self._flush()

    def _greet(self) -> bool:
        """Makes sure that the dialect is understood; False if the daemon hangs up on it without a word."""
        if self.core.dialect == "ctdb":
            return True
        ask = requests.hello()
        mailbox = self.start(ask)
        self.wait(lambda: mailbox.answered)
        if not self.core.heard and self.core.closed_by_peer:
            return False
        self.core.limit = ask.read(mailbox.result()).limits.packet
        return True

    def _flush(self) -> None:
        if self.core.unsent:
            try:
                self._line.send(self.core.take_outgoing)
            except ConnectionLost:
                self.core.end(self._line.reason)
