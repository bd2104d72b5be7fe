"""One connection's client side, without I/O: says requests, and puts what comes into the mailbox of the right one.

Both clients are shells around it: they write what `take_outgoing` returns, feed `receive`, and wait for mailboxes.
It knows no socket, no clock and no event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ctdb_event.ctdb import MAX_ID
from ctdb_event.dialects import Dialect
from ctdb_event.errors import BrokerError, InvalidRequest
from ctdb_event.failures import connection_lost, failure
from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["Core", "Mailbox"]

_CANCELLABLE = frozenset({"run", "lock", "subscribe"})
# What a slow consumer may leave untaken: a few thousand updates, or the full output of a few scripts.
_ROOM = 4 << 20
_WEIGHT_OF_A_NOTE = 512

Note = tuple[str, int, dict[str, Any]]
"""Kind, number, data."""


class Mailbox:
    """What has come about one request and was not taken yet.

    Attributes:
        request_id: Names it on this connection.
        method: What was asked for.
        answered: The answer, or the end of the connection, has come.
        value: The plain result, None until it has come and if it was refused.
    """

    __slots__ = ("_failure", "_lost", "_notes", "_notify", "_weight", "answered", "method", "request_id", "value")

    def __init__(self, request_id: int, method: str, notify: Callable[[], None]) -> None:
        """Empty; `notify` is called whenever something comes."""
        self.request_id = request_id
        self.method = method
        self.answered = False
        self._notify = notify
        self._notes: deque[Note] = deque()
        self._weight = 0
        self._lost: Note | None = None
        self.value: Any = None
        self._failure: BrokerError | None = None

    def put(self, note: Note) -> None:
        """Takes in a note. If there is no room, the oldest are left out: the newest say how things stand."""
        self._notes.append(note)
        self._weight += _weight(note)
        while self._weight > _ROOM and len(self._notes) > 1:
            self._drop()
        self._notify()

    def _drop(self) -> None:
        kind, number, data = note = self._notes.popleft()
        self._weight -= _weight(note)
        lost = self._lost[2]["lost"] if self._lost is not None else 0
        here = data["lost"] if kind == "gap" and isinstance(data.get("lost"), int) else 1
        self._lost = ("gap", number, {"time": data.get("time"), "lost": lost + here})

    def settle(self, value: Any, problem: BrokerError | None) -> None:
        """Takes in the answer."""
        self.answered = True
        self.value = value
        self._failure = problem
        self._notify()

    @property
    def waiting(self) -> bool:
        """Tells whether there is a note to take."""
        return bool(self._notes) or self._lost is not None

    def take(self) -> Note | None:
        """Returns the oldest note, a gap in place of those that were left out; None if there is none."""
        if self._lost is not None:
            gap, self._lost = self._lost, None
            return gap
        if not self._notes:
            return None
        note = self._notes.popleft()
        self._weight -= _weight(note)
        return note

    def result(self) -> Any:
        """Returns the plain result of a request that was answered and not refused.

        Raises:
            BrokerError: It was refused, or the connection ended.
        """
        if self._failure is not None:
            raise self._failure
        return self.value


def _weight(note: Note) -> int:
    output = note[2].get("output")
    return _WEIGHT_OF_A_NOTE + (len(output) if isinstance(output, bytes) else 0)


def _ignore() -> None:
    """Nobody waits."""


class Core:
    """The requests of one connection.

    Attributes:
        dialect: Name of the dialect that is spoken.
        heard: The broker said something that could be understood.
        ended: Why the connection can't be used any more; None while it can.
        closed_by_peer: The broker ended it.
        limit: Most bytes of a request, None if that isn't known.
        unsent: How many bytes `take_outgoing` would return.
    """

    def __init__(self, path: str, dialect: Dialect) -> None:
        """Starts a connection; `path` is for messages."""
        self.path = path
        self.dialect = dialect.name
        self.heard = False
        self.ended: str | None = None
        self.closed_by_peer = False
        self.limit: int | None = None
        self._dialect = dialect
        self.unsent = 0
        self._outgoing: list[bytes] = []
        self._queue(dialect.greeting)
        self._last = 0
        self._mailboxes: dict[int, Mailbox] = {}
        # requests whose answer nobody waits for any more, and what they were
        self._abandoned: dict[int, str] = {}

    def take_outgoing(self) -> bytes:
        """Returns what is to be written, whole and in order."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        self.unsent = 0
        return data

    def _queue(self, data: bytes) -> None:
        self._outgoing.append(data)
        self.unsent += len(data)

    def start(self, method: str, params: Mapping[str, Any], notify: Callable[[], None] = _ignore) -> Mailbox:
        """Says a request, and returns the mailbox for what comes of it.

        Raises:
            BrokerUnavailable: The connection has ended.
            NotSupported, InvalidRequest: It can't be said. Nothing will be sent.
        """
        if self.ended is not None:
            raise connection_lost(self.path, self.ended, None)
        mailbox = Mailbox(self._say(method, params), method, notify)
        self._mailboxes[mailbox.request_id] = mailbox
        return mailbox

    def abandon(self, mailbox: Mailbox) -> None:
        """Takes a request back: its run, its wait for locks or its subscription ends, and locks are given back."""
        if mailbox.answered:
            self._give_back(mailbox.method, mailbox.value)
        elif self._mailboxes.pop(mailbox.request_id, None) is not None:
            self._abandoned[mailbox.request_id] = mailbox.method
            if self._dialect.cancels and mailbox.method in _CANCELLABLE:
                self._post("cancel", {"call": mailbox.request_id})

    def receive(self, data: bytes) -> None:
        """Takes bytes from the broker; none is the end of the connection."""
        if self.ended is not None:
            return
        if not data:
            self.closed_by_peer = True
            self.end("the broker closed it")
            return
        try:
            for request_id, said in self._dialect.hear(data, self._queue):
                self.heard = True
                self._route(request_id, *said)
        except RemoteProtocolError as error:
            self.end(f"what answers there does not keep to the {self.dialect} dialect: {error}")

    def end(self, reason: str, problem: Callable[[], BrokerError] | None = None) -> None:
        """Ends the connection: every request that is under way fails, and no further one can be made.

        Args:
            reason: Why, for those that try.
            problem: Makes the exception for those that are under way; by default it tells the reason.
        """
        if self.ended is not None:
            return
        self.ended = reason
        self.take_outgoing()
        for request_id, said in self._dialect.last_words():
            self._route(request_id, *said)
        mailboxes, self._mailboxes = self._mailboxes, {}
        for mailbox in mailboxes.values():
            mailbox.settle(None, problem() if problem else connection_lost(self.path, reason, mailbox.method))

    def _say(self, method: str, params: Mapping[str, Any]) -> int:
        request_id = self._next_id()
        try:
            data = self._dialect.ask(request_id, method, params)
        except LocalProtocolError as error:
            raise InvalidRequest("EINVAL", str(error)) from None
        if self.limit is not None and len(data) > self.limit:
            expected = f"the broker accepts {self.limit}: [eventd] max packet in its configuration"
            raise InvalidRequest("EMSGSIZE", f"{method} takes {len(data)} bytes, {expected}")
        self._queue(data)
        return request_id

    def _next_id(self) -> int:
        self._last = self._last % MAX_ID + 1
        while self._last in self._mailboxes or self._last in self._abandoned:
            self._last = self._last % MAX_ID + 1
        return self._last

    def _post(self, method: str, params: Mapping[str, Any]) -> None:
        """Says a request whose answer nobody waits for."""
        if self.ended is None:
            self._abandoned[self._say(method, params)] = method

    def _give_back(self, method: str, value: Any) -> None:
        if method == "lock" and isinstance(value, dict) and "lock" in value:
            self._post("unlock", {"lock": value["lock"]})

    def _route(self, request_id: int, what: str, first: Any, second: Any, third: Any) -> None:
        mailbox = self._mailboxes.get(request_id)
        if what == "note":
            if mailbox is not None:
                mailbox.put((first, second, third))
        elif mailbox is not None:
            del self._mailboxes[request_id]
            problem = failure(first, second, third) if what == "error" else None
            mailbox.settle(first if problem is None else None, problem)
        elif request_id in self._abandoned:
            self._give_back(self._abandoned.pop(request_id), first)
        elif request_id == 0 and what == "error":
            # about the connection: no request has this id
            self.end(f"the broker refused it: {second}", lambda: failure(first, second, third))
