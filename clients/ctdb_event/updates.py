"""What happens while one waits, as frozen values: one class for each kind of note that a broker sends.

Kinds of later brokers are `Unknown`. Points in time are seconds since the epoch, durations are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ctdb_event.fields import Fields

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
    "read_update",
]


@attrs.frozen(kw_only=True)
class Update:
    """Something happened. The four names are empty where they make no sense, as for the lock of a client."""

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


@attrs.frozen(kw_only=True)
class Queued(Update):
    """A run has to wait. One that starts at once has no such update."""


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
    """A script printed something. Pieces end where they end, in the middle of a line or character too."""

    script: str
    """Its name, without `.script`."""
    output: bytes
    """What it printed."""


@attrs.frozen(kw_only=True)
class ScriptFinished(Update):
    """A script is over, or was passed over."""

    script: str
    """Its name, without `.script`."""
    state: str
    """As in `Script`."""
    result: int
    """As in `Script`."""
    seconds: float
    """How long it ran."""


@attrs.frozen(kw_only=True)
class Finished(Update):
    """A run is over."""

    outcome: str
    """As in `Run`."""
    summary: int
    """As in `Run`."""
    waited: float
    """How long it waited before it started."""
    seconds: float
    """How long it ran."""


@attrs.frozen(kw_only=True)
class LockWaiting(Update):
    """A script, an address event or a client has to wait for locks."""

    locks: tuple[str, ...]
    """Their names."""
    lock: int | None
    """The number of a client's lock."""
    text: str
    """For people: who waits."""


@attrs.frozen(kw_only=True)
class LockAcquired(Update):
    """One that had to wait for locks has them."""

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
class Gap(Update):
    """Updates are missing here: this program took them too slowly."""

    lost: int
    """How many."""


@attrs.frozen(kw_only=True)
class Unknown(Update):
    """An update of a kind that this version doesn't know."""

    kind: str
    """As the broker calls it."""
    data: Mapping[str, Any]
    """All that it says."""


def _lock(take: Fields) -> dict[str, Any]:
    return {"locks": take.texts("locks"), "lock": take.maybe(take.whole, "lock"), "text": take.text("text")}


_KINDS: dict[str, tuple[type[Update], Callable[[Fields], dict[str, Any]]]] = {
    "queued": (Queued, lambda take: {}),
    "started": (Started, lambda take: {"waited": take.number("waited")}),
    "script-started": (ScriptStarted, lambda take: {"script": take.text("script"), "pid": take.whole("pid")}),
    "output": (Output, lambda take: {"script": take.text("script"), "output": take.binary("output")}),
    "script-finished": (
        ScriptFinished,
        lambda take: {
            "script": take.text("script"),
            "state": take.text("state"),
            "result": take.whole("result"),
            "seconds": take.number("seconds"),
        },
    ),
    "finished": (
        Finished,
        lambda take: {
            "outcome": take.text("outcome"),
            "summary": take.whole("summary"),
            "waited": take.number("waited"),
            "seconds": take.number("seconds"),
        },
    ),
    "lock-waiting": (LockWaiting, _lock),
    "lock-acquired": (LockAcquired, lambda take: {**_lock(take), "seconds": take.number("seconds")}),
    "health": (
        Health,
        lambda take: {
            "healthy": take.flag("healthy"),
            "script": take.maybe(take.text, "script"),
            "result": take.whole("result"),
        },
    ),
    "gap": (Gap, lambda take: {"lost": take.whole("lost")}),
}


# said where it makes sense, and may be left out where not
_NOBODY: dict[str, Any] = {"run": None, "component": None, "event": None, "args": []}


def read_update(kind: str, number: int, data: dict[str, Any]) -> Update:
    """Makes an update of a note.

    Raises:
        MalformedAnswer: It lacks something, or something in it is of another type than it has to be.
    """
    take = Fields({**_NOBODY, **{key: value for key, value in data.items() if value is not None}}, kind)
    common: dict[str, Any] = {
        "number": number,
        "time": take.number("time"),
        "run": take.maybe(take.text, "run"),
        "component": take.maybe(take.text, "component"),
        "event": take.maybe(take.text, "event"),
        "args": take.texts("args"),
    }
    if kind not in _KINDS:
        return Unknown(**common, kind=kind, data=data)
    build, further = _KINDS[kind]
    return build(**common, **further(Fields(data, kind)))
