"""One end of a connection: cuts the stream into packets and turns them into messages. Sans-IO.

feed it:   receive_data(bytes), receive_eof()
ask it:    next_message() until it returns None
send:      write what encode(reqid, message) returns
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.protocol import ctdb, packet
from ctdb_eventd.protocol.messages import Message, Reply, Request

__all__ = ["Connection", "broker_connection", "client_connection"]

M = TypeVar("M", Request, Reply)


def broker_connection(max_packet: int = packet.DEFAULT_MAX_REQUEST) -> Connection[Request]:
    """Returns the broker's end, which reads requests of at most `max_packet` bytes."""
    return Connection(ctdb.decode_request, max_packet)


def client_connection(max_packet: int = packet.DEFAULT_MAX_REPLY) -> Connection[Reply]:
    """Returns a client's end, which reads replies of at most `max_packet` bytes."""
    return Connection(ctdb.decode_reply, max_packet)


class Connection(Generic[M]):
    """Protocol state of one connection; get one from `broker_connection` or `client_connection`.

    After a RemoteProtocolError the stream can't be read on, as nobody knows where the next packet starts: the same
    error is raised again and again, and the owner closes.
    """

    def __init__(self, decode: Callable[[bytes], tuple[int, M]], max_packet: int) -> None:
        """Starts a connection whose peer's packets are decoded by `decode`."""
        self._decode: Callable[[bytes], tuple[int, M]] = decode
        self._max_packet = max_packet
        self._data = b""
        self._position = 0
        # Holds a packet that came in pieces; a bytearray grows in place, so that a peer which sends byte by byte
        # costs linear and not quadratic work.
        self._partial = bytearray()
        self._error: RemoteProtocolError | None = None

    def receive_data(self, data: bytes) -> None:
        """Takes bytes from the peer. Only stores them: call `next_message` until it returns None, then come back."""
        if self._partial:
            self._partial += data
        elif self._position < len(self._data):
            self._partial += self._data[self._position :]
            self._partial += data
            self._data, self._position = b"", 0
        else:
            self._data, self._position = data, 0

    def receive_eof(self) -> None:
        """Takes the end of the stream.

        Raises:
            RemoteProtocolError: It ended inside a packet.
        """
        left = len(self._partial) + len(self._data) - self._position
        if left:
            raise RemoteProtocolError(f"connection ended inside a packet, after {left} bytes of it")

    def next_message(self) -> tuple[int, M] | None:
        """Returns the next whole message with its request id, None if more bytes are needed first.

        Raises:
            RemoteProtocolError: What came isn't the protocol. The length is checked as soon as its four bytes are
                there, before anything is kept for the rest.
        """
        if self._error is not None:
            raise self._error
        try:
            data = self._next_packet()
            return None if data is None else self._decode(data)
        except RemoteProtocolError as error:
            self._error = error
            raise

    def encode(self, reqid: int, message: Message) -> bytes:
        """Returns the bytes that say `message` about the request `reqid`; write them whole and in order.

        Raises:
            LocalProtocolError: The message can't be said in this dialect.
        """
        return ctdb.encode(reqid, message)

    def _next_packet(self) -> bytes | None:
        if self._partial:
            length = packet.packet_length(self._partial, self._max_packet)
            if not length or len(self._partial) < length:
                return None
            # what follows this packet goes back to the fast path below
            self._data, self._position = bytes(self._partial), 0
            self._partial = bytearray()
        data, position = self._data, self._position
        if position == len(data):
            return None
        length = packet.packet_length(data[position : position + 4], self._max_packet)
        if not length or len(data) - position < length:
            return None
        self._position = position + length
        return data if length == len(data) else data[position : position + length]
