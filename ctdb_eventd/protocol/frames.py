"""The native dialect's grammar: the preface, frames and their contents, with plain values.

`native.py` converts them to messages; the command line, which must start fast, uses this module directly. So it imports
only msgpack. Whole frames only; `connection.py` splits the stream.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

import msgpack

from ctdb_eventd.errors import LocalProtocolError, PacketTooLarge, RemoteProtocolError
from ctdb_eventd.text import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = [
    "MAGIC_SIZE",
    "PREFACE",
    "VERSION",
    "check_preface",
    "error",
    "frame",
    "frame_length",
    "is_native",
    "note",
    "packed",
    "packed_list",
    "packed_map",
    "request",
    "result",
    "unpack",
]

VERSION = 1
"""Version of the dialect. It is increased if older peers can't understand it; not for new methods and keys."""

# Interpreted as a CTDB packet's length, in either byte order, the first four bytes are over a gigabyte: more than any
# configuration allows. The last byte of the preface is the client's version.
_MAGIC = b"\xffCTDBEV"
PREFACE = _MAGIC + bytes([VERSION])
"""Sent by a client before its first frame; the broker sends none."""
MAGIC_SIZE = 4
"""Number of leading bytes that distinguish the dialects."""

_LENGTH = Struct(">I")
_MAX_ID = (1 << 63) - 1
_packer = msgpack.Packer(unicode_errors="surrogateescape", use_bin_type=True)


def is_native(data: bytes | bytearray) -> bool:
    """Returns whether a connection uses this dialect, by its first MAGIC_SIZE bytes."""
    return data[:MAGIC_SIZE] == _MAGIC[:MAGIC_SIZE]


def check_preface(data: bytes) -> int:
    """Returns the version in a whole preface.

    Raises:
        RemoteProtocolError: Only its first bytes are those of a preface.
    """
    if data[:-1] != _MAGIC:
        raise RemoteProtocolError(f"invalid preface {data.hex(' ')}, expected {PREFACE.hex(' ')}")
    return data[-1]


def frame_length(data: bytes | bytearray | memoryview, limit: int) -> int:
    """Returns the length of a frame, including its length field, from its first bytes; 0 if there are fewer than four.

    Raises:
        PacketTooLarge: It is longer than `limit`.
    """
    if len(data) < _LENGTH.size:
        return 0
    length: int = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    if length > limit:
        raise PacketTooLarge(length, limit)
    return length


def packed(value: Any) -> bytes:
    """Encodes a value for `result`: a value that is sent often needs to be encoded only once.

    Raises:
        LocalProtocolError: It contains something that msgpack can't encode.
    """
    try:
        data: bytes = _packer.pack(value)
    except (TypeError, ValueError, OverflowError) as problem:
        raise LocalProtocolError(f"{shown(value)} can't be encoded: {problem}") from None
    return data


def packed_list(items: Sequence[bytes]) -> bytes:
    """Encodes a list of values that are already `packed`."""
    head: bytes = _packer.pack_array_header(len(items))
    return head + b"".join(items)


def packed_map(items: Mapping[str, bytes]) -> bytes:
    """Encodes a map of values that are already `packed`."""
    head: bytes = _packer.pack_map_header(len(items))
    return head + b"".join(packed(key) + value for key, value in items.items())


def frame(body: bytes) -> bytes:
    """Prepends the length to a packed map.

    Raises:
        LocalProtocolError: The length doesn't fit into its field.
    """
    try:
        return _LENGTH.pack(len(body)) + body
    except struct_error:
        raise _too_long(len(body)) from None


def _too_long(size: int) -> LocalProtocolError:
    return LocalProtocolError(f"{size} bytes don't fit a frame")


def request(request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
    """Builds the frame of a request."""
    return frame(packed({"id": request_id, "method": method, "params": params}))


def result(request_id: int, value: bytes) -> bytes:
    """Builds the frame of a reply from a `packed` value."""
    head = b"\x82\xa2id" + packed(request_id) + b"\xa6result"
    try:
        # one join instead of concatenations: a result may be long
        return b"".join((_LENGTH.pack(len(head) + len(value)), head, value))
    except struct_error:
        raise _too_long(len(value)) from None


def error(request_id: int, code: str, message: str, data: Mapping[str, Any]) -> bytes:
    """Builds the frame of an error."""
    return frame(packed({"id": request_id, "error": {"code": code, "message": message, "data": data}}))


def note(request_id: int, kind: str, number: int, data: Mapping[str, Any]) -> bytes:
    """Builds the frame of a note."""
    return frame(packed({"id": request_id, "note": kind, "number": number, "data": data}))


def unpack(data: bytes) -> tuple[int, dict[str, Any]]:
    """Decodes one whole frame to its id and its map.

    Raises:
        RemoteProtocolError: It is not a map with text keys, or has no id.
    """
    try:
        content = msgpack.unpackb(
            memoryview(data)[_LENGTH.size :], raw=False, unicode_errors="surrogateescape", strict_map_key=True
        )
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as problem:
        raise RemoteProtocolError(f"a frame holds one msgpack map: {problem or type(problem).__name__}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise RemoteProtocolError(f"a frame holds one msgpack map with text for keys, not {type(content).__name__}")
    request_id = content.get("id")
    if not isinstance(request_id, int) or isinstance(request_id, bool) or not 0 <= request_id <= _MAX_ID:
        raise RemoteProtocolError(f"an id is a whole number from 0 to {_MAX_ID}, not {shown(request_id)}")
    return request_id, content
