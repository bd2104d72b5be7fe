"""The CTDB dialect's grammar: integers, strings and packets, with plain values.

`ctdb.py` converts them to messages; the command line, which must start fast, uses this module directly. So it may not
import slow modules (attrs, typing, enum). Integers have the machine's byte order and no padding.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from ctdb_eventd.errors import LocalProtocolError, PacketTooLarge, RemoteProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "COMMAND_RUN",
    "COMMAND_SCRIPT",
    "COMMAND_STATUS",
    "DEFAULT_MAX_REPLY",
    "DEFAULT_MAX_REQUEST",
    "FLAG_RUN_ALL",
    "HEADER_SIZE",
    "MAX_U32",
    "REPLY_HEAD",
    "Fields",
    "frame",
    "packet_length",
    "read_reports",
    "request_id",
    "run_request",
    "script_request",
    "status_request",
    "string",
    "u32",
]

COMMAND_RUN = 1
COMMAND_STATUS = 2
COMMAND_SCRIPT = 3
FLAG_RUN_ALL = 1
MAX_U32 = 0xFFFFFFFF

# A request is three names and an argument string; ctdbd's are under 200 bytes. 1 MiB is enough for any argument list
# that the kernel accepts in practice, and limits the memory that one client can use.
DEFAULT_MAX_REQUEST = 1 << 20
# A reply contains the kept output of every script of an event (1 MiB each unless configured otherwise).
DEFAULT_MAX_REPLY = 1 << 28

_U32 = Struct("=I")
_I32 = Struct("=i")
_TIMEVAL = Struct("=qq")
_HEADER = Struct("=III")
HEADER_SIZE = _HEADER.size
REPLY_HEAD = Struct("=IIIIi")
"""Packet header, command and result: a whole reply to RUN and SCRIPT, and the start of one to STATUS."""


def u32(value: int) -> bytes:
    """Encodes an unsigned 32-bit integer.

    Raises:
        LocalProtocolError: The value doesn't fit.
    """
    try:
        return _U32.pack(value)
    except struct_error:
        raise LocalProtocolError(f"{value} does not fit an unsigned 32-bit field") from None


def string(value: bytes | None) -> bytes:
    """Encodes a string: its length with the closing NUL, the bytes, the NUL. None has length 0 and no bytes."""
    if value is None:
        return b"\0\0\0\0"
    return _U32.pack(len(value) + 1) + value + b"\0"


def frame(reqid: int, body: bytes) -> bytes:
    """Prepends the packet header to a body; the version field is 0, as from every known sender.

    Raises:
        LocalProtocolError: The request id, or the total length, doesn't fit into its field.
    """
    try:
        return _HEADER.pack(HEADER_SIZE + len(body), 0, reqid) + body
    except struct_error:
        raise LocalProtocolError(f"request {reqid} with {len(body)} bytes doesn't fit a packet") from None


def packet_length(data: bytes | bytearray | memoryview, limit: int) -> int:
    """Returns the length from the first bytes of a packet, 0 if there are fewer than four.

    Raises:
        RemoteProtocolError: It is shorter than a header, or longer than `limit` (PacketTooLarge).
    """
    if len(data) < 4:
        return 0
    length: int = _U32.unpack_from(data)[0]
    if length < HEADER_SIZE:
        raise RemoteProtocolError(f"packet length {length} is less than the header's {HEADER_SIZE} bytes")
    if length > limit:
        raise PacketTooLarge(length, limit)
    return length


def request_id(data: bytes) -> int:
    """Returns the request id of a whole packet: the client chooses it, the reply repeats it."""
    reqid: int = _U32.unpack_from(data, HEADER_SIZE - 4)[0]
    return reqid


def run_request(reqid: int, component: bytes, event: bytes, args: bytes | None, timeout: int, run_all: bool) -> bytes:
    """Builds a RUN request; `timeout` is in seconds, 0 is no limit, `args` are separated by spaces."""
    flags = FLAG_RUN_ALL if run_all else 0
    body = u32(COMMAND_RUN) + string(component) + string(event) + string(args) + u32(timeout) + u32(flags)
    return frame(reqid, body)


def status_request(reqid: int, component: bytes, event: bytes) -> bytes:
    """Builds a STATUS request."""
    return frame(reqid, u32(COMMAND_STATUS) + string(component) + string(event))


def script_request(reqid: int, component: bytes, script: bytes, enable: bool) -> bytes:
    """Builds a SCRIPT request, which enables or disables a script."""
    return frame(reqid, u32(COMMAND_SCRIPT) + string(component) + string(script) + u32(int(enable)))


class Fields:
    """Decodes the fields of one packet in order; methods raise RemoteProtocolError if the packet ends too early."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, start: int = 0) -> None:
        """Reads `data` from `start` to its end."""
        self._data = data
        self._position = start
        self._end = len(data)

    @property
    def left(self) -> int:
        """Number of bytes that were not decoded yet."""
        return self._end - self._position

    def u32(self, what: str) -> int:
        """Decodes an unsigned 32-bit integer; `what` names the field in the error."""
        value: int = _U32.unpack_from(self._data, self._take(4, what))[0]
        return value

    def i32(self, what: str) -> int:
        """Decodes a signed 32-bit integer."""
        value: int = _I32.unpack_from(self._data, self._take(4, what))[0]
        return value

    def timeval(self, what: str) -> int:
        """Decodes a time, in microseconds since the epoch."""
        seconds, microseconds = _TIMEVAL.unpack_from(self._data, self._take(16, what))
        return int(seconds) * 1_000_000 + int(microseconds)

    def string(self, what: str) -> bytes | None:
        """Decodes a string without its closing NUL; None for a null string.

        NULs inside are kept: code that uses the value as a name must refuse it, and output must not be cut.
        """
        size = self.u32(what)
        if size == 0:
            return None
        start = self._take(size, what)
        if self._data[start + size - 1] != 0:
            raise RemoteProtocolError(f"{what}: string of {size} bytes has no closing NUL")
        return self._data[start : start + size - 1]

    def _take(self, size: int, what: str) -> int:
        start = self._position
        if size > self._end - start:
            raise RemoteProtocolError(f"{what}: {size} bytes needed, {self._end - start} left in the packet")
        self._position = start + size
        return start


def read_reports(fields: Fields) -> Iterator[tuple[bytes, int, int, int, bytes]]:
    """Decodes the scripts of a STATUS reply, after its summary: name, begin, end, result, output.

    Begin and end are microseconds since the epoch. Yields one script at a time, so that a false count costs nothing.
    """
    count = fields.i32("script count")
    if count < 0:
        raise RemoteProtocolError(f"script count: {count} is negative")
    for _ in range(count):
        name = fields.string("script name")
        begin = fields.timeval("script begin")
        end = fields.timeval("script end")
        result = fields.i32("script result")
        output = fields.string("script output")
        yield name or b"", begin, end, result, output or b""
