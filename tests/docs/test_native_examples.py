"""The native dialect's examples in docs/protocol.md: every byte of them is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import msgpack
import pytest
from client_end import Message, decode_frame, encode_request

from ctdb_eventd.dispatcher.methods import Methods
from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.feed import KINDS
from ctdb_eventd.protocol import frames, native
from ctdb_eventd.protocol.connection import Connection
from ctdb_eventd.protocol.messages import Request

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
NATIVE = PAGE[PAGE.index("# The native dialect") :]


@attrs.frozen(kw_only=True)
class Example:
    """One block of hexadecimal."""

    kind: str
    """`native-request`, `native-reply`, `native-refused` or `preface`."""
    message: str
    """Name of the message's class, empty if there is none."""
    data: bytes
    fields: tuple[tuple[bytes, str], ...]
    """The bytes of each field, and what is said beside them."""
    meaning: str
    """What the whole is said to be, or the error."""


def read(info: str, body: str) -> Example:
    kind, _, message = info.partition(" ")
    code, _, meaning = body.partition("\n! " if kind == "native-refused" else "\n= ")
    data, pending = b"", b""
    fields: list[tuple[bytes, str]] = []
    for row in code.splitlines():
        digits, _, note = row.partition("#")
        pending += bytes.fromhex(digits)
        if note:
            fields.append((pending, note.strip()))
            data, pending = data + pending, b""
    return Example(
        kind=kind, message=message, data=data + pending, fields=tuple(fields), meaning=" ".join(meaning.split())
    )


EXAMPLES = [
    read(found[1], found[2])
    for found in re.finditer(r"^```hex ((?:native|preface)[^\n]*)\n(.*?)\n```$", NATIVE, flags=re.MULTILINE | re.DOTALL)
]
MESSAGES = [example for example in EXAMPLES if example.message]
REFUSED = [example for example in EXAMPLES if example.kind == "native-refused"]

every_message = pytest.mark.parametrize("example", MESSAGES, ids=lambda example: example.message)


def decode(example: Example) -> tuple[int, Message]:
    return (native.decode_request if example.kind == "native-request" else decode_frame)(example.data)


def test_there_is_an_example_of_every_message_the_preface_and_errors() -> None:
    assert {example.message for example in MESSAGES} == {"Call", "Result", "Failure", "Note"}
    assert [example.data for example in EXAMPLES if example.kind == "preface"] == [frames.PREFACE]
    assert len(REFUSED) >= 4


@every_message
def test_an_example_means_what_is_said(example: Example) -> None:
    _, message = decode(example)
    assert type(message).__name__ == example.message
    assert repr(message) == example.meaning


@every_message
def test_an_example_is_what_we_would_send(example: Example) -> None:
    request_id, message = decode(example)
    encoded = (
        encode_request(request_id, message) if isinstance(message, Request) else native.encode(request_id, message)
    )
    assert encoded == example.data


def unpacked(data: bytes, said: str) -> tuple[str, Any]:
    """Returns the key of a field, and its value or the head of it, as `said` has it."""
    key, _, value = said.partition(": ") if said.startswith('"') else ("", "", said)
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(data)
    name = json.dumps(unpacker.unpack()) if key else ""
    if value.startswith("map of "):
        found: Any = f"map of {unpacker.read_map_header()}"
    elif value.startswith("list of "):
        found = f"list of {unpacker.read_array_header()}"
    else:
        found = unpacker.unpack()
        found = f"bin {json.dumps(found.decode())}" if isinstance(found, bytes) else json.dumps(found)
    assert unpacker.tell() == len(data), "bytes are left"
    return name, f"{name}: {found}" if name else found


@every_message
def test_every_field_has_the_value_beside_it(example: Example) -> None:
    (length, said), *fields = example.fields
    assert f"length = {int.from_bytes(length, 'big')}" == said
    assert int.from_bytes(length, "big") == len(example.data) - 4
    assert len(fields) >= 3
    for data, said in fields:
        assert unpacked(data, said)[1] == said


@pytest.mark.parametrize("example", REFUSED, ids=lambda example: example.meaning)
def test_a_refused_example_is_refused_with_that_error(example: Example) -> None:
    connection = Connection()
    connection.receive_data(example.data)
    with pytest.raises(RemoteProtocolError) as caught:
        connection.next_message()
    assert str(caught.value) == example.meaning


def test_every_method_is_described_and_no_other() -> None:
    methods = NATIVE[NATIVE.index("## Methods") : NATIVE.index("## Notes")]
    titles = re.findall(r"^### (.+)$", methods, flags=re.MULTILINE)
    described = {name for title in titles for name in title.split(", ")}
    assert described == set(Methods.NAMES)


def test_every_note_is_described_and_no_other() -> None:
    notes = NATIVE[NATIVE.index("## Notes") : NATIVE.index("## Errors")]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", notes, flags=re.MULTILINE)) == {*KINDS, "gap"}
