"""A client of the native dialect for tests of the daemon: the library's core, with access to every frame."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from nodes import TIMEOUT, Daemon

from ctdb_event.core import Core, Mailbox
from ctdb_event.dialects import NativeDialect
from ctdb_eventd.protocol.messages import Failure, Note

__all__ = ["NativeClient", "Refused", "native_client"]


class Refused(Exception):
    """The answer to a call is an error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.code = failure.code
        self.message = failure.message
        self.kind = failure.data["kind"]
        self.data = failure.data


class NativeClient:
    """One connection; calls may overlap.

    Attributes:
        writer: The raw connection, for bytes that aren't a call.
        notes: By call id, the notes received so far.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Sends the preface."""
        self._reader = reader
        self.writer = writer
        self._core = Core("", NativeDialect())
        self._mailboxes: dict[int, Mailbox] = {}
        self.notes: dict[int, list[Note]] = {}
        writer.write(self._core.data_to_send())

    def start(self, method: str, **params: Any) -> int:
        """Sends a call and returns its id, without waiting."""
        mailbox = self._core.start(method, params)
        self._mailboxes[mailbox.request_id] = mailbox
        self.writer.write(self._core.data_to_send())
        return mailbox.request_id

    async def result(self, call: int) -> Any:
        """Waits for a call's result.

        Raises:
            Refused: The answer is an error.
            ConnectionError: The daemon closes the connection first.
        """
        mailbox = self._mailboxes[call]
        while not mailbox.answered:
            await self._receive()
        if mailbox.refusal is not None:
            raise Refused(Failure(*mailbox.refusal))
        return mailbox.value

    async def call(self, method: str, **params: Any) -> Any:
        """Carries out a call; see `result`."""
        return await self.result(self.start(method, **params))

    async def note(self, call: int, kind: str) -> Note:
        """Waits for a note of that kind for a call."""
        while True:
            for note in self.notes.get(call, ()):
                if note.kind == kind:
                    return note
            await self._receive()

    async def _receive(self) -> None:
        data = await asyncio.wait_for(self._reader.read(65536), TIMEOUT)
        if not data:
            raise ConnectionError("the daemon closed the connection")
        self._core.receive_data(data)
        assert self._core.ended is None, self._core.ended
        for call, mailbox in self._mailboxes.items():
            while (note := mailbox.take()) is not None:
                self.notes.setdefault(call, []).append(Note(*note))


@contextlib.asynccontextmanager
async def native_client(daemon: Daemon) -> AsyncIterator[NativeClient]:
    """Connects, and closes the connection at the end of the block."""
    reader, writer = await asyncio.open_unix_connection(daemon.node.socket)
    try:
        yield NativeClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
