"""How many scripts may run at once: a pure policy, given the load, asked before each start.

Scripts that wait (for duplicate address detection, for a TCP reset, for a lock) cost nothing and should all run.
Scripts that compute only fight for the processors; past a point they run into time limits of their own. Neither can
be known before it runs, so a number of them starts freely, and more only while processors are idle.

A few of each component may start beside all that, so that one whose scripts all hang keeps no other from its work.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs

__all__ = ["Admission", "AdmissionState", "Load"]

T = TypeVar("T", bound=Hashable)

_FREE_PER_PROCESSOR = 2
_FREE_BESIDES = 16
# Runnable processes for each processor up to which there is room for another script. One would be an exactly full
# machine; a script that has just been started is runnable for the first millisecond whatever it does later, so at one
# the starting itself would look like load.
_RUNNABLE_PER_PROCESSOR = 3


@attrs.frozen
class Load:
    """What the machine is doing at this moment."""

    runnable: int
    """Processes that run or want to run, without the one that asks."""


@attrs.frozen
class AdmissionState:
    """The policy's present state, to be shown."""

    running: int
    """Scripts that hold a slot."""
    waiting: int
    """Scripts that wait for one."""
    free_limit: int
    """Up to this many start whatever the load is."""
    limit: int
    """Never more than this many run, but for those few that each component may run beside that."""
    held_back: bool
    """Someone waits because the processors are busy, or because the limit is reached."""


class Admission(Generic[T]):
    """Slots for running scripts, given out in turn to the components that want some, first come first served in each.

    A script of an event that has already run some goes before the first script of an event: what was begun is ended
    before more is begun.
    """

    def __init__(self, *, processors: int, limit: int, own: int = 0) -> None:
        """Starts with every slot free.

        Args:
            processors: Processors that scripts can use.
            limit: Slots in all; at least 1.
            own: As many of a component's scripts as this may run whatever else does.
        """
        self._free = _FREE_PER_PROCESSOR * processors + _FREE_BESIDES
        self.free_limit = min(limit, self._free)
        self.limit = limit
        self._own = own
        self._busy = _RUNNABLE_PER_PROCESSOR * processors
        self._running: dict[T, str] = {}
        self._of_component: Counter[str] = Counter()
        # for each component those who go on and those who begin; the component whose turn it is stands first
        self._waiting: dict[str, tuple[OrderedDict[T, None], OrderedDict[T, None]]] = {}
        self._where: dict[T, str] = {}

    def set_limit(self, limit: int) -> None:
        """Changes the number of slots; what runs goes on."""
        self.limit = limit
        self.free_limit = min(limit, self._free)

    @property
    def state(self) -> AdmissionState:
        """The present state."""
        return AdmissionState(
            running=len(self._running),
            waiting=len(self._where),
            free_limit=self.free_limit,
            limit=self.limit,
            held_back=bool(self._where),
        )

    @property
    def wants_load(self) -> bool:
        """Tells whether a script waits that only an idle processor can help: then `admit` is to be called again."""
        return bool(self._where) and self.free_limit <= len(self._running) < self.limit

    def request(self, member: T, component: str, *, begun: bool) -> bool:
        """Asks for a slot.

        Args:
            member: Who asks.
            component: Whose turn it uses.
            begun: Its event has run scripts already.

        Returns:
            True if it has one now, False if it waits; `admit` then tells when it was its turn.
        """
        if self._of_component[component] < self._own or (not self._where and len(self._running) < self.free_limit):
            self._run(member, component)
            return True
        going_on, beginning = self._waiting.setdefault(component, (OrderedDict(), OrderedDict()))
        (going_on if begun else beginning)[member] = None
        self._where[member] = component
        return False

    def waits(self, member: T) -> bool:
        """Tells whether a member waits for a slot."""
        return member in self._where

    def release(self, member: T) -> None:
        """Gives back a slot, or takes back the request for one; `admit` then says which one that helps."""
        component = self._running.pop(member, None)
        if component is not None:
            self._of_component[component] -= 1
        component = self._where.pop(member, None)
        if component is not None:
            for queue in self._waiting[component]:
                queue.pop(member, None)
            self._forget_if_empty(component)

    def admit(self, load: Load | None) -> T | None:
        """Gives a slot to the next in turn, if there is one to give; call again until it returns None.

        Args:
            load: The load right now, None if it is unknown; then only the free slots are given.
        """
        if not self._where:
            return None
        for component in self._waiting:
            if self._of_component[component] < self._own:
                return self._next(component)
        running = len(self._running)
        if running >= self.limit:
            return None
        if running >= self.free_limit and (load is None or load.runnable >= self._busy):
            return None
        return self._next(next(iter(self._waiting)))

    def _run(self, member: T, component: str) -> None:
        self._running[member] = component
        self._of_component[component] += 1

    def _next(self, component: str) -> T:
        queues = self._waiting.pop(component)
        queue = queues[0] or queues[1]
        member = next(iter(queue))
        del queue[member], self._where[member]
        if queues[0] or queues[1]:
            self._waiting[component] = queues  # to the end of the line
        self._run(member, component)
        return member

    def _forget_if_empty(self, component: str) -> None:
        if not any(self._waiting[component]):
            del self._waiting[component]
