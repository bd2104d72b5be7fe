"""Frozen values of a node's components, scripts, events and locks, and of an upgrade's result.

Times and defaults as in `results`.
"""

from __future__ import annotations

import attrs

__all__ = [
    "Component",
    "EventInfo",
    "Lock",
    "Owner",
    "RefusedFile",
    "ScriptFile",
    "ScriptFiles",
    "Upgrade",
]


@attrs.frozen(kw_only=True)
class Component:
    """A directory of event scripts."""

    name: str
    """Its name in requests."""
    directory: str
    """Its path."""
    scripts: int
    """How many scripts it has."""
    enabled: int
    """How many of them are enabled."""
    error: str | None
    """Why it can't be read; None if it can."""


@attrs.frozen(kw_only=True)
class ScriptFile:
    """An event script on disk."""

    name: str
    """Without `.script`."""
    path: str
    """Of the file, or of the link to it."""
    target: str | None
    """Where a link leads; None if it is a file."""
    enabled: bool
    """It is run for events."""
    reason: str | None
    """Why it isn't run; None if it is."""
    warnings: tuple[str, ...]
    """What is wrong with it: not safe, no interpreter, runs only here."""
    locks: tuple[str, ...]
    """The locks that it holds while it runs."""
    events: tuple[str, ...] | None = None
    """The events that it is started for; None for all events."""
    known_from: str | None = None
    """Where that is known from: `head`, `configuration`, `table`; None if it is started for all."""
    owner: int | None = None
    """The user whose file it is; None if there is no file."""
    modified: float | None = None
    """When its content was last changed."""
    digest: str | None = None
    """SHA-256 of its content, in hex."""


@attrs.frozen(kw_only=True)
class RefusedFile:
    """A file in a component's directory that is no event script."""

    path: str
    """Where it is."""
    reason: str
    """Why it is none."""


@attrs.frozen(kw_only=True)
class ScriptFiles:
    """The files in a component's directory."""

    component: str
    """Its name."""
    directory: str
    """Its path."""
    scripts: tuple[ScriptFile, ...]
    """In the order in which they run."""
    refused: tuple[RefusedFile, ...]
    """Files that are no scripts."""


@attrs.frozen(kw_only=True)
class EventInfo:
    """An event that the broker knows by name."""

    name: str
    """The scripts' first argument."""
    mode: str
    """`exclusive`, `address` or `monitor`: which events may run concurrently."""
    args: tuple[str, ...]
    """What its arguments are, in order."""


@attrs.frozen(kw_only=True)
class Owner:
    """The holder of a lock, or a waiter."""

    run: str | None
    """The run whose script, or address, it is."""
    lock: int | None
    """The number of a client's lock."""
    pid: int | None
    """Of the script, or of the client."""
    text: str
    """For people: the event with its arguments, or the client's command."""
    since: float
    """Since when it holds it or waits."""
    seconds: float
    """For how long."""


@attrs.frozen(kw_only=True)
class Lock:
    """A lock that is held or waited for."""

    name: str
    """`address:10.0.0.1`, or what scripts and clients call it."""
    kind: str
    """`address`, `named`, `command` (such as iptables in scripts) or `file` (its path is the name)."""
    holder: Owner | None
    """Who has it."""
    waiting: tuple[Owner, ...]
    """Who wants it, in order; if there are many, the first ones."""
    waiting_more: int = 0
    """How many more want it."""


@attrs.frozen(kw_only=True)
class Upgrade:
    """The broker was upgraded to another version; its clients and their requests were kept."""

    former: str
    """The former version."""
    version: str
    """The new version."""
    waited: float
    """Seconds from the request until nothing was running any more."""
    seconds: float
    """Seconds after that during which the broker didn't answer."""
