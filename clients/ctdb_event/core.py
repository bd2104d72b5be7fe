"""The client side of one connection, without I/O: queues requests, and puts incoming messages into their mailboxes.

receive:   receive_data(bytes), receive_eof()
send:      write what data_to_send() returns
requests:  start(method, params) returns a mailbox, abandon(mailbox) cancels the request

Values are plain; the clients decode them. It uses no socket, no clock and no event loop, and is cheap to import, since
the commands use it too.
"""

from __future__ import annotations

from collections import deque

from ctdb_event.errors import InvalidRequest
from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.protocol.packet import MAX_U32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ctdb_event.dialects import Dialect, Incoming

    Note = tuple[str, int, dict[str, Any]]
    """Kind, number, data."""
    Refusal = tuple[str, str, Mapping[str, Any]]
    """Code, message, data."""

__all__ = ["Core", "Mailbox"]

MAX_ID = MAX_U32
"""The largest request id that both dialects can encode."""
_CANCELLABLE = frozenset({"run", "lock", "subscribe"})
# Bytes that a mailbox keeps for a slow consumer: a few thousand updates, or the full output of a few scripts.
_MAX_WEIGHT = 4 << 20
_NOTE_WEIGHT = 512


class Mailbox:
    """The incoming messages about one request that were not taken yet.

    Attributes:
        request_id: Identifies the request on this connection.
        method: The request's method.
        answered: The answer has arrived, or the connection has ended.
        value: The result; None before the answer, and if there is no result.
        refusal: Code, message and data of the error that is the answer.
        lost: The connection ended before the answer.
    """

    __slots__ = (
        *("_gap", "_notes", "_notify", "_weight"),
        *("answered", "lost", "method", "refusal", "request_id", "value"),
    )

    def __init__(self, request_id: int, method: str, notify: Callable[[], None]) -> None:
        """Starts empty; `notify` is called after each change."""
        self.request_id = request_id
        self.method = method
        self.answered = False
        self.value: Any = None
        self.refusal: Refusal | None = None
        self.lost = False
        self._notify = notify
        self._notes: deque[Note] = deque()
        self._weight = 0
        self._gap: Note | None = None

    def put(self, note: Note) -> None:
        """Adds a note. If there are too many, the oldest are dropped: the newest describe the present state."""
        self._notes.append(note)
        self._weight += _weight(note)
        while self._weight > _MAX_WEIGHT and len(self._notes) > 1:
            self._drop()
        self._notify()

    def _drop(self) -> None:
        kind, number, data = self._take_first()
        lost = self._gap[2]["lost"] if self._gap is not None else 0
        here = data["lost"] if kind == "gap" and isinstance(data.get("lost"), int) else 1
        self._gap = ("gap", number, {"time": data.get("time"), "lost": lost + here})

    def _take_first(self) -> Note:
        note = self._notes.popleft()
        self._weight -= _weight(note)
        return note

    def settle(self, value: Any = None, refusal: Refusal | None = None, *, lost: bool = False) -> None:
        """Stores the answer. Idempotent."""
        if self.answered:
            return
        self.answered, self.value, self.refusal, self.lost = True, value, refusal, lost
        self._notify()

    @property
    def waiting(self) -> bool:
        """Whether there is a note to take."""
        return bool(self._notes) or self._gap is not None

    def take(self) -> Note | None:
        """Returns the oldest note, or a gap in place of those that were dropped; None if there is none."""
        if self._gap is not None:
            gap, self._gap = self._gap, None
            return gap
        return self._take_first() if self._notes else None


def _weight(note: Note) -> int:
    output = note[2].get("output")
    return _NOTE_WEIGHT + (len(output) if isinstance(output, bytes) else 0)


def _ignore() -> None:
    """No request is pending."""


