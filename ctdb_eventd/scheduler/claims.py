"""Named locks of clients, from the moment they are asked for until they are given back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable
from itertools import count
from typing import Any, Protocol

from ctdb_eventd.errors import RequestError
from ctdb_eventd.refusals import Cancelled, LockTimeout
from ctdb_eventd.scheduler.teller import Teller

__all__ = ["Claim", "ClaimDone", "Claims"]

ClaimDone = Callable[[float | RequestError], None]
"""Is told, once, for how many seconds it waited for the locks that it has now, or why it doesn't get them."""


class LockCore(Protocol):
    """The part of the scheduler's core that has the locks."""

    def claim(self, claimant: Hashable, locks: tuple[str, ...], parents: frozenset[Hashable] = ...) -> bool:
        """Asks for locks; see Core."""

    def drop(self, claimant: Hashable) -> None:
        """Gives them back; see Core."""

    def obstacle(self, claimant: Hashable) -> tuple[Any, float] | None:
        """Tells who has them, or wants them first; see Core."""


class Claims:
    """Takes clients' wishes, and tells them what comes of these."""

    def __init__(self, core: LockCore, feed: Teller, settle: Callable[[], None]) -> None:
        """Prepares; `settle` sees to it that what was given back comes to those who wait for it."""
        self._core = core
        self._settle = settle
        self._numbers = count(1)
        self._claims: dict[int, Claim] = {}
        self._of_process: dict[int, dict[Claim, None]] = {}
        self.feed = feed

    def ask(
        self,
        names: tuple[str, ...],
        wait: float | None,
        pid: int,
        text: str,
        done: ClaimDone,
        parents: frozenset[Hashable] = frozenset(),
    ) -> Claim:
        """Asks for locks.

        Args:
            names: All of them are taken at once.
            wait: Most seconds to wait; None is no limit.
            pid: The client's process.
            text: Who that is, for people.
            done: Is told what comes of it, possibly before this returns.
            parents: The jobs from whose scripts the client descends, and the claims from whose holders.

        Returns:
            What gives them back.

        Raises:
            WouldDeadlock: One of `parents`, or who waits for one, has one of them or waits for one before.
        """
        claim = Claim(self, next(self._numbers), names, pid, text, done)
        has_them = self._core.claim(claim, names, parents)
        self._claims[claim.number] = claim
        self._of_process.setdefault(pid, {})[claim] = None
        if has_them:
            claim.granted()
        elif wait == 0:
            claim.give_up(0)
        else:
            claim.be_patient(wait)
            self._settle()  # others may have got the slot of the script that waits for it
        return claim

    def granted(self, claim: Claim) -> None:
        """Notes that one who waited has its locks now."""
        claim.granted()

    def drop(self, claim: Claim) -> None:
        """Gives locks back, or forgets the wish for them. Idempotent."""
        if self._claims.pop(claim.number, None) is not None:
            its = self._of_process[claim.pid]
            del its[claim]
            if not its:
                del self._of_process[claim.pid]
        self._core.drop(claim)
        self._settle()

    def __len__(self) -> int:
        """How many have locks or want some."""
        return len(self._claims)

    def of(self, pids: Iterable[int]) -> frozenset[Hashable]:
        """Returns the claims of these processes."""
        return frozenset(claim for pid in pids for claim in self._of_process.get(pid, ()))

    def holder_for(self, claim: Claim) -> dict[str, Any]:
        """Returns for whom somebody waits, in the form of docs/protocol.md."""
        found = self._core.obstacle(claim)
        if found is None:
            raise RuntimeError(f"nobody has {claim.names}, and yet somebody waits for them")
        user, since = found
        owner: dict[str, Any] = user.as_owner(time.monotonic() - since)
        return owner


class Claim:
    """A client's wish for locks, or the locks.

    Attributes:
        number: Tells it apart from others; never used twice.
        names: The locks.
        pid: The client's process.
        text: Who that is, for people.
    """

    __slots__ = ("_asked", "_claims", "_done", "_patience", "_waits", "names", "number", "pid", "text")

    def __init__(
        self, claims: Claims, number: int, names: tuple[str, ...], pid: int, text: str, done: ClaimDone
    ) -> None:
        self._claims = claims
        self._done: ClaimDone | None = done
        self._patience: asyncio.TimerHandle | None = None
        self._asked = time.monotonic()
        self._waits = False
        self.number = number
        self.names = names
        self.pid = pid
        self.text = text

    def __str__(self) -> str:
        return self.text

    def as_owner(self, seconds: float) -> dict[str, Any]:
        """Returns who this is, for one of its locks since so many seconds; in the form of docs/protocol.md."""
        times = {"since": time.time() - seconds, "seconds": seconds}
        return {"run": None, "lock": self.number, "pid": self.pid, "text": self.text, **times}

    def be_patient(self, seconds: float | None) -> None:
        """Sets how long it may wait from now on; None is for ever."""
        self._waits = True
        self._tell("lock-waiting")
        if seconds is not None:
            self._patience = asyncio.get_running_loop().call_later(seconds, self.give_up, seconds)

    def granted(self) -> None:
        """Is told that it has its locks."""
        waited = time.monotonic() - self._asked
        if self._waits:
            self._tell("lock-acquired", seconds=waited)
        self._forget_patience()
        self._answer(waited)

    def give_up(self, seconds: float) -> None:
        """Ends its wait."""
        holder = self._claims.holder_for(self)
        self._forget_patience()
        self._claims.drop(self)
        self._answer(LockTimeout(self.names, seconds, holder))

    def revoke(self) -> bool:
        """Takes back the wish, and has it answered as cancelled; False, as it had not been granted."""
        self._forget_patience()
        self._claims.drop(self)
        self._answer(Cancelled(f"the wait for the lock {' '.join(self.names)}"))
        return False

    def cancel(self) -> None:
        """Gives the locks back, or takes back the wish for them, without an answer. Idempotent."""
        self._done = None
        self._forget_patience()
        self._claims.drop(self)

    def _answer(self, what: float | RequestError) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(what)

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _tell(self, kind: str, **data: object) -> None:
        if self._claims.feed.active:
            data |= {"locks": self.names, "lock": self.number, "text": self.text}
            self._claims.feed.tell(kind, None, None, None, (), data)
