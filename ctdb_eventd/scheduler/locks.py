"""Named locks: who holds which, who waits for which, first come first served. Pure.

An owner asks for all its locks at once and gets all or none, so no owner ever holds one lock while waiting for another
of the same request. And it asks for them behind everybody who asked for any of them before: a lock that happens to be
free is not taken past an earlier one that needs it too, or that one might wait for ever.
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


@attrs.frozen
class LockState(Generic[O]):
    """One lock, as it is now."""

    name: str
    holder: O | None
    """None if it is free, which it is only while who waits first for it also waits for another lock."""
    waiting: tuple[O, ...]
    """In the order in which they asked."""
    since: float = attrs.field(default=0.0, eq=False)
    """When its holder got it, by the clock; 0 if it is free."""
    asked: tuple[float, ...] = attrs.field(default=(), eq=False)
    """When each of those who wait asked."""
    more: int = 0
    """Who wait too, but are left out."""


class _Lock(Generic[O]):
    __slots__ = ("holder", "since", "waiting")

    def __init__(self) -> None:
        self.holder: O | None = None
        self.since = 0.0
        # keeps the order, gives up a member from the middle and finds the first one at no cost; with the time of asking
        self.waiting: OrderedDict[O, float] = OrderedDict()


class LockTable(Generic[O]):
    """All locks that are held or waited for. The cost of a call grows with the locks it names, not with others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts with every lock free; `clock` is only for those who want to know since when one is held."""
        self._clock = clock
        self._locks: dict[str, _Lock[O]] = {}
        self._names: dict[O, tuple[str, ...]] = {}
        self._held: set[O] = set()
        self._numbers: dict[O, int] = {}  # grow in the order of asking
        self._next_number = 0

    def acquire(self, owner: O, names: Iterable[str]) -> bool:
        """Asks for locks, all at once.

        Args:
            owner: Who asks; may not hold or wait for any lock already.
            names: Which locks; repetitions count once.

        Returns:
            True if the owner holds them all now, False if it waits; `release` then tells when it was its turn.
        """
        if owner in self._names:
            raise ValueError(f"{owner!r} has asked for locks already")
        self._names[owner] = wanted = tuple(dict.fromkeys(names))
        self._numbers[owner] = self._next_number
        self._next_number += 1
        now = self._clock()
        for name in wanted:
            self._locks.setdefault(name, _Lock()).waiting[owner] = now
        return self._try(owner)

    def release(self, owner: O) -> tuple[O, ...]:
        """Gives back the locks that an owner holds, or takes back its request if it waits; nothing if neither.

        Returns:
            The owners that hold their locks now because of it, in the order in which they asked.
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
        """Returns what an owner holds or waits for."""
        return self._names.get(owner, ())

    def holds(self, owner: O) -> bool:
        """Tells whether an owner has got what it asked for."""
        return owner in self._held

    def blockers(self, owner: O) -> tuple[O, ...]:
        """Returns whom an owner waits for: holders of its locks, and earlier requests for one of them."""
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
        """Yields those who wait for a lock, in order, and for how many of the first members of the queue."""
        lock = self._locks.get(name)
        if lock is not None:
            for place, owner in enumerate(lock.waiting, lock.holder is not None):
                yield owner, place

    def first(self, name: str, most: int | None = None) -> tuple[O, ...]:
        """Returns the first members of the queue: who holds a lock, and who waits for it; all of them by default."""
        lock = self._locks.get(name)
        if lock is None:
            return ()
        return tuple(islice(chain(() if lock.holder is None else (lock.holder,), lock.waiting), most))

    def holders(self, names: Iterable[str]) -> list[O]:
        """Returns who holds these locks."""
        holders = (self._locks[name].holder for name in names if name in self._locks)
        return [holder for holder in holders if holder is not None]

    def users(self, names: Iterable[str]) -> list[O]:
        """Returns who holds one of these locks or waits for one."""
        locks = [self._locks[name] for name in names if name in self._locks]
        return [owner for lock in locks for owner in (lock.holder, *lock.waiting) if owner is not None]

    def first_obstacle(self, owner: O) -> tuple[O, float] | None:
        """Returns who holds a lock that an owner waits for, or else waits for it before that, and since when."""
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
            most: Not more than so many, those that somebody waits for first; None is all.
            waiting: Not more than so many of those who wait for each; None is all.
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
