"""The stages of a job in the scheduler's core, their legal transitions, and the core's actions.

Only values and the table of transitions: what causes a transition is in `core`.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs

from ctdb_eventd.events import Plan
from ctdb_eventd.scheduler.admission import AdmissionState
from ctdb_eventd.scheduler.locks import LockState

__all__ = ["Action", "CoreState", "Entry", "Stage"]

J = TypeVar("J", bound=Hashable)


class Stage(enum.Enum):
    """The stage of a job."""

    QUEUED = "queued"
    """It waits in its component's backlog."""
    LOCKING = "locking"
    """It has left the backlog's queue and waits for its address; other jobs of the component may run."""
    RUNNING = "running"
    """Its scripts run, one at a time, each with the locks that it needs and a slot."""
    RELEASED = "released"
    """Other jobs of its component may run, but one of its processes is left, and keeps the address and its locks."""
    FORGOTTEN = "forgotten"
    """It has ended, with all its processes."""


_LEGAL = {
    Stage.QUEUED: (Stage.LOCKING, Stage.RUNNING, Stage.FORGOTTEN),
    Stage.LOCKING: (Stage.RUNNING, Stage.FORGOTTEN),
    Stage.RUNNING: (Stage.RELEASED,),
    Stage.RELEASED: (Stage.FORGOTTEN,),
    Stage.FORGOTTEN: (),
}
"""For each stage the ones that may follow it."""


class Action(enum.Enum):
    """What the scheduler has to do with a job, or with a client's lock request."""

    REFUSE = enum.auto()
    """Reply that it was cancelled: it never ran, and is forgotten."""
    START = enum.auto()
    """Start it; `released` and `gone` are to be called for it."""
    WAIT = enum.auto()
    """Publish that it has to wait for its address; otherwise nothing."""
    GO = enum.auto()
    """Start its next script, which waits for this."""
    YIELD = enum.auto()
    """End it soon, since another event has to run; shortens the grace period of one that is being ended."""
    END = enum.auto()
    """End it: its request was cancelled."""
    DEADLOCK = enum.auto()
    """Reply that it did not run: it would wait for its parent, which waits for it. It is forgotten."""
    FAIL = enum.auto()
    """Reply that it did not run: its address is held by a script that can't be killed. It is forgotten."""
    GRANT = enum.auto()
    """Reply to a client that its queued lock request is granted."""


@attrs.define(kw_only=True, eq=False, repr=False)
class Entry:
    """The core's data about a job."""

    component: str
    plan: Plan
    stage: Stage = Stage.QUEUED
    """Changed by `move` only."""
    batch: int = 0
    """Number of its batch: address events of one batch run side by side."""
    begun: bool = False
    """It has requested permission to run a script."""
    stuck: bool = False
    """Its last script can't be killed."""

    def move(self, stage: Stage) -> None:
        """Changes to another stage.

        Raises:
            RuntimeError: The transition is not legal.
        """
        if stage not in _LEGAL[self.stage]:
            legal = ", ".join(one.value for one in _LEGAL[self.stage]) or "nothing"
            raise RuntimeError(f"a job that is {self.stage.value} can't become {stage.value}, only: {legal}")
        self.stage = stage


@attrs.frozen(repr=False)
class CoreState(Generic[J]):
    """A snapshot: the stage of each job, and the owners and waiters of each lock."""

    stages: tuple[tuple[J, Stage], ...]
    addresses: tuple[LockState[J], ...]
    scripts: tuple[LockState[J], ...]
    admission: AdmissionState
