"""What is put into the history, how much of it is kept, and what can be asked of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from ctdb_eventd.model import ScriptReport, Wait

__all__ = ["Bounds", "Ended", "Examined", "Record", "Started", "Wanted", "history_file", "storable"]


@attrs.frozen(kw_only=True)
class Bounds:
    """How much is kept; what is older, or more, goes."""

    days: float = 90.0
    runs: int = 500_000
    size: int = 256 << 20
    """Bytes of the file."""
    output: int = 16 << 10
    """Bytes of the output of one script; of more its beginning and its end."""


# Two are made for every run, and frozen fields take four times as long to set.
@attrs.define(kw_only=True)
class Started:
    """A run was asked for. Treat as immutable."""

    run: str
    component: str
    event: str
    args: tuple[str, ...]
    address: str | None
    queued: float
    """Seconds since the epoch."""
    uid: int | None = None
    """Who asked; None if that isn't known."""
    pid: int | None = None
    program: str | None = None


@attrs.define(kw_only=True)
class Ended:
    """A run is over. Treat as immutable."""

    run: str
    outcome: str
    summary: int
    waited: float
    """Seconds from the request to the start, or to the end if it never started."""
    seconds: float
    scripts: tuple[ScriptReport, ...] = ()
    waits: Sequence[Wait] = ()
    ended_by: str | None = None
    """Who cancelled it, or what for it gave way."""


@attrs.frozen(kw_only=True)
class Examined:
    """A script of a run hung, and its processes were looked at. Comes after the run's end."""

    run: str
    script: str
    hung: Mapping[str, object]
    """What was found: see `processes.Hung`."""


Record = Started | Ended | Examined


@attrs.frozen(kw_only=True)
class Wanted:
    """Which runs. None, and False, is no restriction."""

    component: str | None = None
    event: str | None = None
    address: str | None = None
    failed: bool = False
    """Only those that did not end well."""
    since: float | None = None
    """Seconds since the epoch: those that were not over then."""
    until: float | None = None
    """Those that were asked for before."""
    slower: float | None = None
    """Those that waited and ran for more seconds than this."""
    uid: int | None = None
    """Those that this user asked for."""
    by_ctdbd: bool | None = None
    """Those that ctdbd asked for, or those that it did not."""
    limit: int = 50
    """The latest so many."""


def history_file(state_dir: str) -> str:
    """Returns where a node's history is."""
    return f"{state_dir}/eventd/history/history.db"


def storable(text: str | None) -> str | None:
    """Returns a text that SQLite can keep: what is no character in it is written as `\\udcff`. None stays None."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()