class Core:
    """The requests of one connection.

    Attributes:
        path: The broker's socket, for messages.
        dialect: Name of the dialect that is spoken.
        received_any: The broker has sent at least one valid message.
        ended: Why the connection can't be used any more; None while it can.
        closed_by_peer: The broker closed it.
        protocol_error: The broker's data that could not be decoded, which ended the connection.
        limit: Maximum bytes of a request, None if that isn't known.
        unsent: How many bytes `data_to_send` would return.
    """

    def __init__(self, path: str, dialect: Dialect) -> None:
        """Queues the dialect's greeting."""
        self.path = path
        self.dialect = dialect.name
        self.received_any = False
        self.ended: str | None = None
        self.closed_by_peer = False
        self.protocol_error: RemoteProtocolError | None = None
        self.limit: int | None = None
        self.unsent = 0
        self._dialect = dialect
        self._outgoing: list[bytes] = []
        self._queue(dialect.greeting)
        self._last = 0
        self._mailboxes: dict[int, Mailbox] = {}
        # ids of requests whose answers will be dropped → their methods
        self._abandoned: dict[int, str] = {}

    def data_to_send(self) -> bytes:
        """Returns the queued bytes, all of which have to be written, in order; empties the queue."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        self.unsent = 0
        return data

    def _queue(self, data: bytes) -> None:
        self.unsent += len(data)
        self._outgoing.append(data)

    def start(self, method: str, params: Mapping[str, Any], notify: Callable[[], None] = _ignore) -> Mailbox:
        """Queues a request and returns its mailbox, which is `lost` at once if the connection has ended.

        Raises:
            NotSupported, InvalidRequest: It can't be encoded. Nothing will be sent.
        """
        request_id, data = self._encode(method, params)
        mailbox = Mailbox(request_id, method, notify)
        if self.ended is not None:
            mailbox.settle(lost=True)
        else:
            self._mailboxes[request_id] = mailbox
            self._queue(data)
        return mailbox

    def abandon(self, mailbox: Mailbox) -> None:
        """Cancels a request: its run, its wait for locks or its subscription ends; locks that it got are released."""
        if mailbox.answered:
            self._give_back(mailbox.method, mailbox.value)
        elif self._mailboxes.pop(mailbox.request_id, None) is not None:
            self._abandoned[mailbox.request_id] = mailbox.method
            if self._dialect.cancels and mailbox.method in _CANCELLABLE:
                self._post("cancel", {"call": mailbox.request_id})

    def receive_data(self, data: bytes) -> None:
        """Decodes bytes from the broker, and puts the messages into the mailboxes."""
        if self.ended is not None:
            return
        try:
            for request_id, incoming in self._dialect.receive_data(data, self._queue):
                self.received_any = True
                self._route(request_id, incoming)
        except RemoteProtocolError as error:
            self.protocol_error = error
            self.end(f"what answers there violates the {self.dialect} dialect: {error}")

    def receive_eof(self) -> None:
        """Records that the broker closed the connection."""
        if self.ended is None:
            self.closed_by_peer = True
            self.end("the broker closed it")

    def end(self, reason: str, refusal: Refusal | None = None) -> None:
        """Ends the connection: pending requests fail, and no further one can be made. Idempotent.

        Args:
            reason: Why, for messages.
            refusal: The answer to pending requests; by default they are `lost`.
        """
        if self.ended is not None:
            return
        self.ended = reason
        self.data_to_send()
        for request_id, incoming in self._dialect.receive_eof():
            self._route(request_id, incoming)
        mailboxes, self._mailboxes = self._mailboxes, {}
        for mailbox in mailboxes.values():
            mailbox.settle(refusal=refusal, lost=refusal is None)

    def _encode(self, method: str, params: Mapping[str, Any]) -> tuple[int, bytes]:
        request_id = self._next_id()
        try:
            data = self._dialect.encode(request_id, method, params)
        except LocalProtocolError as error:
            raise InvalidRequest("EINVAL", str(error)) from None
        if self.limit is not None and len(data) > self.limit:
            expected = f"the broker accepts {self.limit}: [eventd] max packet in its configuration"
            raise InvalidRequest("EMSGSIZE", f"{method} takes {len(data)} bytes, {expected}")
        return request_id, data

    def _next_id(self) -> int:
        self._last = self._last % MAX_ID + 1
        while self._last in self._mailboxes or self._last in self._abandoned:
            self._last = self._last % MAX_ID + 1
        return self._last

    def _post(self, method: str, params: Mapping[str, Any]) -> None:
        """Queues a request whose answer is dropped."""
        if self.ended is None:
            request_id, data = self._encode(method, params)
            self._abandoned[request_id] = method
            self._queue(data)

    def _give_back(self, method: str, value: Any) -> None:
        if method == "lock" and isinstance(value, dict) and "lock" in value:
            self._post("unlock", {"lock": value["lock"]})

    def _route(self, request_id: int, incoming: Incoming) -> None:
        what, first, second, third = incoming
        if what == "note":
            mailbox = self._mailboxes.get(request_id)
            if mailbox is not None:
                mailbox.put((first, second, third))
            return
        refusal = (first, second, third) if what == "error" else None
        value = first if refusal is None else None
        mailbox = self._mailboxes.pop(request_id, None)
        if mailbox is not None:
            mailbox.settle(value, refusal)
        elif request_id in self._abandoned:
            self._give_back(self._abandoned.pop(request_id), value)
        elif request_id == 0 and refusal is not None:
            # about the connection: no request has this id
            self.end(f"the broker refused it: {second}", refusal)
