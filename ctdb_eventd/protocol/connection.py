"""The daemon's end of a connection: splits the stream into packets and decodes them to requests. Sans-IO.

receive:   receive_data(bytes), receive_eof()
decode:    next_message() until it returns None
send:      write what encode(reqid, reply) returns

The first bytes of the client select the dialect. Packets of the native dialect are called frames where the difference
matters.
"""

from __future__ import annotations

from collections.abc import Callable

from ctdb_eventd.errors import RemoteProtocolError, VersionNotSupported
from ctdb_eventd.protocol import ctdb, frames, native, packet
from ctdb_eventd.protocol.messages import Failure, Reply, Request

__all__ = ["Connection"]


class Connection:
    """Protocol state of one connection.

    After a RemoteProtocolError the start of the next packet is unknown: every further call raises the same error, and
    the owner has to close the connection.
    """

    def __init__(self, max_packet: int = packet.DEFAULT_MAX_REQUEST) -> None:
        """Starts a connection that reads requests of at most `max_packet` bytes in either dialect."""
        self._recognised = False
        self._max_packet = max_packet
        # the CTDB dialect, unless the native preface is received
        self._length: Callable[[bytes | bytearray, int], int] = packet.packet_length
        self._decode: Callable[[bytes], tuple[int, Request]] = ctdb.decode_request
        self._encode: Callable[[int, Reply], bytes] = ctdb.encode
        self._data = b""
        self._position = 0
        # An incomplete packet; a bytearray grows in place, so that the cost of a peer that sends byte by byte is linear
        # and not quadratic.
        self._partial = bytearray()
        self._error: RemoteProtocolError | None = None
        self.size = 0
        """Bytes of the last message."""

    def receive_data(self, data: bytes) -> None:
        """Stores bytes from the peer; then call `next_message` until it returns None."""
        if self._partial:
            self._partial += data
        elif self._position < len(self._data):
            self._partial += self._data[self._position :]
            self._partial += data
            self._data, self._position = b"", 0
        else:
            self._data, self._position = data, 0

    def receive_eof(self) -> None:
        """Called at the end of the stream.

        Raises:
            RemoteProtocolError: It ended inside a packet.
        """
        left = len(self._partial) + len(self._data) - self._position
        if left:
            raise RemoteProtocolError(f"connection ended inside a packet, after {left} bytes of it")

    def next_message(self) -> tuple[int, Request] | None:
        """Returns the next whole message with its request id, None if more bytes are needed first.

        Raises:
            RemoteProtocolError: The bytes can't be decoded. The length is checked as soon as its four bytes are
                received, before memory is allocated for the rest.
        """
        if self._error is not None:
            raise self._error
        try:
            if not self._recognised and not self._recognise():
                return None
            data = self._next_packet()
            return None if data is None else self._decode(data)
        except RemoteProtocolError as error:
            self._error = error
            raise

    def encode(self, reqid: int, reply: Reply) -> bytes:
        """Returns the bytes of a reply to the request `reqid`; write them whole and in order.

        Raises:
            LocalProtocolError: The reply can't be encoded in this dialect.
        """
        return self._encode(reqid, reply)

    def closing_message(self) -> bytes:
        """Returns the bytes to be sent before closing after an error: our version, for a client of a later one."""
        error = self._error
        if not isinstance(error, VersionNotSupported):
            return b""
        data = {"kind": "VersionNotSupported", "versions": [frames.VERSION]}
        return native.encode(0, Failure("EPROTONOSUPPORT", str(error), data))

    def _recognise(self) -> bool:
        """Selects the dialect as soon as enough bytes are received."""
        head = bytes(self._partial or self._data[self._position :])[: len(frames.PREFACE)]
        if len(head) < frames.MAGIC_SIZE:
            return False
        if frames.is_native(head):
            if len(head) < len(frames.PREFACE):
                return False
            self._use_native()
            self._skip(len(frames.PREFACE))
            version = frames.check_preface(head)
            if version != frames.VERSION:
                raise VersionNotSupported(version, (frames.VERSION,))
        self._recognised = True
        return True

    def _use_native(self) -> None:
        self._length, self._decode, self._encode = frames.frame_length, native.decode_request, native.encode

    def saved_state(self) -> tuple[bool | None, bytes]:
        """Returns the state for another program: whether the dialect is the native one, and the bytes of an incomplete
        message. The former is None if it isn't known yet.
        """
        unread = bytes(self._partial) or self._data[self._position :]
        return self._encode is native.encode if self._recognised else None, unread

    def restore(self, is_native: bool | None, unread: bytes) -> None:
        """Restores the state of another connection, before any data is received; see `saved_state`."""
        self._recognised = is_native is not None
        if is_native:
            self._use_native()
        self._data, self._position = unread, 0

    def _skip(self, size: int) -> None:
        if self._partial:
            del self._partial[:size]
        else:
            self._position += size

    def _next_packet(self) -> bytes | None:
        if self._partial:
            length = self._length(self._partial, self._max_packet)
            if not length or len(self._partial) < length:
                return None
            # what follows this packet goes back to the fast path below
            self._data, self._position = bytes(self._partial), 0
            self._partial = bytearray()
        data, position = self._data, self._position
        if position == len(data):
            return None
        length = self._length(data[position : position + 4], self._max_packet)
        if not length or len(data) - position < length:
            return None
        self._position = position + length
        self.size = length
        return data if length == len(data) else data[position : position + length]
