"""What there is on a node, as frozen values: components, scripts, events and locks; and how an upgrade went.

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
    """As `run` and `status` take it."""
    directory: str
    """Its path."""
    scripts: int
    """How many scripts it has."""
    enabled: int
    """How many of them run."""
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
    """It runs."""
    reason: str | None
    """Why it doesn't; None if it does."""
    warnings: tuple[str, ...]
    """What is wrong with it: not safe, no interpreter, runs only here."""
    locks: tuple[str, ...]
    """The locks that it is given while it runs."""
    events: tuple[str, ...] | None = None
    """The events that it is started for; None if these are all."""
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
    """A file among event scripts that is none."""

    path: str
    """Where it is."""
    reason: str
    """Why it is none."""


@attrs.frozen(kw_only=True)
class ScriptFiles:
    """What is in a component's directory."""

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
    """`exclusive`, `address` or `monitor`: what may run beside it."""
    args: tuple[str, ...]
    """What its arguments are, in order."""


@attrs.frozen(kw_only=True)
class Owner:
    """Who holds a lock, or waits for it."""

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
    """The broker goes on as another version of itself; its clients and their requests have stayed."""

    former: str
    """The version that it was."""
    version: str
    """The version that it is."""
    waited: float
    """Until nothing ran any more: in seconds, since it was asked for."""
    seconds: float
    """How long nobody was answered then."""
