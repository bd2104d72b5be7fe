"""Frames that are nested deeper than the interpreter can follow, at every depth around its limit and msgpack's."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from nodes import Node, connect, running_daemon

from ctdb_eventd.protocol import frames

PLACES = {
    "id": b"\x82\xa6method\xa4ping\xa2id%s",
    "method": b"\x82\xa2id\x01\xa6method%s",
    "params": b"\x83\xa2id\x01\xa6method\xa4ping\xa6params%s",
    "an unknown key": b"\x83\xa2id\x01\xa6method\xa4ping\xa4more%s",
    "a text": b"\x83\xa2id\x01\xa6method\xa7scripts\xa6params\x81\xa9component%s",
    "texts": b"\x83\xa2id\x01\xa6method\xa9subscribe\xa6params\x81\xa5kinds%s",
    "a flag": b"\x83\xa2id\x01\xa6method\xa6status\xa6params\x81\xa9addresses%s",
    "a number": b"\x83\xa2id\x01\xa6method\xa6unlock\xa6params\x81\xa4lock%s",
}
NESTED = {"lists": b"\x91", "maps": b"\x81\xa1a", "both": b"\x91\x81\xa1a"}
DEPTHS = [*range(100, 900, 100), *range(900, 1030), 2000, 100_000]


def received(client: socket.socket) -> bytes:
    """Returns what came, nothing at the end; a daemon that hangs up may have left some bytes unread."""
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("place", PLACES)
async def test_a_frame_of_any_depth_is_answered_or_ends_its_connection(tmp_path: Path, place: str, nested: str) -> None:
    node = Node(tmp_path)
    ping = frames.request(2, "ping", {})
    async with running_daemon(node):
        for depth in DEPTHS:
            with connect(node.socket) as client:
                deep = NESTED[nested] * (depth // (2 if nested == "both" else 1)) + b"\xc0"
                client.sendall(frames.PREFACE + frames.frame(PLACES[place].replace(b"%s", deep)) + ping)
                answers = b""
                while not answers.endswith(frames.result(2, frames.packed({}))):
                    data = received(client)
                    if not data:
                        break
                    answers += data
                # nothing, or an answer to each of the two
                assert not answers or answers.count(b"\xa2id") == 2, (depth, answers)
    assert all(len(line) < 2000 for line in node.log.splitlines())
