"""A listening Unix socket with one thread per client: the common part of the tests' substitutes for daemons."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodes import TIMEOUT

__all__ = ["ThreadedListener"]


class ThreadedListener:
    """Listens as soon as it is made; an existing file at the path is replaced.

    Attributes:
        connections: All accepted ones, in order, closed ones too.
    """

    def __init__(self, path: Path, serve: Callable[[socket.socket], None]) -> None:
        self.connections: list[socket.socket] = []
        self._serve = serve
        self._threads: list[threading.Thread] = []
        self._socket = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        self._socket.bind(os.fspath(path))
        self._socket.listen(16)
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            connection.settimeout(TIMEOUT)
            self.connections.append(connection)
            self._start(self._talk, connection)

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._serve(connection)

    def hang_up(self) -> None:
        """Shuts down every connection, as when a daemon ends."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stops it and joins its threads."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        for thread in self._threads:
            thread.join(TIMEOUT)
        self._socket.close()
