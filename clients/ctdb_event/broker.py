"""The broker's identity, limits and counters, as frozen values.

Times and defaults as in `results`.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

__all__ = ["Hello", "Limits", "Slots", "Stats"]


@attrs.frozen(kw_only=True)
class Limits:
    """The broker's limits for one client."""

    packet: int
    """Maximum bytes of a request."""
    requests: int
    """Maximum pending requests of one connection; further ones wait."""
    unsent: int
    """Maximum bytes of updates that are queued for a slow reader; further ones are dropped."""
    subscriptions: int = attrs.field(default=attrs.Factory(lambda self: self.requests, takes_self=True))
    """Maximum subscriptions of one connection; further ones are refused."""


@attrs.frozen(kw_only=True)
class Hello:
    """The broker's identity and methods."""

    version: int
    """The version of the native dialect."""
    server: str
    """Name and version: `ctdb-eventd 0.1.0`."""
    pid: int
    """Its process id."""
    started: float
    """When it started."""
    methods: tuple[str, ...]
    """The names of its methods."""
    limits: Limits
    """Its limits for one client."""


@attrs.frozen(kw_only=True)
class Slots:
    """How many scripts run at once."""

    running: int
    """Now."""
    waiting: int
    """Scripts that wait for a slot."""
    free_limit: int
    """So many scripts may run at any load."""
    limit: int
    """The maximum number of scripts that run at once."""


@attrs.frozen(kw_only=True)
class Stats:
    """The broker's counters."""

    version: str
    """The program's version."""
    pid: int
    """Its process id."""
    started: float
    """When it started."""
    uptime: float
    """How long ago that is."""
    processor_seconds: float
    """CPU time that it used."""
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
    """Updates that were dropped for slow readers."""
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
