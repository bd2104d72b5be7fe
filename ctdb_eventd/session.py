"""One client: its socket, its protocol state, its requests in flight.

The session is the only one that writes to its socket, and it feeds the parser in the same step in which it reads, so
nothing that is cancelled can put the stream out of step. It works in callbacks and not in a task: a request that can
be answered at once is answered before anything else gets the processor.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ctdb_eventd.dispatcher.peer import Cancellable, Peer
from ctdb_eventd.dispatcher.requests import Dispatcher
from ctdb_eventd.errors import LocalProtocolError, RemoteProtocolError
from ctdb_eventd.protocol.connection import Connection
from ctdb_eventd.protocol.messages import Call, Note, Notes, Reply, Request, RunRequest
from ctdb_eventd.traffic import MOST_HELD, MOST_IN_FLIGHT, MOST_UNSENT_NOTES, MOST_UNSENT_OF_USER, Traffic

if TYPE_CHECKING:
    from ctdb_eventd.handover import SavedCall, SavedClient

__all__ = ["Session"]

_log = logging.getLogger(__name__)

_READ_SIZE = 1 << 14
_MOST_UNSENT = 1 << 20
"""Bytes of unsent replies from which on no more requests of the client are read."""
_MOST_KEPT = 32 << 20
"""Bytes of unsent replies, those of requests read before included, at which the connection is closed."""
_HANGUP_INTERVAL = 1.0
"""Seconds between two checks whether a client whose requests are not read has disconnected."""


class _Call:
    """A request that was read, and whether it was answered. Compared by identity: two requests may be equal."""

    __slots__ = ("_session", "answered", "arrived", "last_lost", "lost", "reqid", "request", "size")

    def __init__(self, session: Session, reqid: int, request: Request, size: int) -> None:
        self._session = session
        self.reqid = reqid
        self.request = request
        self.size = size
        self.arrived = time.monotonic()
        self.answered = False
        self.lost = 0  # notes left out since the last one that was sent, and the last of them
        self.last_lost: Note | None = None

    def reply(self, message: Reply) -> None:
        if type(message) is Notes:
            self._session.notify(self, message)
            return
        self.answered = True
        self._session.answer(self, message)


class Session:
    """Serves one client until it goes, breaks the protocol, or the server closes."""

    def __init__(
        self,
        client: socket.socket,
        dispatcher: Dispatcher,
        traffic: Traffic,
        peer: Peer,
        *,
        max_packet: int,
        on_close: Callable[[Session], None],
    ) -> None:
        """Starts serving at once; `client` is a non-blocking socket, which the session closes."""
        self._socket = client
        self._fd = client.fileno()
        self._loop = asyncio.get_running_loop()
        self._connection = Connection(max_packet)
        self._dispatcher = dispatcher
        self._traffic = traffic
        self._on_close = on_close
        self._in_flight: dict[_Call, Cancellable | None] = {}
        self._held = 0
        """Bytes of the requests in flight."""
        self._unsent = bytearray()
        self._closed = self._reading = False
        self._hangup_timer: asyncio.TimerHandle | None = None
        self.peer = peer
        self.name = f"client {peer.pid} (uid {peer.uid})"
        self._set_reading(True)

    def close(self) -> None:
        """Closes the connection and cancels the client's requests, started runs included. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._set_reading(False)
        self._loop.remove_writer(self._fd)
        if self._hangup_timer is not None:
            self._hangup_timer.cancel()
        self._socket.close()
        self._drop_unsent(len(self._unsent))
        in_flight, self._in_flight = self._in_flight, {}
        # The latest first: cancelling the running one first would start the next, only to cancel it too.
        for job in reversed(in_flight.values()):
            if job is not None:
                job.cancel()
        self.peer.release_locks()
        self._on_close(self)

    # ------------------------------------------------------------------ reading

    def _set_reading(self, reading: bool) -> None:
        self._reading = reading
        if reading:
            self._loop.add_reader(self._fd, self._on_readable)
        else:
            self._loop.remove_reader(self._fd)

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            _log.info("%s: connection lost: %s", self.name, error.strerror)
            self.close()
            return
        if data:
            self._connection.receive_data(data)
            self._serve_or_close()
            return
        try:
            self._connection.receive_eof()
        except RemoteProtocolError as error:
            _log.warning("%s: %s", self.name, error, extra={"seldom": self.peer.uid})
        self.close()

    def _serve_or_close(self) -> None:
        try:
            self._serve()
        except RemoteProtocolError as error:
            text = "%s: invalid packet, connection closed: %s"
            _log.warning(text, self.name, error, extra={"seldom": self.peer.uid})
            closing_message = self._connection.closing_message()
            if closing_message and not self._unsent:
                self._write(closing_message)
            self.close()
        except Exception:
            # whatever the bug is, the client must not wait for ever
            _log.exception("%s: this is a bug in ctdb-eventd, please report it; connection closed", self.name)
            self.close()

    def _serve(self) -> None:
        """Handles the complete requests, until there are none or the client has too many in progress."""
        next_message = self._connection.next_message
        while (received := next_message()) is not None:
            self._carry_out(*received)
            if self._closed:
                return
            if not self._has_room():
                self._set_reading(False)
                self._schedule_hangup_check()
                return
        if not self._reading:
            self._set_reading(True)

    def _resume(self) -> None:
        if not self._closed and not self._reading and self._has_room():
            self._serve_or_close()

    def _schedule_hangup_check(self) -> None:
        """Starts a timer that checks whether the client has disconnected: nothing is read, which would show it."""
        if self._hangup_timer is None:
            self._hangup_timer = self._loop.call_later(_HANGUP_INTERVAL, self._check_hangup)

    def _check_hangup(self) -> None:
        self._hangup_timer = None
        if self._reading:
            return
        look = select.poll()
        look.register(self._fd, select.POLLRDHUP)
        if look.poll(0):
            _log.info("%s: disconnected with %d requests in progress", self.name, len(self._in_flight))
            self.close()
        else:
            self._schedule_hangup_check()

    def _has_room(self) -> bool:
        return len(self._unsent) < _MOST_UNSENT and len(self._in_flight) < MOST_IN_FLIGHT and self._held < MOST_HELD

    def _carry_out(self, reqid: int, request: Request) -> None:
        self._traffic.requests += 1
        call = _Call(self, reqid, request, self._connection.size)
        self._keep(call, self._dispatcher.handle(request, call.reply, self.peer))

    def _keep(self, call: _Call, job: Cancellable | None) -> None:
        if call.answered:
            return
        if not self._closed:
            self._in_flight[call] = job
            self._held += call.size
        elif job is not None:
            job.cancel()  # it was closed while the request was being carried out

    def notify(self, call: _Call, notes: Notes) -> None:
        """Sends notes about a request; drops them, and sends a gap note later, if the client doesn't read."""
        if self._closed:
            return
        if len(self._unsent) >= MOST_UNSENT_NOTES:
            call.lost += len(notes.notes)
            call.last_lost = notes.notes[-1]
            self._traffic.notes_lost += len(notes.notes)
            return
        self._send_gap(call)
        self._send(call.reqid, notes)

    def _send_gap(self, call: _Call) -> None:
        last, lost = call.last_lost, call.lost
        if last is not None:
            call.last_lost, call.lost = None, 0
            self._send(call.reqid, Note("gap", last.number, {"time": last.data["time"], "lost": lost}))

    def answer(self, call: _Call, message: Reply) -> None:
        """Sends the reply to a request, unless the connection is closed."""
        if self._closed:
            return
        if call in self._in_flight:
            del self._in_flight[call]
            self._held -= call.size
        if call.lost:
            self._send_gap(call)
        self._send(call.reqid, message)
        if not self._reading and not self._unsent and self._has_room():
            self._loop.call_soon(self._resume)

    # ------------------------------------------------------------------ upgrade

    def saved_state(self) -> SavedClient:
        """Returns the state of this session for another program in this process."""
        from ctdb_eventd.handover import SavedClient  # late: it would slow the start

        is_native, unread = self._connection.saved_state()
        calls = [_saved_call(call, job) for call, job in self._in_flight.items()]
        return SavedClient(
            descriptor=self._fd,
            program=self.peer.program,
            native=is_native,
            unread=unread,
            unsent=bytes(self._unsent),
            calls=tuple(calls),
            locks=tuple(lock.saved_state() for lock in self.peer.locks.values()),
        )

    def restore(self, saved: SavedClient) -> None:
        """Restores the state of a former program's session; its calls follow, see `repeat`."""
        self._connection.restore(saved.native, saved.unread)
        self._keep_unsent(saved.unsent)
        if self._unsent:
            self._loop.add_writer(self._fd, self._on_writable)

    def repeat(self, saved: SavedCall) -> None:
        """Repeats a call that a former program had read, and that has had no effect yet."""
        request: Request
        if saved.spec is not None:
            request = RunRequest(saved.spec, saved.run)
        else:
            request = Call(saved.reqid, saved.method, saved.params, saved.run)
        call = _Call(self, saved.reqid, request, saved.size)
        call.arrived = saved.arrived
        job = self._dispatcher.handle(request, call.reply, self.peer)
        if saved.lost_until is not None:
            number, moment = saved.lost_until
            call.lost, call.last_lost = saved.lost, Note("gap", number, {"time": moment})
        if job is not None:
            job.restore(saved)
        self._keep(call, job)

    def resume_reading(self) -> None:
        """Handles what was received during the upgrade."""
        self._serve_or_close()

    # ------------------------------------------------------------------ writing

    def _send(self, reqid: int, message: Reply) -> None:
        try:
            data = self._connection.encode(reqid, message)
        except LocalProtocolError as error:
            _log.error("%s: reply can't be sent, connection closed: %s", self.name, error)
            self.close()
            return
        if not self._unsent:
            data = data[self._write(data) :]
            if not data:
                return
            self._loop.add_writer(self._fd, self._on_writable)
        elif len(self._unsent) > _MOST_KEPT:
            self._refuse_to_keep("does not read its replies", len(self._unsent))
            return
        of_user = self._traffic.unsent[self.peer.uid] + len(data)
        if self.peer.uid and of_user > MOST_UNSENT_OF_USER:
            self._refuse_to_keep("the clients of its user do not read their replies", of_user)
            return
        self._keep_unsent(data)

    def _refuse_to_keep(self, why: str, size: int) -> None:
        _log.warning("%s: %s, %d MiB are unread: connection closed", self.name, why, size >> 20)
        self.close()

    def _keep_unsent(self, data: bytes) -> None:
        self._unsent += data
        self._traffic.unsent[self.peer.uid] += len(data)

    def _drop_unsent(self, size: int) -> None:
        del self._unsent[:size]
        self._traffic.unsent[self.peer.uid] -= size

    def _write(self, data: bytes | bytearray) -> int:
        """Writes what the socket takes; returns its length, that of all data if the client has disconnected."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            _log.info("%s: disconnected before its reply: %s", self.name, os.strerror(error.errno or 0))
            self._loop.call_soon(self.close)
            return len(data)

    def _on_writable(self) -> None:
        self._drop_unsent(self._write(self._unsent))
        if not self._unsent:
            self._loop.remove_writer(self._fd)
        self._resume()


def _saved_call(call: _Call, job: Cancellable | None) -> SavedCall:
    from ctdb_eventd.handover import SavedCall

    request = call.request
    fields: dict[str, Any] = {}
    if isinstance(request, RunRequest):
        fields["spec"] = request.spec
    elif isinstance(request, Call):
        fields["method"], fields["params"] = request.method, request.params
    if job is not None:
        fields |= job.saved_state()
    if call.last_lost is not None:
        fields["lost"], fields["lost_until"] = call.lost, (call.last_lost.number, call.last_lost.data["time"])
    return SavedCall(reqid=call.reqid, size=call.size, arrived=call.arrived, **fields)
