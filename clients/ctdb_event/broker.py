"""The broker itself, as frozen values: who it is, what it can do, what it counts.

Times and defaults as in `results`.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

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
    subscriptions: int = attrs.field(default=attrs.Factory(lambda self: self.requests, takes_self=True))
    """Under way on one connection, at most; further ones are refused."""


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
