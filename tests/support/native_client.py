"""A client of the native dialect for tests of the daemon: bare frames, nothing hidden."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from nodes import PATIENCE, Daemon

from ctdb_eventd.protocol import frames, native
from ctdb_eventd.protocol.connection import native_client_connection
from ctdb_eventd.protocol.messages import Call, Failure, Note, Reply, Result

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
        writer: The raw connection, for what is no call.
        notes: By call, what came before its answer.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Sends the preface."""
        self._reader = reader
        self.writer = writer
        self._connection = native_client_connection()
        self._next_id = 0
        self._answers: dict[int, Reply] = {}
        self.notes: dict[int, list[Note]] = {}
        writer.write(frames.PREFACE)

    def start(self, method: str, **params: Any) -> int:
        """Sends a call and returns its id, without waiting."""
        self._next_id += 1
        self.writer.write(native.encode(self._next_id, Call(self._next_id, method, params)))
        return self._next_id

    async def result(self, call: int) -> Any:
        """Waits for a call's result.

        Raises:
            Refused: It is an error.
            ConnectionError: The daemon closes first.
        """
        while call not in self._answers:
            await self._receive()
        answer = self._answers.pop(call)
        if isinstance(answer, Failure):
            raise Refused(answer)
        assert isinstance(answer, Result)
        return answer.value

    async def call(self, method: str, **params: Any) -> Any:
        """Carries out a call; see `result`."""
        return await self.result(self.start(method, **params))

    async def note(self, call: int, kind: str) -> Note:
        """Waits until a note of that kind came for a call."""
        while True:
            for note in self.notes.get(call, ()):
                if note.kind == kind:
                    return note
            await self._receive()

    async def _receive(self) -> None:
        received = self._connection.next_message()
        if received is None:
            data = await asyncio.wait_for(self._reader.read(65536), PATIENCE)
            if not data:
                raise ConnectionError("the daemon closed the connection")
            self._connection.receive_data(data)
            return
        call, answer = received
        if isinstance(answer, Note):
            self.notes.setdefault(call, []).append(answer)
        else:
            self._answers[call] = answer


@contextlib.asynccontextmanager
async def native_client(daemon: Daemon) -> AsyncIterator[NativeClient]:
    """Connects; hangs up at the end."""
    reader, writer = await asyncio.open_unix_connection(daemon.node.socket)
    try:
        yield NativeClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
