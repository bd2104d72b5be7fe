"""The native dialect as the core sees it, and what any dialect has to do. Sans-IO.

A dialect turns a method with its plain params into bytes, and bytes into what they say about which request. The CTDB
dialect is in `ctdb.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from ctdb_event.framing import Splitter, read_frame
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.packet import DEFAULT_MAX_REPLY

__all__ = ["Dialect", "NativeDialect", "Said"]

Said = tuple[str, Any, Any, Any]
"""`("note", kind, number, data)`, `("result", value, None, None)` or `("error", code, message, data)`."""


class Dialect(Protocol):
    """One connection's encoder and decoder."""

    name: str
    """`native` or `ctdb`."""
    greeting: bytes
    """What is sent before the first request."""
    cancels: bool
    """A request that is under way can be taken back."""

    def ask(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
        """Says a request.

        Raises:
            NotSupported, InvalidRequest, LocalProtocolError: It can't be said; nothing is to be sent.
        """

    def take(self, pieces: Iterable[bytes]) -> bool:
        """Takes the next bytes from the broker, as `Splitter.take` does."""

    def hear(self, send: Callable[[bytes], None]) -> Iterator[list[tuple[int, Said]]]:
        """Yields what the bytes that came say about which request, each as the one item of a list.

        What is yielded counts as heard when the next is asked for, or when its list is emptied. If it doesn't come to
        that (an interruption), the next call yields it again.

        Args:
            send: Called with bytes that have to be sent before more can be said about a request.

        Raises:
            RemoteProtocolError: They aren't this dialect; the stream can't be read on.
        """

    def last_words(self) -> Iterable[tuple[int, Said]]:
        """Takes the end of the connection, and returns what is known all the same about which request."""


class NativeDialect:
    """One connection in the native dialect."""

    name = "native"
    greeting = frames.PREFACE
    cancels = True

    def __init__(self) -> None:
        self._frames = Splitter(frames.frame_length, DEFAULT_MAX_REPLY, read_frame)
        self.take = self._frames.take

    def ask(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
        """Says a request; everything can be said that msgpack can."""
        return frames.request(request_id, method, params)

    def hear(self, send: Callable[[bytes], None]) -> Iterator[list[tuple[int, Said]]]:
        """Yields what came; never has to send anything for it."""
        while (hand := self._frames.next()) is not None:
            yield hand
            hand.clear()

    def last_words(self) -> Iterable[tuple[int, Said]]:
        """Returns nothing: what has not been answered is unknown."""
        return ()
