"""Long-lived calls: runs, lock requests and subscriptions, and how each can end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ctdb_eventd.dispatcher.domain import Domain
from ctdb_eventd.dispatcher.peer import NamedLock, Peer
from ctdb_eventd.dispatcher.values import failure_of, run_value
from ctdb_eventd.errors import RequestError, TooManySubscriptions
from ctdb_eventd.feed import Feed, Filter, Subscription
from ctdb_eventd.model import EventSpec, RunRecord
from ctdb_eventd.protocol.messages import Reply, Result
from ctdb_eventd.runs import Job
from ctdb_eventd.traffic import MOST_SUBSCRIPTIONS

if TYPE_CHECKING:
    from ctdb_eventd.handover import SavedCall

__all__ = ["LockCall", "RunCall", "WatchCall"]


class _Ongoing(ABC):
    """One call.

    Attributes:
        ending: Arguments of Domain.audit when the client cancels it; empty if it only reads.
    """

    ending: tuple[str, ...] = ()
    _notes: Subscription | None = None

    def __init__(self, call_id: int, reply: Callable[[Reply], None], peer: Peer) -> None:
        self._id = call_id
        self._reply = reply
        self._peer = peer

    def _is_over(self) -> None:
        if self._peer.calls.get(self._id) is self:
            del self._peer.calls[self._id]

    @abstractmethod
    def cancel(self) -> None:
        """Cancels it without a reply, as the client has disconnected."""

    @abstractmethod
    def revoke(self) -> bool:
        """Cancels it with a reply, as another call requests."""

    def saved_state(self) -> dict[str, Any]:
        """Returns its state for another program; see Cancellable."""
        if self._notes is None:
            return {}
        number, delivered = self._notes.position
        return {"next_note": number, "delivered": delivered}

    def restore(self, saved: SavedCall) -> None:
        """Restores its state from a former program."""
        if self._notes is not None:
            self._notes.go_on_from(saved.next_note, saved.delivered)


class RunCall(_Ongoing):
    """`run`: over when the run is."""

    _domain: Domain
    _job: Job | None = None
    _done = False

    def begin(self, domain: Domain, spec: EventSpec, run: str, wanted: Filter | None) -> RunCall | None:
        """Starts it; returns None if it has ended already.

        Args:
            domain: Runs it.
            spec: What to run.
            run: Its id.
            wanted: What the client is notified of meanwhile; None is nothing.
        """
        self._domain = domain
        self.ending = "cancel", f"{spec.component}/{spec.event}", run
        if wanted is not None:
            self._notes = domain.feed.subscribe(wanted, self._reply)
        self._peer.calls[self._id] = self
        try:
            self._job = domain.run(spec, self._finish, self._peer, run)
        except BaseException:
            self._end()
            raise
        return None if self._done else self

    def _finish(self, result: int, details: RunRecord | RequestError | None) -> None:
        self._end()
        self._reply(Result(run_value(details)) if isinstance(details, RunRecord) else failure_of(details))

    def _end(self) -> None:
        self._done = True
        self._is_over()
        notes, self._notes = self._notes, None
        if notes is not None:
            notes.end()

    def cancel(self) -> None:
        """Cancels it without a reply, as the client has disconnected."""
        notes, self._notes = self._notes, None
        if notes is not None:
            notes.drop()
        self._end()
        if self._job is not None:
            self._domain.cancel_run(self._job)

    def revoke(self) -> bool:
        """Cancels it, with a reply that says so."""
        assert self._job is not None
        return self._domain.revoke_run(self._job, self._peer)

    def saved_state(self) -> dict[str, Any]:
        """Returns its state for another program; see Cancellable."""
        assert self._job is not None
        return {**super().saved_state(), "run": self._job.run, "queued": self._job.queued}


class LockCall(_Ongoing):
    """`lock`: over when the locks are granted or refused, or the timeout has expired."""

    _names: tuple[str, ...]
    _until: float | None
    _lock: NamedLock | None = None
    _outcome: float | RequestError | None = None

    def begin(self, domain: Domain, names: tuple[str, ...], wait: float | None) -> LockCall | None:
        """Requests the locks; returns None if it is over already."""
        self.ending = "cancel lock", ",".join(names)
        self._names, self._until = names, None if wait is None else time.monotonic() + wait
        self._lock = domain.lock(names, wait, self._settle, self._peer)
        if self._outcome is not None:
            self._finish(self._lock, self._outcome)
            return None
        self._peer.calls[self._id] = self
        return self

    def _settle(self, outcome: float | RequestError) -> None:
        self._outcome = outcome
        if self._lock is not None:
            self._finish(self._lock, outcome)

    def _finish(self, lock: NamedLock, outcome: float | RequestError) -> None:
        self._is_over()
        if isinstance(outcome, RequestError):
            self._reply(failure_of(outcome))
            return
        self._peer.locks[lock.number] = lock
        self._reply(Result({"lock": lock.number, "waited": outcome}))

    def cancel(self) -> None:
        """Cancels it without a reply, as the client has disconnected."""
        self._is_over()
        if self._lock is not None:
            self._lock.cancel()

    def revoke(self) -> bool:
        """Cancels it, with a reply that says so."""
        assert self._lock is not None
        return self._lock.revoke()

    def saved_state(self) -> dict[str, Any]:
        """Returns its state for another program: the same request, with the rest of its timeout."""
        wait = None if self._until is None else max(0.0, self._until - time.monotonic())
        return {"params": {"names": self._names, "wait": wait}}


class WatchCall(_Ongoing):
    """`subscribe`: over when the client cancels it."""

    def begin(self, feed: Feed, wanted: Filter) -> WatchCall:
        """Starts notifying.

        Raises:
            TooManySubscriptions: The client has as many as allowed.
        """
        if self._peer.subscriptions >= MOST_SUBSCRIPTIONS:
            raise TooManySubscriptions(MOST_SUBSCRIPTIONS)
        self._peer.subscriptions += 1
        self._notes = feed.subscribe(wanted, self._reply)
        self._peer.calls[self._id] = self
        return self

    def cancel(self) -> None:
        """Stops notifying, as the client has gone."""
        self._is_over()
        self._peer.subscriptions -= 1
        if self._notes is not None:
            self._notes.drop()

    def revoke(self) -> bool:
        """Delivers the pending notes, then replies with the number of all notes."""
        self._is_over()
        self._peer.subscriptions -= 1
        assert self._notes is not None
        self._notes.end()
        self._reply(Result({"notes": self._notes.delivered}))
        return True
