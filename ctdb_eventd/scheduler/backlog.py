"""The queue of one component's events: which run, wait, or have to yield. Pure: no clock, no I/O, no tasks.

The backlog is first come, first served, and a sequence of barriers: the head of the queue starts as soon as nothing
runs, or as soon as it and everything that runs are address events. So adjacent address events run side by side, and
an exclusive event starts when all before it have ended. A monitor is the exception in both roles:

    arrives \\ there is   nothing   a monitor runs            anything else runs or waits
    monitor              starts    ends it, runs after it    is refused
    anything else        starts    ends it, runs after it    waits, or joins its like

A monitor that waits for an ended one is refused as well when something else arrives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from itertools import chain, islice, takewhile
from typing import Any, Generic, TypeVar

import attrs

from ctdb_eventd.events import Mode

__all__ = ["Backlog", "Decision"]

J = TypeVar("J", bound=Hashable)


@attrs.frozen(repr=False)
class Decision(Generic[J]):
    """What the caller has to do now, in this order. False if nothing."""

    refuse: tuple[J, ...] = ()
    """Jobs to be answered as cancelled; they never ran, and were removed from the backlog."""
    end: tuple[J, ...] = ()
    """Running jobs to be ended; `finished` has to be called for each when it has ended. A job that was cancelled before
    is returned once more when another job has to run."""
    start: tuple[J, ...] = ()
    """Jobs to be started; `finished` has to be called for each when it has ended."""

    def __bool__(self) -> bool:
        return bool(self.start or self.end or self.refuse)


_NOTHING: Decision[Any] = Decision()


class Backlog(Generic[J]):
    """The queue of one component. The cost of a call does not depend on the length of the queue.

    Attributes:
        batch: Grows whenever something other than an address event starts. Address events that started with the same
            number ran side by side, between the same two barriers.
    """

    def __init__(self, batch: int = 0) -> None:
        """Starts empty, with that number as its first batch."""
        # Keeps the order of arrival, with removal in constant time. So does a plain dict, but finding its first key
        # gets slower with each one that was removed from the front.
        self._waiting: OrderedDict[J, Mode] = OrderedDict()
        self._running: dict[J, Mode] = {}
        self._ending: set[J] = set()
        self._yielding: set[J] = set()
        self._mode = Mode.EXCLUSIVE
        self.batch = batch

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not self._running and not self._waiting

    @property
    def running(self) -> tuple[J, ...]:
        """The jobs that were started and are not finished."""
        return tuple(self._running)

    @property
    def waiting(self) -> tuple[J, ...]:
        """The jobs that were not started yet, in order."""
        return tuple(self._waiting)

    def submit(self, job: J, mode: Mode) -> Decision[J]:
        """Adds a job that has just arrived."""
        if self._may_start(mode):
            self._start(job, mode)
            return Decision(start=(job,))
        if mode is Mode.MONITOR and not self._only_monitors():
            return Decision(refuse=(job,))
        refuse = self._waiting_monitor()
        for other in refuse:
            del self._waiting[other]
        end = self._monitors_to_end()
        self._waiting[job] = mode
        return Decision(refuse=refuse, end=end)

    def finished(self, job: J) -> Decision[J]:
        """Removes a running job that has ended."""
        del self._running[job]
        self._ending.discard(job)
        self._yielding.discard(job)
        return self._start_ready()

    def cancel(self, job: J) -> Decision[J]:
        """Cancels a job: a waiting one is removed, a running one has to be ended."""
        if job in self._waiting:
            del self._waiting[job]
            return self._start_ready()
        if job in self._running and job not in self._ending:
            self._ending.add(job)
            return Decision(end=(job,))
        return _NOTHING

    def blockers(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that have to end before a waiting one can start; none for any other."""
        mode = self._waiting.get(job)
        if mode is None:
            return ()
        return self._obstacles(mode, list(takewhile(lambda other: other != job, self._waiting)))

    def walk(self) -> Iterator[tuple[J, int]]:
        """Yields the waiting jobs, in order, each with the number of first members of the queue that it waits for."""
        place = len(self._running)
        barrier = 0 if self._mode is Mode.ADDRESS else place
        for job, mode in self._waiting.items():
            yield job, barrier if mode is Mode.ADDRESS else place
            place += 1
            if mode is not Mode.ADDRESS:
                barrier = place

    def first(self, most: int | None = None) -> tuple[J, ...]:
        """Returns the first members of the queue: running jobs, then waiting ones; all of them by default."""
        return tuple(islice(chain(self._running, self._waiting), most))

    def blockers_of_new(self, mode: Mode) -> tuple[J, ...]:
        """Returns the jobs that a new one of that mode would have to wait for."""
        if self._may_start(mode) or (mode is Mode.MONITOR and not self._only_monitors()):
            return ()  # it starts, or it is refused
        return self._obstacles(mode, list(self._waiting))

    def _obstacles(self, mode: Mode, before: list[J]) -> tuple[J, ...]:
        if mode is not Mode.ADDRESS:
            return (*self._running, *before)
        # an address event doesn't wait for adjacent ones, but for the last barrier before it and all jobs before that
        while before and self._waiting[before[-1]] is Mode.ADDRESS:
            before.pop()
        if not before and self._mode is Mode.ADDRESS:
            return ()
        return (*self._running, *before)

    def _may_start(self, mode: Mode) -> bool:
        if self._waiting:
            return False
        return not self._running or mode is Mode.ADDRESS is self._mode

    def _start(self, job: J, mode: Mode) -> None:
        self._running[job] = self._mode = mode
        if mode is not Mode.ADDRESS:
            self.batch += 1

    def _only_monitors(self) -> bool:
        return self._mode is Mode.MONITOR and len(self._waiting) == len(self._waiting_monitor())

    def _waiting_monitor(self) -> tuple[J, ...]:
        # A waiting monitor is always the first, behind a monitor that is being ended.
        for first, mode in self._waiting.items():
            return (first,) if mode is Mode.MONITOR else ()
        return ()

    def _monitors_to_end(self) -> tuple[J, ...]:
        if self._mode is not Mode.MONITOR:
            return ()
        end = tuple(job for job in self._running if job not in self._yielding)
        self._ending.update(end)
        self._yielding.update(end)
        return end

    def _start_ready(self) -> Decision[J]:
        if not self._waiting:
            return _NOTHING
        started: list[J] = []
        for job, mode in self._waiting.items():
            if self._running and not mode is Mode.ADDRESS is self._mode:
                break
            self._start(job, mode)
            started.append(job)
        for job in started:
            del self._waiting[job]
        return Decision(start=tuple(started)) if started else _NOTHING
