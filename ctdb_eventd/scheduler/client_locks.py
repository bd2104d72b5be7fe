"""Named locks of clients, from the request to the release."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from ctdb_eventd.errors import Cancelled, LockTimeout, RequestError
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.runs import LockDone, LockOwner
from ctdb_eventd.scheduler.command_locks import CommandLocks
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.publisher import Publisher

if TYPE_CHECKING:
    from ctdb_eventd.handover import LeftLock

__all__ = ["NOTABLE_WAIT", "ClientLock", "ClientLocks"]

_log = logging.getLogger(__name__)

NOTABLE_WAIT = 1.0
"""Seconds of waiting from which on a wait is logged at NOTICE."""


class ClientLocks:
    """Handles the lock requests of clients.

    Attributes:
        next_number: The number of the next request; none is used twice.
    """

    def __init__(
        self, core: Core[Any], command_locks: CommandLocks, publisher: Publisher, settle: Callable[[], None]
    ) -> None:
        """Prepares.

        Args:
            core: Grants the locks.
            command_locks: The lock files of commands.
            publisher: Publishes waits.
            settle: Passes released locks and slots on to waiting scripts and clients.
        """
        self._core = core
        self._command_locks = command_locks
        self._publisher = publisher
        self._settle = settle
        self.next_number = 1
        self._locks: dict[int, ClientLock] = {}
        self._of_process: dict[int, dict[ClientLock, None]] = {}

    def request(
        self,
        names: tuple[str, ...],
        wait: float | None,
        pid: int,
        text: str,
        done: LockDone,
        parents: frozenset[Hashable] = frozenset(),
    ) -> ClientLock:
        """Requests locks.

        Args:
            names: The locks; all are granted at once.
            wait: Timeout in seconds; None is no limit.
            pid: The client's process.
            text: Its name, for people.
            done: Called with the result, possibly before this returns.
            parents: The jobs and locks whose script or holder is an ancestor of the client's process.

        Returns:
            The request; it releases the locks as well.

        Raises:
            WouldDeadlock: One of `parents`, or one that waits for a parent, holds one of the locks or is queued for it.
        """
        lock = ClientLock(number=self.next_number, names=names, pid=pid, text=text, done=done, locks=self)
        self.next_number += 1
        has_them = self._core.request_locks(lock, names, parents)
        self._locks[lock.number] = lock
        self._of_process.setdefault(pid, {})[lock] = None
        if has_them and self._command_locks.take(lock, names, partial(self._finish_wait, lock)):
            self._answer(lock, time.monotonic() - lock.requested)
        elif wait == 0:
            self._time_out(lock, 0)
        else:
            if wait is not None:
                lock.timer = asyncio.get_running_loop().call_later(wait, self._time_out, lock, wait)
            lock.behind = self.holder_for(lock).text
            self._publish("lock-waiting", lock, holder=lock.behind)
            self._settle()  # its parents' slots may have gone to others
        return lock

    def take_up(self, left: LeftLock, pid: int, parents: frozenset[Hashable]) -> ClientLock:
        """Restores the locks that a client holds since a former program of this process."""
        lock = ClientLock(
            number=left.number,
            names=left.names,
            pid=pid,
            text=left.text,
            done=None,
            requested=left.requested,
            locks=self,
        )
        self._core.request_locks(lock, left.names, parents)
        self._locks[lock.number] = lock
        self._of_process.setdefault(pid, {})[lock] = None
        self._command_locks.take_up(lock, left.files)
        return lock

    def files(self, lock: ClientLock) -> tuple[tuple[str, int, int], ...]:
        """Returns the value of `LeftLock.files`."""
        return self._command_locks.files(lock)

    def granted(self, lock: ClientLock) -> None:
        """Replies to a client that its queued request is granted, unless it has to wait for a running command."""
        if self._command_locks.take(lock, lock.names, partial(self._finish_wait, lock)):
            self._finish_wait(lock)

    def _finish_wait(self, lock: ClientLock) -> None:
        waited = time.monotonic() - lock.requested
        self._publish("lock-acquired", lock, seconds=waited)
        lock.stop_timer()
        if waited >= NOTABLE_WAIT:
            names = " ".join(lock.names)
            _log.log(NOTICE, "%s waited %.3f s for %s, held by %s", lock.text, waited, names, lock.behind)
        self._answer(lock, waited)

    def _time_out(self, lock: ClientLock, seconds: float) -> None:
        holder = self.holder_for(lock)
        self.drop(lock)
        self._answer(lock, LockTimeout(lock.names, seconds, holder))

    def cancel(self, lock: ClientLock) -> None:
        """Releases locks, or cancels the request for them without a reply. Idempotent."""
        lock.done = None
        self.drop(lock)

    def revoke(self, lock: ClientLock) -> bool:
        """Cancels the request, with a reply that says so; returns False, as it had not been granted."""
        self.drop(lock)
        self._answer(lock, Cancelled(f"the wait for the lock {' '.join(lock.names)}"))
        return False

    def drop(self, lock: ClientLock) -> None:
        """Releases locks, or removes the request for them. Idempotent."""
        lock.stop_timer()
        if self._locks.pop(lock.number, None) is not None:
            its = self._of_process[lock.pid]
            del its[lock]
            if not its:
                del self._of_process[lock.pid]
        self._command_locks.release(lock)
        self._core.drop_locks(lock)
        self._settle()

    def __len__(self) -> int:
        """The number of requests, granted ones included."""
        return len(self._locks)

    def of(self, pids: Iterable[int]) -> frozenset[Hashable]:
        """Returns the requests of these processes."""
        return frozenset(lock for pid in pids for lock in self._of_process.get(pid, ()))

    def holder_for(self, lock: ClientLock) -> LockOwner:
        """Returns the holder that a request waits for, or the first one that is queued before it."""
        if commands := self._command_locks.waits_for(lock):
            text = f"{commands[0]} which a script runs right now"
            return LockOwner(run=None, lock=None, pid=None, text=text, since=time.time(), seconds=0.0)
        found = self._core.obstacle(lock)
        if found is None:
            raise RuntimeError(f"nobody has {lock.names}, and yet somebody waits for them")
        user, since = found
        owner: LockOwner = user.owner(time.monotonic() - since)
        return owner

    def _answer(self, lock: ClientLock, what: float | RequestError) -> None:
        done, lock.done = lock.done, None
        if done is not None:
            done(what)

    def _publish(self, kind: str, lock: ClientLock, **data: object) -> None:
        self._publisher.client_lock(kind, lock.names, lock.number, lock.text, **data)


@attrs.define(eq=False, kw_only=True, repr=False)
class ClientLock:
    """A client's request for locks, until they are released. Only `ClientLocks` changes it."""

    number: int
    """Its number; never used twice."""
    names: tuple[str, ...]
    """The locks."""
    pid: int
    """The client's process."""
    text: str
    """The client's name, for people."""
    done: LockDone | None
    """Replies to the request; None after that, or if the client has disconnected."""
    requested: float = attrs.field(factory=time.monotonic)
    """When it arrived, by the monotonic clock."""
    behind: str = ""
    """The owner that it had to wait for at its arrival; empty if it didn't wait."""
    timer: asyncio.TimerHandle | None = None
    """Its timeout; None if there is none."""
    _locks: ClientLocks

    def __str__(self) -> str:
        return self.text

    def owner(self, seconds: float) -> LockOwner:
        """Returns it as the owner of a lock that it has held, or waited for, for so many seconds."""
        since = time.time() - seconds
        return LockOwner(run=None, lock=self.number, pid=self.pid, text=self.text, since=since, seconds=seconds)

    def stop_timer(self) -> None:
        """Stops the timeout. Idempotent."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def cancel(self) -> None:
        """Gives the locks back, or takes back the request for them, without an answer. Idempotent."""
        self._locks.cancel(self)

    def revoke(self) -> bool:
        """Cancels the request, with a reply that says so; returns False, as it had not been granted."""
        return self._locks.revoke(self)

    def left(self) -> LeftLock:
        """Returns its state for another program."""
        from ctdb_eventd.handover import LeftLock  # late: it would slow the start

        return LeftLock(
            number=self.number,
            names=self.names,
            text=self.text,
            requested=self.requested,
            files=self._locks.files(self),
        )
