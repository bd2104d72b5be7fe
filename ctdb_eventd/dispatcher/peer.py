"""A client as the dispatcher knows it: who it is, and what it has under way and holds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from ctdb_eventd.handover import LeftCall, LeftLock

__all__ = ["Cancellable", "NamedLock", "OwnCall", "Peer", "Revocable"]


class Cancellable(Protocol):
    """A request that is being carried out."""

    def cancel(self) -> None:
        """Takes it back: it will not be answered."""

    def left(self) -> Mapping[str, Any]:
        """Returns what another program needs, besides the request, to go on with it: fields of `handover.LeftCall`."""

    def take_up(self, left: LeftCall) -> None:
        """Goes on where a former program was with it."""


class Revocable(Protocol):
    """What can be taken back, or ended by another request."""

    def cancel(self) -> None:
        """Takes it back: it will not be answered."""

    def revoke(self) -> bool:
        """Has it answered as cancelled, now or in a moment; tells whether it was more than waiting."""


class OwnCall(Cancellable, Revocable, Protocol):
    """A request that its client can end."""

    @property
    def ending(self) -> tuple[str, ...]:
        """Arguments of `audit` when the client ends it; empty if it only reads."""


class NamedLock(Revocable, Protocol):
    """Locks that a client has or waits for. `cancel` gives them back too."""

    @property
    def number(self) -> int:
        """Tells it apart from others."""

    def left(self) -> LeftLock:
        """Returns what another program needs to go on with it."""


@attrs.define
class Peer:
    """The process at the other end of a session."""

    pid: int
    uid: int
    groups: frozenset[int] = frozenset()
    """Its groups, by number; not looked at for those who may do everything."""
    label: str = ""
    """Who it is, for the log; empty until that was found out."""
    program: str | None = None
    """The name that the process goes by; None until that was found out."""
    jobs: frozenset[Hashable] | None = None
    """The job from whose script it descends, if any; None until that was found out. It can't change."""
    calls: dict[int, OwnCall] = attrs.field(factory=dict)
    """What it asked for that can be cancelled, by the request's id."""
    locks: dict[int, NamedLock] = attrs.field(factory=dict)
    """The locks that it holds, by number."""
    subscriptions: int = 0
    """Calls of `subscribe` under way."""

    def release_locks(self) -> None:
        """Gives back what it holds, when it has gone."""
        locks, self.locks = self.locks, {}
        for lock in locks.values():
            lock.cancel()
