"""A session whose dispatcher fails in a way that nobody has thought of, and clients that don't read their replies."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from nodes import until

from ctdb_eventd import session as session_module
from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.messages import Call, Reply, Request, Result
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


class Talkative:
    """A dispatcher with long answers."""

    def handle(self, request: Request, reply: Callable[[Reply], None], peer: Peer) -> None:
        assert isinstance(request, Call)
        reply(Result({"text": "x" * 1_000_000}))


class Clients:
    """Clients that read nothing by themselves, of one daemon."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.closed: list[Session] = []

    def connect(self, uid: int) -> tuple[Session, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        dispatcher: Any = Talkative()
        session = Session(
            *(ours, dispatcher, self.traffic, Peer(os.getpid(), uid)), max_packet=1 << 20, on_close=self.closed.append
        )
        theirs.sendall(frames.PREFACE + frames.request(1, "ping", {}))
        return session, theirs


async def test_unread_replies_of_one_user_are_limited_however_many_connections_it_has(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session_module, "MOST_UNSENT_OF_USER", 3_000_000)
    clients = Clients()
    kept = [clients.connect(1000) for _ in range(3)]
    last, end = clients.connect(1000)
    await until(lambda: clients.closed, "the end of the last one")
    assert clients.closed == [last]
    assert f"{last.name}: the clients of its user do not read their replies, " in caplog.text
    others = [clients.connect(uid) for uid in (1001, 0, 0, 0, 0)]
    await until(lambda: clients.traffic.unsent[0] > 3_000_000, "the replies for root")
    assert clients.closed == [last]
    whole = kept[0][1]
    whole.setblocking(False)
    loop = asyncio.get_running_loop()
    read = 0
    while read < 1_000_000:
        read += len(await loop.sock_recv(whole, 1 << 20))
    assert 0 < clients.traffic.unsent[1000] < 2_000_000
    for session, theirs in (*kept, *others):
        session.close()
        theirs.close()
    end.close()
    assert set(clients.traffic.unsent.values()) == {0}
