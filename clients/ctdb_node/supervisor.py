"""Notifies the service manager that started us, as `man sd_notify` describes it.

Sends datagrams of lines NAME=VALUE to the socket that NOTIFY_SOCKET names. Sending neither blocks nor raises: a service
manager that doesn't read must not stop a node.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import MutableMapping

import anyio

__all__ = ["Supervisor"]

_log = logging.getLogger("ctdb-node")

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_REPLACEABLE = ("STATUS", "WATCHDOG")
"""Notifications of which only the latest is kept while the socket is full."""


class Supervisor:
    """The service manager; without one, all methods do nothing.

    Attributes:
        watchdog: Seconds between WATCHDOG=1 notifications: half of the watchdog's timeout. None without a watchdog.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """Reads its variables, and removes them from the environment, so that children don't inherit them."""
        address, allowed, pid = (environ.pop(name, "") for name in _VARIABLES)
        self._pending: list[bytes] = []
        self._blocked = anyio.Event()
        self._socket = _connected(address) if address else None
        meant = not pid or pid == str(os.getpid())
        self.watchdog = int(allowed) / 2e6 if self._socket and meant and allowed.isdecimal() and int(allowed) else None

    def notify(self, *lines: str) -> None:
        """Sends lines in one datagram, or queues them while the socket's buffer is full."""
        if self._socket is None:
            return
        name = lines[0].partition("=")[0]
        if name in _REPLACEABLE:
            self._pending = [each for each in self._pending if not each.startswith(f"{name}=".encode())]
        self._pending.append("\n".join(lines).encode(errors="replace"))
        self._flush()

    def reloading(self) -> None:
        """Notifies that a reload begins; READY=1 ends it."""
        self.notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def _flush(self) -> None:
        assert self._socket is not None
        while self._pending:
            try:
                self._socket.send(self._pending[0])
            except BlockingIOError:
                self._blocked.set()
                return
            except OSError as error:
                _log.warning("can't notify the service manager any more: %s", error.strerror)
                self._close()
                return
            del self._pending[0]

    async def serve(self) -> None:
        """Sends queued datagrams when the socket is writable, until it is cancelled."""
        try:
            while self._socket is not None:
                await self._blocked.wait()
                self._blocked = anyio.Event()
                with contextlib.suppress(anyio.ClosedResourceError):
                    await anyio.wait_writable(self._socket)
                    self._flush()
        finally:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            anyio.notify_closing(self._socket)
            self._socket.close()
            self._socket = None


def _connected(address: str) -> socket.socket | None:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if address[0] not in "/@":
            raise ValueError("expected the path of a socket, or @ and the name of an abstract one")
        made.connect("\0" + address[1:] if address[0] == "@" else address)
    except (OSError, ValueError) as error:
        _log.warning("can't notify the service manager, NOTIFY_SOCKET=%s: %s", address, error)
        made.close()
        return None
    return made
