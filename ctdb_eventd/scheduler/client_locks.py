"""Named locks of clients, from the moment they are asked for until they are given back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable
from itertools import count
from typing import Any

from ctdb_eventd.errors import Cancelled, LockTimeout, RequestError
from ctdb_eventd.runs import LockDone, LockOwner
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.publisher import Publisher

__all__ = ["ClientLock", "ClientLocks"]


class ClientLocks:
    """Takes clients' requests for locks, and answers them."""

    def __init__(self, core: Core[Any], publisher: Publisher, settle: Callable[[], None]) -> None:
        """Prepares.

        Args:
            core: Has the locks.
            publisher: Is notified of waits.
            settle: Sees to it that what was given back comes to those who wait for it.
        """
        self._core = core
        self._publisher = publisher
        self._settle = settle
        self._numbers = count(1)
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
        """Asks for locks.

        Args:
            names: All of them are taken at once.
            wait: Most seconds to wait; None is no limit.
            pid: The client's process.
            text: Who that is, for people.
            done: Is called with what comes of it, possibly before this returns.
            parents: The jobs from whose scripts the client descends, and the locks from whose holders.

        Returns:
            What gives them back.

        Raises:
            WouldDeadlock: One of `parents`, or who waits for one, has one of them or waits for one before.
        """
        lock = ClientLock(self, next(self._numbers), names, pid, text, done)
        has_them = self._core.request_locks(lock, names, parents)
        self._locks[lock.number] = lock
        self._of_process.setdefault(pid, {})[lock] = None
        if has_them:
            lock.granted(lock.waited)
        elif wait == 0:
            lock.give_up(0)
        else:
            lock.begin_wait(wait)
            self._publish("lock-waiting", lock)
            self._settle()  # others may have got the slot of the script that waits for it
        return lock

    def granted(self, lock: ClientLock) -> None:
        """Notes that one that was waited for is there."""
        waited = lock.waited
        self._publish("lock-acquired", lock, seconds=waited)
        lock.granted(waited)

    def drop(self, lock: ClientLock) -> None:
        """Gives locks back, or forgets the request for them. Idempotent."""
        if self._locks.pop(lock.number, None) is not None:
            its = self._of_process[lock.pid]
            del its[lock]
            if not its:
                del self._of_process[lock.pid]
        self._core.drop_locks(lock)
        self._settle()

    def __len__(self) -> int:
        """How many are held or asked for."""
        return len(self._locks)

    def of(self, pids: Iterable[int]) -> frozenset[Hashable]:
        """Returns the locks of these processes."""
        return frozenset(lock for pid in pids for lock in self._of_process.get(pid, ()))

    def holder_for(self, lock: ClientLock) -> LockOwner:
        """Returns who has what somebody waits for, or wants it first."""
        found = self._core.obstacle(lock)
        if found is None:
            raise RuntimeError(f"nobody has {lock.names}, and yet somebody waits for them")
        user, since = found
        owner: LockOwner = user.owner(time.monotonic() - since)
        return owner

    def _publish(self, kind: str, lock: ClientLock, **data: object) -> None:
        self._publisher.client_lock(kind, lock.names, lock.number, lock.text, **data)


class ClientLock:
    """Locks that a client has or asks for; from one request, so all of them or none.

    Attributes:
        number: Tells it apart from others; never used twice.
        names: The locks.
        pid: The client's process.
        text: Who that is, for people.
    """

    __slots__ = ("_done", "_locks", "_requested", "_timer", "names", "number", "pid", "text")

    def __init__(
        self, locks: ClientLocks, number: int, names: tuple[str, ...], pid: int, text: str, done: LockDone
    ) -> None:
        self._locks = locks
        self._done: LockDone | None = done
        self._timer: asyncio.TimerHandle | None = None
        self._requested = time.monotonic()
        self.number = number
        self.names = names
        self.pid = pid
        self.text = text

    def __str__(self) -> str:
        return self.text

    @property
    def waited(self) -> float:
        """Seconds since it was requested."""
        return time.monotonic() - self._requested

    def owner(self, seconds: float) -> LockOwner:
        """Returns who this is, for a lock that it has or waits for since so many seconds."""
        since = time.time() - seconds
        return LockOwner(run=None, lock=self.number, pid=self.pid, text=self.text, since=since, seconds=seconds)

    def begin_wait(self, seconds: float | None) -> None:
        """Limits how long it may wait from now on; None is no limit."""
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.give_up, seconds)

    def granted(self, waited: float) -> None:
        """Answers that the client has its locks, after so many seconds."""
        self._stop_timer()
        self._answer(waited)

    def give_up(self, seconds: float) -> None:
        """Ends its wait."""
        holder = self._locks.holder_for(self)
        self._stop_timer()
        self._locks.drop(self)
        self._answer(LockTimeout(self.names, seconds, holder))

    def revoke(self) -> bool:
        """Takes back the request, and has it answered as cancelled; False, as it had not been granted."""
        self._stop_timer()
        self._locks.drop(self)
        self._answer(Cancelled(f"the wait for the lock {' '.join(self.names)}"))
        return False

    def cancel(self) -> None:
        """Gives the locks back, or takes back the request for them, without an answer. Idempotent."""
        self._done = None
        self._stop_timer()
        self._locks.drop(self)

    def _answer(self, what: float | RequestError) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(what)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
