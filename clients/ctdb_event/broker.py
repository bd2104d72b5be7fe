"""The broker itself, as frozen values: who it is, what it can do, what it counts.

Times as in `results`. Every `from_wire` raises MalformedAnswer.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ctdb_event.fields import Fields

__all__ = ["Hello", "Limits", "Slots", "Stats"]


@attrs.frozen(kw_only=True)
class Limits:
    """What the broker lets a client do."""

    packet: int
    """Bytes of a request, at most."""
    requests: int
    """Under way on one connection, at most; further ones wait."""
    unsent: int
    """Bytes of updates that wait for a slow reader, beyond which they are left out."""
    subscriptions: int
    """Under way on one connection, at most; further ones are refused."""

    @classmethod
    def from_wire(cls, value: object) -> Limits:
        """Reads the `limits` of `hello`."""
        take = Fields(value, "limits")
        requests = take.whole("requests")
        return cls(
            packet=take.whole("packet"),
            requests=requests,
            unsent=take.whole("unsent"),
            subscriptions=take.later(take.whole, "subscriptions", requests),
        )


@attrs.frozen(kw_only=True)
class Hello:
    """Who the broker is, and what it can do."""

    version: int
    """Of the native dialect."""
    server: str
    """Name and version: `ctdb-eventd 0.1.0`."""
    pid: int
    """Of its process."""
    started: float
    """When it started."""
    methods: tuple[str, ...]
    """What can be asked for."""
    limits: Limits
    """What it lets a client do."""

    @classmethod
    def from_wire(cls, value: object) -> Hello:
        """Reads the result of `hello`."""
        take = Fields(value, "hello")
        return cls(
            version=take.whole("version"),
            server=take.text("server"),
            pid=take.whole("pid"),
            started=take.number("started"),
            methods=take.texts("methods"),
            limits=take.part("limits", Limits.from_wire),
        )


@attrs.frozen(kw_only=True)
class Slots:
    """How many scripts run at once."""

    running: int
    """Now."""
    waiting: int
    """Scripts that wait for a slot."""
    free_limit: int
    """So many start whatever the load."""
    limit: int
    """More never run at once."""

    @classmethod
    def from_wire(cls, value: object) -> Slots:
        """Reads the `slots` of `stats`."""
        take = Fields(value, "slots")
        return cls(
            running=take.whole("running"),
            waiting=take.whole("waiting"),
            free_limit=take.whole("free_limit"),
            limit=take.whole("limit"),
        )


@attrs.frozen(kw_only=True)
class Stats:
    """What the broker counts."""

    version: str
    """Of the program."""
    pid: int
    """Of its process."""
    started: float
    """When it started."""
    uptime: float
    """How long ago that is."""
    processor_seconds: float
    """Time on processors that it used."""
    memory: int
    """Bytes of memory, resident."""
    descriptors: int
    """Open files."""
    clients: int
    """Connections."""
    subscribers: int
    """Subscriptions."""
    requests: int
    """Since it started."""
    notes_lost: int
    """Updates that were left out for slow readers."""
    runs: Mapping[str, int]
    """How many ended with each outcome."""
    scripts_started: int
    """Since it started."""
    queued: int
    """Runs that wait."""
    running: int
    """Runs that run."""
    slots: Slots
    """How many scripts run at once."""

    @classmethod
    def from_wire(cls, value: object) -> Stats:
        """Reads the result of `stats`."""
        take = Fields(value, "stats")
        return cls(
            version=take.text("version"),
            pid=take.whole("pid"),
            started=take.number("started"),
            uptime=take.number("uptime"),
            processor_seconds=take.number("processor_seconds"),
            memory=take.whole("memory"),
            descriptors=take.whole("descriptors"),
            clients=take.whole("clients"),
            subscribers=take.whole("subscribers"),
            requests=take.whole("requests"),
            notes_lost=take.whole("notes_lost"),
            runs=take.counts("runs"),
            scripts_started=take.whole("scripts_started"),
            queued=take.whole("queued"),
            running=take.whole("running"),
            slots=take.part("slots", Slots.from_wire),
        )
