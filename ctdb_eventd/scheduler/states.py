"""The states of a job in the scheduler's core, their legal transitions, and the actions that the core decides on.

Only values and the table: what makes a job go from one to the next is in `core`.
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
    """Where a job is."""

    QUEUED = "queued"
    """Waits in its component's backlog."""
    LOCKING = "locking"
    """Let go by the backlog, waits for its address; others of the component may have gone on."""
    RUNNING = "running"
    """Its scripts run, one at a time, each with the locks it needs and a slot."""
    RELEASED = "released"
    """Its component goes on, but something of it is left: its address, and its last script's locks, stay held."""
    FORGOTTEN = "forgotten"
    """Nothing of it is left."""


_LEGAL = {
    Stage.QUEUED: (Stage.LOCKING, Stage.RUNNING, Stage.FORGOTTEN),
    Stage.LOCKING: (Stage.RUNNING, Stage.FORGOTTEN),
    Stage.RUNNING: (Stage.RELEASED,),
    Stage.RELEASED: (Stage.FORGOTTEN,),
    Stage.FORGOTTEN: (),
}
"""From each stage to those that may follow it."""


class Action(enum.Enum):
    """What has to be done with a job, or with a client's request for locks."""

    REFUSE = enum.auto()
    """Answer it as cancelled: it never ran, and is forgotten."""
    START = enum.auto()
    """Start it; `released` and `gone` are to be called for it."""
    WAIT = enum.auto()
    """Nothing, but it may be published: it would start now, but has to wait for its address."""
    GO = enum.auto()
    """Let its next script start, for which it waits."""
    YIELD = enum.auto()
    """End it, and soon if it is being ended already: something else wants its place."""
    END = enum.auto()
    """End it: nobody wants its result any more."""
    DEADLOCK = enum.auto()
    """Answer it as not run: it would wait for its parent, which waits for it. It is forgotten."""
    FAIL = enum.auto()
    """Answer it as not run: its address is held by a script that can't be ended. It is forgotten."""
    GRANT = enum.auto()
    """Tell a client that it has the locks for which it waited."""


@attrs.define(kw_only=True)
class Entry:
    """What the core knows of a job."""

    component: str
    plan: Plan
    stage: Stage = Stage.QUEUED
    """Changed by `move` only."""
    batch: int = 0
    """Which address events it ran with: those with the same number."""
    begun: bool = False
    """It has asked for leave to run a script."""
    stuck: bool = False
    """Its last script can't be ended."""

    def move(self, stage: Stage) -> None:
        """Goes on to another stage.

        Raises:
            RuntimeError: That is no legal transition.
        """
        if stage not in _LEGAL[self.stage]:
            legal = ", ".join(one.value for one in _LEGAL[self.stage]) or "nothing"
            raise RuntimeError(f"a job that is {self.stage.value} can't become {stage.value}, only: {legal}")
        self.stage = stage


@attrs.frozen
class CoreState(Generic[J]):
    """Who is where, and who waits for what, at one moment."""

    stages: tuple[tuple[J, Stage], ...]
    addresses: tuple[LockState[J], ...]
    scripts: tuple[LockState[J], ...]
    admission: AdmissionState
