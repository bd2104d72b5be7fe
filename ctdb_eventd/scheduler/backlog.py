"""One component's events: who runs, who waits, who has to yield. Pure: no clock, no I/O, no tasks.

The backlog is first come, first served. The head of the queue starts as soon as nothing runs. A monitor is the
exception on both sides:

    arrives \\ there is   nothing   a monitor runs            anything else runs or waits
    monitor              starts    ends it, runs after it    is refused
    anything else        starts    ends it, runs after it    waits

A monitor that waits for an ended one is refused as well when something else arrives.
"""

from __future__ import annotations

from collections.abc import Hashable
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
    """Running jobs to be ended; `finished` is still to be called for each when it is gone."""
    start: tuple[J, ...] = ()
    """Jobs to be started; `finished` is to be called for each."""

    def __bool__(self) -> bool:
        return bool(self.start or self.end or self.refuse)


_NOTHING: Decision[Any] = Decision()


class Backlog(Generic[J]):
    """The queue of one component. Every method costs constant time, however long the queue is."""

    def __init__(self) -> None:
        """Starts empty."""
        # Plain dicts keep arrival order and give up a member from the middle at no cost.
        self._waiting: dict[J, Mode] = {}
        self._running: dict[J, Mode] = {}
        self._ending: set[J] = set()

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
        if not self._running and not self._waiting:
            self._running[job] = mode
            return Decision(start=(job,))
        if mode is Mode.MONITOR and not self._only_monitors():
            return Decision(refuse=(job,))
        refuse = tuple(other for other, its_mode in self._tail_monitors() if its_mode is Mode.MONITOR)
        for other in refuse:
            del self._waiting[other]
        end = self._monitors_to_end()
        self._waiting[job] = mode
        return Decision(refuse=refuse, end=end)

    def finished(self, job: J) -> Decision[J]:
        """Notes that a running job is over and gone."""
        del self._running[job]
        self._ending.discard(job)
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

    def _only_monitors(self) -> bool:
        return all(mode is Mode.MONITOR for mode in self._running.values()) and len(self._waiting) == len(
            self._tail_monitors()
        )

    def _tail_monitors(self) -> list[tuple[J, Mode]]:
        # A monitor can only wait at the very front, behind a monitor that is being ended: one look is enough.
        first = next(iter(self._waiting.items()), None)
        return [first] if first is not None and first[1] is Mode.MONITOR else []

    def _monitors_to_end(self) -> tuple[J, ...]:
        end = tuple(job for job, mode in self._running.items() if mode is Mode.MONITOR and job not in self._ending)
        self._ending.update(end)
        return end

    def _start_ready(self) -> Decision[J]:
        if self._running or not self._waiting:
            return _NOTHING
        job = next(iter(self._waiting))
        self._running[job] = self._waiting.pop(job)
        return Decision(start=(job,))
