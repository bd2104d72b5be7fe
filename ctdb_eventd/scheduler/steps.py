"""The words of the scheduler's core: where a job can be, what can be to do, and how a look at all of it is returned."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs

from ctdb_eventd.events import Plan
from ctdb_eventd.scheduler.admission import AdmissionState
from ctdb_eventd.scheduler.locks import LockState

__all__ = ["Asked", "CoreState", "Do", "Entry", "Stage"]

J = TypeVar("J", bound=Hashable)


class Stage(enum.Enum):
    """Where a job is."""

    QUEUED = enum.auto()
    LOCKING = enum.auto()
    RUNNING = enum.auto()
    RELEASED = enum.auto()


class Do(enum.Enum):
    """What has to be done with a job."""

    REFUSE = enum.auto()
    """Answer it as cancelled: it never ran, and is forgotten."""
    START = enum.auto()
    """Start it; `released` and `gone` are to be called for it."""
    WAIT = enum.auto()
    """Nothing, but it may be told: it would start now, but has to wait for its address."""
    GO = enum.auto()
    """Let its next script start, for which it waits."""
    YIELD = enum.auto()
    """End it, and soon if it is being ended already: something else wants its place."""
    END = enum.auto()
    """End it: nobody wants its result any more."""
    DEADLOCK = enum.auto()
    """Answer it as not run: it would wait for who waits for the one that asked for it. It is forgotten."""
    FAIL = enum.auto()
    """Answer it as not run: its address is held by a script that can't be ended. It is forgotten."""


@attrs.define(kw_only=True)
class Asked(Generic[J]):
    """Who asked for something, and waits for it."""

    asker: J | None
    """The job whose script did."""
    behind: frozenset[Hashable]
    """The claimants whose children did."""

    @property
    def waiters(self) -> tuple[Hashable, ...]:
        """All of them."""
        return (*self.behind,) if self.asker is None else (self.asker, *self.behind)


@attrs.define(kw_only=True)
class Entry(Asked[J]):
    """What the core knows of a job."""

    component: str
    plan: Plan
    stage: Stage = Stage.QUEUED
    batch: int = 0
    """Which address events it ran with: those with the same number."""
    begun: bool = False
    """It has asked for leave to run a script."""
    stuck: bool = False
    """Its last script can't be ended."""


@attrs.frozen
class CoreState(Generic[J]):
    """Who is where, and who waits for what, at one moment."""

    stages: tuple[tuple[J, Stage], ...]
    addresses: tuple[LockState[J], ...]
    scripts: tuple[LockState[J], ...]
    admission: AdmissionState
