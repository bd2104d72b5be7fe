"""What both clients share of the stream: cutting it into whole frames or packets, and what a native frame says.

Sans-IO and cheap to import: no more than the grammar of the protocol.

A signal handler may raise (KeyboardInterrupt) between any two steps of the blocking clients, and they go on afterwards.
So what has come moves from the kernel to whoever waits for it in steps each of which the interpreter makes as a whole:
a call of C code that calls nothing else, or one assignment. Handlers run between such steps only, and whatever they
find half done is begun again. tests/clients/test_interruptions.py stops at every one.
"""

from __future__ import annotations

from io import SEEK_END, BytesIO

from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.protocol import frames
from ctdb_eventd.text import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["Splitter", "move", "read_frame"]

_LENGTH_SIZE = 4
# Used bytes are thrown away when there are so many of them, and as many as unused ones.
_USED_ENOUGH = 1 << 20


class Splitter:
    """Cuts a stream into whole frames or packets, whatever pieces it comes in."""

    __slots__ = ("_length_of", "_limit", "_read", "_state")

    def __init__(self, length_of: Callable[[bytes, int], int], limit: int, read: Callable[[bytes], Any]) -> None:
        """Starts at the beginning of a stream.

        Args:
            length_of: Reads a whole length from the first bytes, 0 if there are too few; raises over the limit.
            limit: Most bytes of one whole.
            read: Makes of a whole what `next` returns. Pure, as it may have to be called again.
        """
        self._length_of = length_of
        self._limit = limit
        self._read = read
        # what came, how much of it was used, and what was made of the last; always replaced together
        self._state: tuple[BytesIO, int, list[Any]] = (BytesIO(), 0, [])

    def take(self, pieces: Iterable[bytes]) -> bool:
        """Takes the next bytes; False if there are none.

        Args:
            pieces: Is iterated by C code, so an iterator that is C code too can take bytes from elsewhere, and none
                is lost on the way.
        """
        data = self._state[0]
        before = data.seek(0, SEEK_END)
        data.writelines(pieces)
        return data.tell() > before

    def next(self) -> list[Any] | None:
        """Returns what the next whole says as the one item of a list, None if more bytes are needed first.

        Whoever takes it empties the list when that is done. Until then it is the same list.

        Raises:
            RemoteProtocolError: Its length or what it says can't be; the stream can't be read on.
        """
        data, used, hand = self._state
        if hand:
            return hand
        data.seek(used)
        length = self._length_of(data.read(_LENGTH_SIZE), self._limit)
        end = used + length
        if not length or data.seek(0, SEEK_END) < end:
            return None
        data.seek(used)
        hand = [self._read(data.read(length))]
        self._state = (*self._unused(data, end), hand)
        return hand

    def _unused(self, data: BytesIO, used: int) -> tuple[BytesIO, int]:
        size = data.seek(0, SEEK_END)
        if used < size and (used < _USED_ENOUGH or used < size - used):
            return data, used
        data.seek(used)
        return BytesIO(data.read()), 0


def move(hand: list[T], to: deque[T]) -> None:
    """Moves what is in hand behind the others: in one step, so that it is never in both places, nor in none."""
    to.extend(map(hand.pop, (0,) * len(hand)))


def read_frame(whole: bytes) -> tuple[int, tuple[str, Any, Any, Any]]:
    """Reads what a broker says in one frame.

    Returns:
        The request's id, and one of `("note", kind, number, data)`, `("result", value, None, None)` and
        `("error", code, message, data)`.

    Raises:
        RemoteProtocolError: It says none of these.
    """
    request_id, content = frames.unpack(whole)
    if "note" in content:
        said = ("note", content["note"], content.get("number"), content.get("data"))
        right = isinstance(said[1], str) and isinstance(said[2], int) and isinstance(said[3], dict)
    elif "error" in content:
        error = content["error"] if isinstance(content["error"], dict) else {}
        said = ("error", error.get("code"), error.get("message"), error.get("data") or {})
        right = isinstance(said[1], str) and isinstance(said[2], str) and isinstance(said[3], dict)
    else:
        said, right = ("result", content.get("result"), None, None), "result" in content
    if not right:
        raise RemoteProtocolError(f"frame {shown(content)} is no reply, error or note")
    return request_id, said
