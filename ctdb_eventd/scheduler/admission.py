"""How many scripts may run at once: a policy that depends on the load. Pure.

Scripts that wait (for duplicate address detection, for a TCP reset, for a lock) use no processor and should all run.
Scripts that compute compete for the processors; too many of them exceed their events' timeouts. Which kind a script is
can't be known before it runs, so a fixed number of them starts in any case, and more only while processors are idle.

Each component has a few slots of its own, so that a component whose scripts all hang doesn't block others.
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
# Runnable processes for each processor below which another script may start. One would be full load; but a script is
# runnable for its first millisecond whatever it does later, so with a limit of one the starts themselves would count.
_RUNNABLE_PER_PROCESSOR = 3


@attrs.frozen(repr=False)
class Load:
    """The current load of the machine."""

    runnable: int
    """Running and runnable processes, without this one."""


@attrs.frozen(repr=False)
class AdmissionState:
    """A snapshot of the policy, for display."""

    running: int
    """Scripts that hold a slot."""
    waiting: int
    """Scripts that wait for one."""
    free_limit: int
    """The number that may run whatever the load is."""
    limit: int
    """The maximum number, without the components' own slots."""
    held_back: bool
    """A script waits because the processors are busy, or because the limit is reached."""


class Admission(Generic[T]):
    """Slots for running scripts: round robin between the components, first come first served in each.

    Scripts of events that have begun come before the first scripts of other events.
    """

    def __init__(self, *, processors: int, limit: int, own: int = 0) -> None:
        """Starts with every slot free.

        Args:
            processors: Processors that scripts can use.
            limit: Slots in all; at least 1.
            own: Slots that each component has in addition, whatever the load is.
        """
        self._free = _FREE_PER_PROCESSOR * processors + _FREE_BESIDES
        self.free_limit = min(limit, self._free)
        self.limit = limit
        self._own = own
        self._busy = _RUNNABLE_PER_PROCESSOR * processors
        self._running: dict[T, str] = {}
        self._of_component: Counter[str] = Counter()
        # for each component the scripts of begun events and the first scripts; the next component comes first
        self._waiting: dict[str, tuple[OrderedDict[T, None], OrderedDict[T, None]]] = {}
        self._where: dict[T, str] = {}

    def set_limit(self, limit: int) -> None:
        """Changes the number of slots; running scripts are unaffected."""
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
        """Whether a script waits only for an idle processor: then `admit` has to be called again."""
        return bool(self._where) and self.free_limit <= len(self._running) < self.limit

    def request(self, member: T, component: str, *, begun: bool) -> bool:
        """Requests a slot.

        Args:
            member: The requester.
            component: Its component.
            begun: Its event has run scripts already.

        Returns:
            True if it has one now, False if it waits; then a call of `admit` returns it later.
        """
        if self._of_component[component] < self._own or (not self._where and len(self._running) < self.free_limit):
            self._run(member, component)
            return True
        ongoing, first = self._waiting.setdefault(component, (OrderedDict(), OrderedDict()))
        (ongoing if begun else first)[member] = None
        self._where[member] = component
        return False

    def waits(self, member: T) -> bool:
        """Returns whether a member waits for a slot."""
        return member in self._where

    def release(self, member: T) -> None:
        """Releases a slot, or withdraws the request for one; call `admit` after it."""
        component = self._running.pop(member, None)
        if component is not None:
            self._of_component[component] -= 1
        component = self._where.pop(member, None)
        if component is not None:
            for queue in self._waiting[component]:
                queue.pop(member, None)
            self._forget_if_empty(component)

    def admit(self, load: Load | None) -> T | None:
        """Grants a free slot to the next member and returns it; call it until it returns None.

        Args:
            load: The current load; None if it is unknown, then only slots up to `free_limit` are granted.
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
            self._waiting[component] = queues  # to the end of the round
        self._run(member, component)
        return member

    def _forget_if_empty(self, component: str) -> None:
        if not any(self._waiting[component]):
            del self._waiting[component]
