"""Updates as frozen values: one class for each kind of note that a broker sends.

Kinds of later brokers are `Unknown`. Points in time are seconds since the epoch, durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ctdb_event.results import Run
from ctdb_event.words import Outcome, ScriptState

__all__ = [
    "Finished",
    "Gap",
    "Health",
    "LockAcquired",
    "LockWaiting",
    "Output",
    "Queued",
    "ScriptFinished",
    "ScriptStarted",
    "Started",
    "Unknown",
    "Update",
    "Upgraded",
]


@attrs.frozen(kw_only=True)
class Update:
    """Base of all updates. Run, component, event and args are empty where they don't apply, as for a client's lock."""

    number: int
    """One more than that of the update before it, of the same request."""
    time: float
    """When it happened."""
    run: str | None
    """Id of the run that it is about."""
    component: str | None
    """Names the directory of scripts."""
    event: str | None
    """The scripts' first argument."""
    args: tuple[str, ...]
    """Their further arguments."""
    address: str | None = None
    """Of an address event; None too if the broker doesn't say."""


@attrs.frozen(kw_only=True)
class Queued(Update):
    """A run has to wait. One that starts at once has no such update."""

    holder: str | None = None
    """For people: the event that it waits for first; None if the broker doesn't say."""


@attrs.frozen(kw_only=True)
class Started(Update):
    """A run started."""

    waited: float
    """How long it waited before."""


@attrs.frozen(kw_only=True)
class ScriptStarted(Update):
    """A script started."""

    script: str
    """Its name, without `.script`."""
    pid: int
    """Its process, and process group."""


@attrs.frozen(kw_only=True)
class Output(Update):
    """A piece of a script's output, which may end in the middle of a line or character."""

    script: str
    """Its name, without `.script`."""
    output: bytes
    """What it printed."""


@attrs.frozen(kw_only=True)
class ScriptFinished(Update):
    """A script has ended, or was skipped."""

    script: str
    """Its name, without `.script`."""
    state: ScriptState
    """As in `Script`."""
    result: int
    """As in `Script`."""
    seconds: float
    """How long it ran."""


@attrs.frozen(kw_only=True)
class Finished(Update):
    """A run has ended."""

    outcome: Outcome
    """As in `Run`."""
    summary: int
    """As in `Run`."""
    waited: float
    """How long it waited before it started."""
    seconds: float
    """How long it ran."""
    report: Run | None = None
    """The whole run, if that was asked for."""


@attrs.frozen(kw_only=True)
class LockWaiting(Update):
    """A script, an address event or a client has to wait for locks."""

    locks: tuple[str, ...]
    """Their names."""
    lock: int | None
    """The number of a client's lock."""
    text: str
    """For people: who waits."""
    holder: str | None = None
    """For people: who has one of them, or wants it first; None if nobody is known."""


@attrs.frozen(kw_only=True)
class LockAcquired(Update):
    """A script, an address event or a client that had to wait for locks has got them."""

    locks: tuple[str, ...]
    """Their names."""
    lock: int | None
    """The number of a client's lock."""
    text: str
    """For people: who waited."""
    seconds: float
    """For how long."""


@attrs.frozen(kw_only=True)
class Health(Update):
    """The outcome of a component's monitor event changed."""

    healthy: bool
    """No script of it failed."""
    script: str | None
    """The one that failed."""
    result: int
    """Its result; 0 if none failed."""


@attrs.frozen(kw_only=True)
class Upgraded(Update):
    """The broker was upgraded; the fields are those of `Upgrade`."""

    former: str
    version: str
    waited: float
    seconds: float


@attrs.frozen(kw_only=True)
class Gap(Update):
    """Updates were dropped here, since this program read them too slowly."""

    lost: int
    """How many."""


@attrs.frozen(kw_only=True)
class Unknown(Update):
    """An update of a kind that this version doesn't know."""

    kind: str
    """Its name in the protocol."""
    data: Mapping[str, Any]
    """Its complete data."""
