"""What a broker's history says, as frozen values: runs that are over, and what took time.

Times and defaults as in `results`.
"""

from __future__ import annotations

from typing import TypedDict

import attrs

from ctdb_event.results import Requested, Script

__all__ = ["PastRun", "TimeSpent", "Wait", "Which"]


class Which(TypedDict, total=False):
    """Which runs; what is left out, or None, is no restriction."""

    component: str | None
    event: str | None
    address: str | None
    failed: bool
    """Only what did not end well."""
    since: float | None
    """Only what was not over then; seconds since the epoch."""
    until: float | None
    """Only what was asked for before."""
    slower: float | None
    """Only what waited and ran for more seconds."""
    uid: int | None
    """Only what this user asked for."""
    by_ctdbd: bool
    """Only what `ctdbd` asked for."""


@attrs.frozen(kw_only=True)
class Wait:
    """Something that a run waited for."""

    what: str
    """Names of locks, the path of a file that a script locks, `queue` or `slot`."""
    holder: str | None
    """Who had it, for people; None if that isn't known."""
    script: str | None
    """The script that waited; None if the run did."""
    began: float
    """Since when."""
    seconds: float
    """For how long."""


@attrs.frozen(kw_only=True)
class PastRun(Requested):
    """A run that the history knows, by this daemon or a former one."""

    outcome: str | None
    """As of a `Run`, or `interrupted`: the daemon was killed meanwhile. None if it goes on."""
    summary: int | None
    """As of a `Run`."""
    queued: float
    """When the request came."""
    waited: float | None
    """How long from then until it started, or until its end if it never did."""
    seconds: float | None
    """How long from its start to its end."""
    uid: int | None
    """Who asked for it; None if that isn't known."""
    pid: int | None
    """The process that did."""
    program: str | None
    """What that goes by: `ctdbd`, or its name."""
    ended_by: str | None
    """Who cancelled it, or for what it gave way."""
    script_waits: float = 0.0
    """How long its scripts waited, for locks and more; part of `seconds`."""
    bad_scripts: tuple[str, ...] = ()
    """Names of the scripts that failed; of `history` only."""
    scripts: tuple[Script, ...] = ()
    """In the order in which they run; of `past_run` only."""
    waits: tuple[Wait, ...] = ()
    """What it waited for; of `past_run` only."""


@attrs.frozen(kw_only=True)
class TimeSpent:
    """How long a script ran, or something was waited for; in seconds."""

    kind: str
    """`script` or `wait`."""
    name: str
    """Of the script; what was waited for."""
    event: str | None
    """Of a script."""
    count: int
    """How often."""
    total: float
    """In all."""
    median: float
    """Half took no longer."""
    most95: float
    """95 % took no longer."""
    longest: float
