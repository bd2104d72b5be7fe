"""Where `ctdb-event watch` has its knowledge from: two threads that ask the daemon and fill one queue.

The screen must answer to its keys while the daemon doesn't answer at all, so nothing of the daemon is waited for there.
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
"""Seconds until the next attempt, when the daemon has gone."""

Told = tuple[str, Any, Any]
"""What the threads tell: `server` and its name, `note` with kind and data, `snapshot`, or `lost` with the error."""


class Source:
    """One pair of connections to the daemon; when either is lost, both are of no more use.

    Attributes:
        asked: A snapshot is under way.
        threads: The two.
    """

    def __init__(self, connect: Callable[[], DaemonConnection], wake: int) -> None:
        """Starts.

        Args:
            connect: Makes a connection.
            wake: Descriptor that is written to when something was put into the queue.
        """
        self._connect = connect
        self._wake = wake
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._connections: list[DaemonConnection] = []
        self._closed = False
        self.asked = False
        # end with the process: a daemon that doesn't answer must not keep it
        self.threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in (self._listen, self._look)
        ]
        for thread in self.threads:
            thread.start()

    def ask(self) -> None:
        """Asks for a snapshot, unless one is under way."""
        if not self.asked:
            self.asked = True
            self._wanted.put(True)

    def close(self) -> None:
        """Ends the connections and, soon, the threads; waits for neither."""
        self._closed = True
        self._wanted.put(False)
        for connection in list(self._connections):
            connection.hang_up()

    def told(self) -> Iterator[Told]:
        """Yields what was told since the last time."""
        with contextlib.suppress(queue.Empty):
            while True:
                told = self._told.get_nowait()
                if told[0] == "snapshot":
                    self.asked = False
                yield told

    def _tell(self, *told: Any) -> None:
        self._told.put((told[0], *told[1:], *[None] * (3 - len(told))))
        with contextlib.suppress(OSError):  # full: it is awake; or nobody listens any more
            os.write(self._wake, b"\0")

    def _guarded(self, work: Callable[[DaemonConnection], None]) -> None:
        try:
            with self._connect() as connection:
                self._connections.append(connection)
                if not self._closed:  # after it can be found: nobody else would end it
                    work(connection)
        except Exception as error:  # whatever it is, the screen shows it and tries again
            self._tell("lost", str(error))

    def _listen(self, connection: DaemonConnection) -> None:
        subscription = connection.start("subscribe", {})
        while (note := connection.next_note(subscription)) is not None:
            self._tell("note", note[0], note[2])
        self._tell("lost", "the daemon ended the subscription")

    def _look(self, connection: DaemonConnection) -> None:
        self._tell("server", connection.call("hello", client="ctdb-event watch")["server"])
        while self._wanted.get():
            components, status, locks = (
                connection.call("components"),
                connection.call("status"),
                connection.call("locks"),
            )
            self._tell("snapshot", Snapshot(components=components, status=status, locks=locks))
