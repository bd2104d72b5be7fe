"""Where `ctdb-event watch` has its knowledge from: two threads that ask the daemon and fill one queue.

The screen must answer to its keys while the daemon doesn't answer at all, so nothing of the daemon is waited for there.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TYPE_CHECKING, Any

from ctdb_event.commands.watch_model import Snapshot
from ctdb_event.wire import Wire

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

    def __init__(self, connect: Callable[[], Wire], wake: int) -> None:
        """Starts.

        Args:
            connect: Makes a connection.
            wake: Descriptor that is written to when something was put into the queue.
        """
        self._connect = connect
        self._wake = wake
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._wires: list[Wire] = []
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
        for wire in list(self._wires):
            wire.hang_up()

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

    def _guarded(self, work: Callable[[Wire], None]) -> None:
        try:
            with self._connect() as wire:
                self._wires.append(wire)
                if not self._closed:  # after it can be found: nobody else would end it
                    work(wire)
        except Exception as error:  # whatever it is, the screen shows it and tries again
            self._tell("lost", str(error))

    def _listen(self, wire: Wire) -> None:
        subscription = wire.start("subscribe", {})
        while True:
            what, kind, _, data = wire.receive(subscription)
            if what == "result":
                self._tell("lost", "the daemon ended the subscription")
                return
            self._tell("note", kind, data)

    def _look(self, wire: Wire) -> None:
        self._tell("server", wire.call("hello", client="ctdb-event watch")["server"])
        while self._wanted.get():
            components, status, locks = wire.call("components"), wire.call("status"), wire.call("locks")
            self._tell("snapshot", Snapshot(components=components, status=status, locks=locks))
