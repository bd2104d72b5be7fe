"""A session whose dispatcher fails in a way that nobody has thought of."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.messages import Reply, Request
from ctdb_eventd.session import Session
from ctdb_eventd.traffic import Traffic


class Faulty:
    """A dispatcher with a bug."""

    def handle(self, request: Request, reply: Callable[[Reply], None], peer: Peer) -> None:
        raise RecursionError("maximum recursion depth exceeded")


async def test_a_bug_ends_the_connection_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair()
    closed: list[Session] = []
    dispatcher: Any = Faulty()
    ours.setblocking(False)
    session = Session(
        ours, dispatcher, Traffic(), peer=Peer(os.getpid(), 0), max_packet=1 << 20, on_close=closed.append
    )
    reader, writer = await asyncio.open_connection(sock=theirs)
    writer.write(frames.PREFACE + frames.request(1, "ping", {}) + frames.request(2, "ping", {}))
    assert await reader.read() == b""
    writer.close()
    assert closed == [session]
    (record,) = caplog.records
    assert record.getMessage().endswith(": this is a bug in ctdb-eventd, please report it; connection closed")
    assert record.exc_info
