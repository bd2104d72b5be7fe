"""Named locks: their holders and their queues, first come first served. Pure.

An owner requests all its locks at once and gets all or none, so no owner holds one lock while it waits for another of
the same request. Requests are queued even for locks that are free: a later request must not overtake an earlier one
that needs the same lock, or that could wait for ever.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from itertools import chain, islice, takewhile
from typing import Generic, TypeVar

import attrs

__all__ = ["LockState", "LockTable"]

O = TypeVar("O", bound=Hashable)  # noqa: E741  (an owner)


@attrs.frozen(repr=False)
class LockState(Generic[O]):
    """A snapshot of one lock."""

    name: str
    holder: O | None
    """None if it is free: then the first in its queue also waits for another lock."""
    waiting: tuple[O, ...]
    """In the order of their requests."""
    since: float = attrs.field(default=0.0, eq=False)
    """When it was granted, by the clock; 0 if it is free."""
    asked: tuple[float, ...] = attrs.field(default=(), eq=False)
    """The times of the requests of `waiting`."""
    more: int = 0
    """The number of further waiting owners, which are left out."""


class _Lock(Generic[O]):
    __slots__ = ("holder", "since", "waiting")

    def __init__(self) -> None:
        self.holder: O | None = None
        self.since = 0.0
        # ordered, with removal and access to the first in constant time; the values are the times of the requests
        self.waiting: OrderedDict[O, float] = OrderedDict()


class LockTable(Generic[O]):
    """All locks that are held or waited for. The cost of a call depends on its own locks only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts with every lock free; `clock` gives the times in snapshots."""
        self._clock = clock
        self._locks: dict[str, _Lock[O]] = {}
        self._names: dict[O, tuple[str, ...]] = {}
        self._held: set[O] = set()
        self._numbers: dict[O, int] = {}  # in the order of requests
        self._next_number = 0

    def acquire(self, owner: O, names: Iterable[str]) -> bool:
        """Requests locks, all at once.

        Args:
            owner: The owner; must not hold or wait for any lock already.
            names: The locks; duplicates are ignored.

        Returns:
            True if they are granted now, False if the owner waits; then a call of `release` returns it later.
        """
        if owner in self._names:
            raise ValueError(f"{owner!r} has already requested locks")
        self._names[owner] = wanted = tuple(dict.fromkeys(names))
        self._numbers[owner] = self._next_number
        self._next_number += 1
        now = self._clock()
        for name in wanted:
            self._locks.setdefault(name, _Lock()).waiting[owner] = now
        return self._try(owner)

    def release(self, owner: O) -> tuple[O, ...]:
        """Releases the locks of an owner, or withdraws its request. Idempotent.

        Returns:
            The owners whose requests are granted by that, in the order of their requests.
        """
        names = self._names.pop(owner, ())
        self._numbers.pop(owner, None)
        self._held.discard(owner)
        for name in names:
            lock = self._locks[name]
            lock.waiting.pop(owner, None)
            if lock.holder == owner:
                lock.holder, lock.since = None, 0.0
        granted = self._grant_next(names)
        for name in names:
            lock = self._locks[name]
            if lock.holder is None and not lock.waiting:
                del self._locks[name]
        return granted

    def names(self, owner: O) -> tuple[str, ...]:
        """Returns the locks that an owner holds or waits for."""
        return self._names.get(owner, ())

    def holds(self, owner: O) -> bool:
        """Returns whether an owner's request was granted."""
        return owner in self._held

    def blockers(self, owner: O) -> tuple[O, ...]:
        """Returns the owners that an owner waits for: holders of its locks, and earlier requests for one of them."""
        if owner in self._held:
            return ()
        found: dict[O, None] = {}
        for name in self._names.get(owner, ()):
            lock = self._locks[name]
            if lock.holder is not None:
                found[lock.holder] = None
            found |= dict.fromkeys(takewhile(lambda other: other != owner, lock.waiting))
        return tuple(found)

    def walk(self, name: str) -> Iterator[tuple[O, int]]:
        """Yields the waiting owners, in order, each with the number of first members of the queue that it waits for."""
        lock = self._locks.get(name)
        if lock is not None:
            for place, owner in enumerate(lock.waiting, lock.holder is not None):
                yield owner, place

    def first(self, name: str, most: int | None = None) -> tuple[O, ...]:
        """Returns the first members of the queue: the holder, then the waiting owners; all of them by default."""
        lock = self._locks.get(name)
        if lock is None:
            return ()
        return tuple(islice(chain(() if lock.holder is None else (lock.holder,), lock.waiting), most))

    def holders(self, names: Iterable[str]) -> list[O]:
        """Returns the holders of these locks."""
        holders = (self._locks[name].holder for name in names if name in self._locks)
        return [holder for holder in holders if holder is not None]

    def users(self, names: Iterable[str]) -> list[O]:
        """Returns the owners that hold one of these locks or wait for one."""
        locks = [self._locks[name] for name in names if name in self._locks]
        return [owner for lock in locks for owner in (lock.holder, *lock.waiting) if owner is not None]

    def first_obstacle(self, owner: O) -> tuple[O, float] | None:
        """Returns a holder of one of an owner's locks, or else the first in one of their queues; and since when."""
        if owner in self._held:
            return None
        locks = [self._locks[name] for name in self._names.get(owner, ())]
        for lock in locks:
            if lock.holder is not None:
                return lock.holder, lock.since
        firsts = (next(iter(lock.waiting.items())) for lock in locks if lock.waiting)
        return next(((other, asked) for other, asked in firsts if other != owner), None)

    def snapshot(self, most: int | None = None, waiting: int | None = None) -> tuple[LockState[O], ...]:
        """Returns the locks that are held or waited for, by name.

        Args:
            most: The maximum number; locks with a queue come first. None is no limit.
            waiting: The maximum number of waiting owners of each lock; None is no limit.
        """
        names: Iterable[str] = self._locks
        if most is not None and len(self._locks) > most:
            wanted = (name for name, lock in self._locks.items() if lock.waiting)
            others = (name for name, lock in self._locks.items() if not lock.waiting)
            names = islice(chain(wanted, others), most)
        return tuple(self._state(name, waiting) for name in sorted(names))

    def _state(self, name: str, most: int | None) -> LockState[O]:
        lock = self._locks[name]
        waiting = tuple(islice(lock.waiting.items(), most))
        owners, asked = tuple(owner for owner, _ in waiting), tuple(asked for _, asked in waiting)
        return LockState(name, lock.holder, owners, lock.since, asked, len(lock.waiting) - len(owners))

    def _grant_next(self, names: Collection[str]) -> tuple[O, ...]:
        first = {owner for name in names for owner in islice(self._locks[name].waiting, 1)}
        return tuple(owner for owner in sorted(first, key=self._numbers.__getitem__) if self._try(owner))

    def _try(self, owner: O) -> bool:
        locks = [self._locks[name] for name in self._names[owner]]
        if any(lock.holder is not None or next(iter(lock.waiting)) != owner for lock in locks):
            return False
        now = self._clock()
        for lock in locks:
            del lock.waiting[owner]
            lock.holder, lock.since = owner, now
        self._held.add(owner)
        return True
