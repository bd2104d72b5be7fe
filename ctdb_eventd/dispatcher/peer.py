"""A client as the dispatcher knows it: its process, its requests in progress, and the locks that it holds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from ctdb_eventd.handover import LeftCall, LeftLock

__all__ = ["Cancellable", "NamedLock", "OwnCall", "Peer", "Revocable"]


class Cancellable(Protocol):
    """A request in progress."""

    def cancel(self) -> None:
        """Cancels it without a reply."""

    def left(self) -> Mapping[str, Any]:
        """Returns its state for another program, besides the request: fields of `handover.LeftCall`."""

    def take_up(self, left: LeftCall) -> None:
        """Restores its state from a former program."""


class Revocable(Protocol):
    """What can be cancelled, without a reply or with one."""

    def cancel(self) -> None:
        """Cancels it without a reply."""

    def revoke(self) -> bool:
        """Cancels it, with a reply that says so, now or later; returns whether it had been started."""


class OwnCall(Cancellable, Revocable, Protocol):
    """A request that its client can cancel by another request."""

    @property
    def ending(self) -> tuple[str, ...]:
        """Arguments of `audit` when the client cancels it; empty if it only reads."""


class NamedLock(Revocable, Protocol):
    """Locks that a client holds or waits for. `cancel` releases them too."""

    @property
    def number(self) -> int:
        """Its number, unique in this daemon."""

    def left(self) -> LeftLock:
        """Returns its state for another program."""


@attrs.define(eq=False, repr=False)
class Peer:
    """The process at the other end of a session."""

    pid: int
    uid: int
    groups: frozenset[int] = frozenset()
    """Its groups, by number; empty, as not needed, for users who may do everything."""
    label: str = ""
    """User and process, for the log; empty until it is needed."""
    program: str | None = None
    """The name of the process; None until it is needed."""
    jobs: frozenset[Hashable] | None = None
    """The job whose script is an ancestor of the process, if any; None until it is needed. It can't change."""
    calls: dict[int, OwnCall] = attrs.field(factory=dict)
    """Its requests that can be cancelled, by id."""
    locks: dict[int, NamedLock] = attrs.field(factory=dict)
    """The locks that it holds, by number."""
    subscriptions: int = 0
    """Calls of `subscribe` in progress."""

    def release_locks(self) -> None:
        """Releases its locks, as it has disconnected."""
        locks, self.locks = self.locks, {}
        for lock in locks.values():
            lock.cancel()
