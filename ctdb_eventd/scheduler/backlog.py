"""One component's events: who runs, who waits, who has to yield. Pure: no clock, no I/O, no tasks.

The backlog is first come, first served, and a sequence of barriers: the head of the queue starts as soon as nothing
runs, or as soon as it and everything that runs are address events. So neighbouring address events run together, and
an exclusive event sees all before it done. A monitor is the exception on both sides:

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


@attrs.frozen
class Decision(Generic[J]):
    """What has to be done now, in this order. False if that is nothing."""

    refuse: tuple[J, ...] = ()
    """Jobs to be answered as cancelled; they never ran and the backlog has forgotten them."""
    end: tuple[J, ...] = ()
    """Running jobs to be ended; `finished` is still to be called for each when it is gone. One whose end began because
    it was taken back comes once more when another job wants its place."""
    start: tuple[J, ...] = ()
    """Jobs to be started; `finished` is to be called for each."""

    def __bool__(self) -> bool:
        return bool(self.start or self.end or self.refuse)


_NOTHING: Decision[Any] = Decision()


class Backlog(Generic[J]):
    """The queue of one component. What a call costs does not depend on how long the queue is.

    Attributes:
        batch: Grows whenever something other than an address event starts. Address events that started with the same
            number ran side by side, between the same two barriers.
    """

    def __init__(self, batch: int = 0) -> None:
        """Starts empty, with that number as its first batch."""
        # Keeps the order of arrival and gives up a member from the middle at no cost. A plain dict does too, but takes
        # ever longer to find its first one when many were taken from the front.
        self._waiting: OrderedDict[J, Mode] = OrderedDict()
        self._running: dict[J, Mode] = {}
        self._ending: set[J] = set()
        self._yielding: set[J] = set()
        self._mode = Mode.EXCLUSIVE
        self.batch = batch

    @property
    def idle(self) -> bool:
        """Tells whether nothing runs and nothing waits."""
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
        """Notes that a running job is over."""
        del self._running[job]
        self._ending.discard(job)
        self._yielding.discard(job)
        return self._start_ready()

    def cancel(self, job: J) -> Decision[J]:
        """Takes back a job: a waiting one is forgotten, a running one has to be ended."""
        if job in self._waiting:
            del self._waiting[job]
            return self._start_ready()
        if job in self._running and job not in self._ending:
            self._ending.add(job)
            return Decision(end=(job,))
        return _NOTHING

    def blockers(self, job: J) -> tuple[J, ...]:
        """Returns the jobs that have to be over before a waiting one can start; none for any other."""
        mode = self._waiting.get(job)
        if mode is None:
            return ()
        return self._obstacles(mode, list(takewhile(lambda other: other != job, self._waiting)))

    def walk(self) -> Iterator[tuple[J, int]]:
        """Yields those who wait, in order, and for how many of the first members of the queue each one does."""
        place = len(self._running)
        barrier = 0 if self._mode is Mode.ADDRESS else place
        for job, mode in self._waiting.items():
            yield job, barrier if mode is Mode.ADDRESS else place
            place += 1
            if mode is not Mode.ADDRESS:
                barrier = place

    def first(self, most: int | None = None) -> tuple[J, ...]:
        """Returns the first members of the queue: who runs, and who waits; all of them by default."""
        return tuple(islice(chain(self._running, self._waiting), most))

    def blockers_of_new(self, mode: Mode) -> tuple[J, ...]:
        """Returns the jobs that a new one of that mode would have to wait for."""
        if self._may_start(mode) or (mode is Mode.MONITOR and not self._only_monitors()):
            return ()  # it starts, or it is refused
        return self._obstacles(mode, list(self._waiting))

    def _obstacles(self, mode: Mode, before: list[J]) -> tuple[J, ...]:
        if mode is not Mode.ADDRESS:
            return (*self._running, *before)
        # address events wait for no others of their kind, but for the last barrier before them and all before that
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
        # A monitor can only wait at the very front, behind a monitor that is being ended: one look is enough.
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
