"""The data source of `ctdb-event watch`: two threads that ask the daemon and fill one queue.

The screen has to react to keys even if the daemon hangs, so its own thread never waits for the daemon.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TYPE_CHECKING, Any

from ctdb_event.commands.connection import DaemonConnection
from ctdb_event.commands.watch_model import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["RETRY", "Source"]

RETRY = 1.0
"""Seconds until the next attempt after the daemon has exited."""

Message = tuple[str, Any, Any]
"""Message of a thread: `server` and its name, `note` with kind and data, `snapshot`, or `lost` with the error."""


class Source:
    """A pair of connections to the daemon; when one is lost, the other isn't used any more either.

    Attributes:
        asked: A snapshot is pending.
        threads: The two threads.
    """

    def __init__(self, connect: Callable[[], DaemonConnection], wake: int) -> None:
        """Starts the threads.

        Args:
            connect: Makes a connection.
            wake: Descriptor to which a byte is written after each message.
        """
        self._connect = connect
        self._wake = wake
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._connections: list[DaemonConnection] = []
        self._closed = False
        self.asked = False
        # daemon threads: a connection that hangs must not keep this process alive
        self.threads = [
            threading.Thread(target=self._run_guarded, args=(work,), daemon=True)
            for work in (self._listen, self._refresh)
        ]
        for thread in self.threads:
            thread.start()

    def ask(self) -> None:
        """Requests a snapshot, unless one is pending."""
        if not self.asked:
            self.asked = True
            self._wanted.put(True)

    def close(self) -> None:
        """Shuts the connections down, which ends the threads; doesn't wait for them."""
        self._closed = True
        self._wanted.put(False)
        for connection in list(self._connections):
            connection.hang_up()

    def messages(self) -> Iterator[Message]:
        """Yields the messages since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._messages.get_nowait()
                if message[0] == "snapshot":
                    self.asked = False
                yield message

    def _put(self, kind: str, value: Any, data: Any = None) -> None:
        self._messages.put((kind, value, data))
        with contextlib.suppress(OSError):  # the pipe is full, so its reader wakes up anyway; or it is closed
            os.write(self._wake, b"\0")

    def _run_guarded(self, work: Callable[[DaemonConnection], None]) -> None:
        try:
            with self._connect() as connection:
                self._connections.append(connection)
                if not self._closed:  # checked after `append`: `close` shuts down only connections in the list
                    work(connection)
        except Exception as error:  # any error is shown, and then the connection is opened again
            self._put("lost", str(error))

    def _listen(self, connection: DaemonConnection) -> None:
        subscription = connection.start("subscribe", {})
        while (note := connection.next_note(subscription)) is not None:
            self._put("note", note[0], note[2])
        self._put("lost", "the daemon ended the subscription")

    def _refresh(self, connection: DaemonConnection) -> None:
        self._put("server", connection.call("hello", client="ctdb-event watch")["server"])
        while self._wanted.get():
            components, status, locks = (
                connection.call("components"),
                connection.call("status"),
                connection.call("locks"),
            )
            self._put("snapshot", Snapshot(components=components, status=status, locks=locks))
