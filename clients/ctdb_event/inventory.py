"""What there is on a node, as frozen values: components, scripts, events and locks.

Times as in `results`. Every `from_wire` raises MalformedAnswer.
"""

from __future__ import annotations

import attrs

from ctdb_event.fields import Fields

__all__ = [
    "Component",
    "EventInfo",
    "Lock",
    "Owner",
    "RefusedFile",
    "ScriptFile",
    "ScriptFiles",
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

    @classmethod
    def from_wire(cls, value: object) -> Component:
        """Reads one of the result of `components`."""
        take = Fields(value, "component")
        return cls(
            name=take.text("name"),
            directory=take.text("directory"),
            scripts=take.whole("scripts"),
            enabled=take.whole("enabled"),
            error=take.maybe(take.text, "error"),
        )


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

    @classmethod
    def from_wire(cls, value: object) -> ScriptFile:
        """Reads one of the `scripts` of `scripts`."""
        take = Fields(value, "script file")
        return cls(
            name=take.text("name"),
            path=take.text("path"),
            target=take.maybe(take.text, "target"),
            enabled=take.flag("enabled"),
            reason=take.maybe(take.text, "reason"),
            warnings=take.texts("warnings"),
            locks=take.texts("locks"),
            events=take.later(lambda key: take.maybe(take.texts, key), "events", None),
            known_from=take.later(lambda key: take.maybe(take.text, key), "known_from", None),
        )


@attrs.frozen(kw_only=True)
class RefusedFile:
    """A file among event scripts that is none."""

    path: str
    """Where it is."""
    reason: str
    """Why it is none."""

    @classmethod
    def from_wire(cls, value: object) -> RefusedFile:
        """Reads one of the `refused` of `scripts`."""
        take = Fields(value, "refused file")
        return cls(path=take.text("path"), reason=take.text("reason"))


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

    @classmethod
    def from_wire(cls, value: object) -> ScriptFiles:
        """Reads the result of `scripts`."""
        take = Fields(value, "scripts")
        return cls(
            component=take.text("component"),
            directory=take.text("directory"),
            scripts=take.parts("scripts", ScriptFile.from_wire),
            refused=take.parts("refused", RefusedFile.from_wire),
        )


@attrs.frozen(kw_only=True)
class EventInfo:
    """An event that the broker knows by name."""

    name: str
    """The scripts' first argument."""
    mode: str
    """`exclusive`, `address` or `monitor`: what may run beside it."""
    args: tuple[str, ...]
    """What its arguments are, in order."""

    @classmethod
    def from_wire(cls, value: object) -> EventInfo:
        """Reads one of the result of `events`."""
        take = Fields(value, "event")
        return cls(name=take.text("name"), mode=take.text("mode"), args=take.texts("args"))


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

    @classmethod
    def from_wire(cls, value: object) -> Owner:
        """Reads the `holder` of a lock, or one of those `waiting`."""
        take = Fields(value, "owner")
        return cls(
            run=take.maybe(take.text, "run"),
            lock=take.maybe(take.whole, "lock"),
            pid=take.maybe(take.whole, "pid"),
            text=take.text("text"),
            since=take.number("since"),
            seconds=take.number("seconds"),
        )


@attrs.frozen(kw_only=True)
class Lock:
    """A lock that somebody holds or waits for."""

    name: str
    """`address:10.0.0.1`, or what scripts and clients call it."""
    kind: str
    """`address` or `named`."""
    holder: Owner | None
    """Who has it."""
    waiting: tuple[Owner, ...]
    """Who wants it, in order; if there are many, the first ones."""
    waiting_more: int
    """How many more want it."""

    @classmethod
    def from_wire(cls, value: object) -> Lock:
        """Reads one of the result of `locks`."""
        take = Fields(value, "lock")
        return cls(
            name=take.text("name"),
            kind=take.text("kind"),
            holder=take.part("holder", lambda owner: None if owner is None else Owner.from_wire(owner)),
            waiting=take.parts("waiting", Owner.from_wire),
            waiting_more=take.later(take.whole, "waiting_more", 0),
        )
