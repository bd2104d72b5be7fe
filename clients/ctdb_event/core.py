"""One connection's client side, without I/O: says requests, and puts what comes into the mailbox of the right one.

Both clients are shells around it: they write what `take_outgoing` returns, feed `receive`, and wait for mailboxes.
It knows no socket, no clock and no event loop. On the blocking client an interruption may come at any point: what is
heard is put away in steps that can be made again, see framing.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ctdb_event.ctdb import MAX_ID
from ctdb_event.dialects import Dialect, Said
from ctdb_event.errors import BrokerError, InvalidRequest
from ctdb_event.failures import connection_lost, failure
from ctdb_event.framing import move
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
        self._notes: deque[tuple[int, Said]] = deque()
        self._weight = 0
        self._lost: Note | None = None
        self.value: Any = None
        self._failure: BrokerError | None = None

    def put(self, hand: list[tuple[int, Said]]) -> None:
        """Takes in the note in hand. If there is no room, the oldest are left out: the newest say how things stand."""
        weight = _weight(hand[0])
        move(hand, self._notes)
        self._weight += weight
        while self._weight > _ROOM and len(self._notes) > 1:
            self._drop()
        self._notify()

    def _drop(self) -> None:
        _, (_, kind, number, data) = self._notes[0]
        lost = self._lost[2]["lost"] if self._lost is not None else 0
        here = data["lost"] if kind == "gap" and isinstance(data.get("lost"), int) else 1
        gap = ("gap", number, {"time": data.get("time"), "lost": lost + here})
        self._take_first()
        self._lost = gap

    def _take_first(self) -> Note:
        _, (_, kind, number, data) = first = self._notes[0]
        weight = self._weight - _weight(first)
        del self._notes[0]  # not by a call, behind which a signal handler could still run
        # what an interruption made wrong is set right here
        self._weight = weight if self._notes else 0
        return kind, number, data

    def settle(self, value: Any, problem: BrokerError | None) -> None:
        """Takes in the answer. Once more it changes nothing."""
        if self.answered:
            return
        self.value = value
        self._failure = problem
        self.answered = True  # the last, as nobody looks at the others before
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
        return self._take_first() if self._notes else None

    def result(self) -> Any:
        """Returns the plain result of a request that was answered and not refused.

        Raises:
            BrokerError: It was refused, or the connection ended.
        """
        if self._failure is not None:
            raise self._failure
        return self.value


def _weight(note: tuple[int, Said]) -> int:
    output = note[1][3].get("output")
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
        self._problem: Callable[[], BrokerError] | None = None
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
        self.unsent += len(data)
        self._outgoing.append(data)

    def start(self, method: str, params: Mapping[str, Any], notify: Callable[[], None] = _ignore) -> Mailbox:
        """Says a request, and returns the mailbox for what comes of it.

        Raises:
            BrokerUnavailable: The connection has ended.
            NotSupported, InvalidRequest: It can't be said. Nothing will be sent.
        """
        if self.ended is not None:
            raise connection_lost(self.path, self.ended, None)
        request_id, data = self._say(method, params)
        mailbox = self._mailboxes[request_id] = Mailbox(request_id, method, notify)
        try:
            self._queue(data)
        except BaseException:  # interrupted: nobody gets the mailbox
            self.abandon(mailbox)
            raise
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
        """Takes bytes from the broker, and what they say; none is the end of the connection."""
        if self.take((data,)):
            self.hear()
        else:
            self.hung_up()

    def take(self, pieces: Iterable[bytes]) -> bool:
        """Takes bytes from the broker; False if there are none. `hear` makes something of them."""
        return self._dialect.take(pieces)

    def hung_up(self) -> None:
        """Takes note that the broker ended the connection."""
        if self.ended is None:
            self.closed_by_peer = True
        self.end("the broker closed it")

    def hear(self) -> None:
        """Puts what came into the mailboxes. Interrupted, it goes on where it was at the next call."""
        if self.ended is not None:
            self.end(self.ended)
            return
        try:
            for hand in self._dialect.hear(self._queue):
                self.heard = True
                self._route(hand)
        except RemoteProtocolError as error:
            self.end(f"what answers there does not keep to the {self.dialect} dialect: {error}")

    def end(self, reason: str, problem: Callable[[], BrokerError] | None = None) -> None:
        """Ends the connection: every request that is under way fails, and no further one can be made.

        Once more it changes nothing, but completes what was interrupted.

        Args:
            reason: Why, for those that try.
            problem: Makes the exception for those that are under way; by default it tells the reason.
        """
        if self.ended is None:
            self._problem = problem
            self.ended = reason
        self.take_outgoing()
        for said in self._dialect.last_words():
            self._route([said])
        for mailbox in list(self._mailboxes.values()):
            lost = self._problem() if self._problem else connection_lost(self.path, self.ended, mailbox.method)
            mailbox.settle(None, lost)
            self._mailboxes.pop(mailbox.request_id, None)

    def _say(self, method: str, params: Mapping[str, Any]) -> tuple[int, bytes]:
        request_id = self._next_id()
        try:
            data = self._dialect.ask(request_id, method, params)
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
        """Says a request whose answer nobody waits for."""
        if self.ended is None:
            request_id, data = self._say(method, params)
            self._abandoned[request_id] = method
            self._queue(data)

    def _give_back(self, method: str, value: Any) -> None:
        if method == "lock" and isinstance(value, dict) and "lock" in value:
            self._post("unlock", {"lock": value["lock"]})

    def _route(self, hand: list[tuple[int, Said]]) -> None:
        """Puts what is in hand where it belongs. All but a note may be routed once more, with the same effect."""
        request_id, (what, first, second, third) = hand[0]
        mailbox = self._mailboxes.get(request_id)
        if what == "note":
            if mailbox is not None:
                mailbox.put(hand)
        elif mailbox is not None:
            problem = failure(first, second, third) if what == "error" else None
            mailbox.settle(first if problem is None else None, problem)
            self._mailboxes.pop(request_id, None)
        elif request_id in self._abandoned:
            self._give_back(self._abandoned[request_id], first)
            self._abandoned.pop(request_id, None)
        elif request_id == 0 and what == "error":
            # about the connection: no request has this id
            self.end(f"the broker refused it: {second}", lambda: failure(first, second, third))
