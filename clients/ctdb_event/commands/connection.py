"""The commands' connection: the native dialect over a blocking socket, with plain values and few imports."""

from __future__ import annotations

from ctdb_event.dialects import NativeDialect
from ctdb_event.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ctdb_event.core import Mailbox, Note

__all__ = ["CallFailed", "ConnectionLost", "DaemonConnection", "NotNative"]


class CallFailed(Exception):
    """The daemon refused a request.

    Attributes:
        code: Name of an errno.
        message: A sentence for users.
        data: For programs: `kind` names the error, the rest are the details of the message.
    """

    def __init__(self, code: str, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        return self.message


class NotNative(Exception):
    """The daemon closes the connection when it reads the preface: it is CTDB's own, which has only the CTDB dialect."""


class ConnectionLost(Exception):
    """The connection ended before the reply; whether the request was executed is unknown."""


class DaemonConnection(Transport):
    """One connection in the native dialect, usable as a context manager. Not thread-safe."""

    def __init__(self, path: str) -> None:
        """Connects. The daemon's first reply shows whether it supports this dialect.

        Raises:
            OSError: It can't connect.
        """
        super().__init__(path, NativeDialect())

    def __enter__(self) -> DaemonConnection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def next_note(self, mailbox: Mailbox) -> Note | None:
        """Waits for the next note about a request; returns None if its result is received, see `mailbox.value`.

        Raises:
            CallFailed: It was refused.
            NotNative: The daemon doesn't support this dialect.
            ConnectionLost: The connection ended before.
            RemoteProtocolError: The reply violates the dialect.
        """
        self.wait(lambda: mailbox.waiting or mailbox.answered)
        note = mailbox.take()
        if note is None:
            self._check(mailbox)
        return note

    def call(self, method: str, /, **params: Any) -> Any:
        """Sends a request and waits for its result; skips notes about it.

        Raises:
            InvalidRequest: It can't be encoded.
            CallFailed, NotNative, ConnectionLost, RemoteProtocolError: As `next_note`.
        """
        mailbox = self.start(method, params)
        self.wait(lambda: mailbox.answered)
        self._check(mailbox)
        return mailbox.value

    def hang_up(self) -> None:
        """As `Transport.hang_up`."""
        self.core.received_any = True  # so that the end of the connection isn't taken for a daemon that closes it
        super().hang_up()

    def _check(self, mailbox: Mailbox) -> None:
        if mailbox.refusal is not None:
            raise CallFailed(*mailbox.refusal)
        if mailbox.lost:
            raise self._lost()

    def _lost(self) -> Exception:
        core = self.core
        if core.protocol_error is not None:
            return core.protocol_error
        if core.closed_by_peer and not core.received_any:
            from ctdb_event.probing import hangs_up_on_native, refuses

            if hangs_up_on_native(core.path):
                if refuses(core.path):
                    from ctdb_event.refusal import NOT_ALLOWED, may_not

                    text = may_not(f"use the event daemon at {core.path}")
                    return CallFailed("EACCES", text, {"kind": NOT_ALLOWED})
                return NotNative(f"the daemon at {core.path} speaks only the CTDB dialect: it closed the connection")
        return ConnectionLost(f"connection to {core.path} lost: {self.reason if core.closed_by_peer else core.ended}")
