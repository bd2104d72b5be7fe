"""The broker's history as frozen values: runs, and the time that scripts and waits took.

Times and defaults as in `results`.
"""

from __future__ import annotations

from typing import TypedDict

import attrs

from ctdb_event.results import Requested, Script
from ctdb_event.words import Outcome

__all__ = ["PastRun", "TimeSpent", "Wait", "Which"]


class Which(TypedDict, total=False):
    """A filter for runs; keys that are missing or None don't restrict."""

    component: str | None
    event: str | None
    address: str | None
    failed: bool
    """Only runs that did not succeed."""
    since: float | None
    """Only runs that had not ended then; seconds since the epoch."""
    until: float | None
    """Only runs that were requested before then."""
    slower: float | None
    """Only runs that took more seconds, with their waits."""
    uid: int | None
    """Only runs that this user requested."""
    by_ctdbd: bool
    """Only runs that `ctdbd` requested."""


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
    """A run in the history, of this daemon or a former one."""

    outcome: Outcome | None
    """As in `Run`, or `interrupted`: the daemon was killed during the run. None if it is still running."""
    summary: int | None
    """As in `Run`."""
    queued: float
    """When the request came."""
    waited: float | None
    """How long from then until it started, or until its end if it never did."""
    seconds: float | None
    """How long from its start to its end."""
    uid: int | None
    """The user who requested it; None if that isn't known."""
    pid: int | None
    """The process that requested it."""
    program: str | None
    """That process's name: `ctdbd`, or another one."""
    ended_by: str | None
    """Who cancelled it, or which event it gave way to."""
    script_waits: float = 0.0
    """How long its scripts waited, for locks and more; part of `seconds`."""
    bad_scripts: tuple[str, ...] = ()
    """Names of the scripts that failed; of `history` only."""
    scripts: tuple[Script, ...] = ()
    """In the order in which they run; of `past_run` only."""
    waits: tuple[Wait, ...] = ()
    """Its waits; in `past_run` only."""


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
    """The 50th percentile."""
    most95: float
    """The 95th percentile."""
    longest: float
