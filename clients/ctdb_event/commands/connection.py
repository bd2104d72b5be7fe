"""The commands' connection: the native dialect over a plain socket, plain values, and little to import."""

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
        message: A sentence for a person.
        data: For a program: `kind` names the error, the rest is what the message is made of.
    """

    def __init__(self, code: str, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        return self.message


class NotNative(Exception):
    """The daemon closes connections at the preface: it is CTDB's own, which speaks only the CTDB dialect."""


class ConnectionLost(Exception):
    """The connection ended before the answer; what became of the request is unknown."""


class DaemonConnection(Transport):
    """One connection in the native dialect, usable as a context manager. Not for several threads at a time."""

    def __init__(self, path: str) -> None:
        """Connects. Whether the daemon knows this dialect shows when it answers.

        Raises:
            OSError: It can't connect.
        """
        super().__init__(path, NativeDialect())

    def __enter__(self) -> DaemonConnection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def next_note(self, mailbox: Mailbox) -> Note | None:
        """Waits for what comes next about a request; None if that is the result, `mailbox.value`.

        Raises:
            CallFailed: It was refused.
            NotNative: The daemon doesn't speak this dialect.
            ConnectionLost: The connection ended before.
            RemoteProtocolError: What answers doesn't keep to the dialect.
        """
        self.wait(lambda: mailbox.waiting or mailbox.answered)
        note = mailbox.take()
        if note is None:
            self._check(mailbox)
        return note

    def call(self, method: str, /, **params: Any) -> Any:
        """Sends a request and waits for its result; notes about it are passed over.

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
        self.core.received_any = True  # it is no daemon that hangs up
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

                    text = may_not(f"ask the event daemon at {core.path}")
                    return CallFailed("EACCES", text, {"kind": NOT_ALLOWED})
                return NotNative(f"the daemon at {core.path} speaks only the CTDB dialect: it closed the connection")
        return ConnectionLost(f"connection to {core.path} lost: {self.reason if core.closed_by_peer else core.ended}")
