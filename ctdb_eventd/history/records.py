"""The records of the history, its bounds, and the filter of queries. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from ctdb_eventd.model import ScriptReport, Wait

__all__ = ["Bounds", "Ended", "Examined", "Record", "Started", "Wanted", "history_file", "storable"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Bounds:
    """How much is kept; older or further runs are deleted."""

    days: float = 90.0
    runs: int = 500_000
    size: int = 256 << 20
    """Bytes of the file."""
    output: int = 16 << 10
    """Bytes of the output of one script; of longer output the beginning and the end are kept."""


# Two are made for every run, and frozen fields take four times as long to set.
@attrs.define(kw_only=True, eq=False, repr=False)
class Started:
    """A run was requested. Treat as immutable."""

    run: str
    component: str
    event: str
    args: tuple[str, ...]
    address: str | None
    queued: float
    """Seconds since the epoch."""
    uid: int | None = None
    """The user who requested it; None if unknown."""
    pid: int | None = None
    program: str | None = None


@attrs.define(kw_only=True, eq=False, repr=False)
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
    """Who cancelled it, or why it had to yield."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Examined:
    """The processes of a hung script were examined. Follows the run's end."""

    run: str
    script: str
    hung: Mapping[str, object]
    """The result: see `processes.Hung`."""


Record = Started | Ended | Examined


@attrs.frozen(kw_only=True, repr=False)
class Wanted:
    """A filter of runs. None, and False, mean no restriction."""

    component: str | None = None
    event: str | None = None
    address: str | None = None
    failed: bool = False
    """Only those that did not succeed."""
    since: float | None = None
    """Seconds since the epoch: those that ended later."""
    until: float | None = None
    """Seconds since the epoch: those that were requested before."""
    slower: float | None = None
    """Those that waited and ran for more seconds than this."""
    uid: int | None = None
    """Those that this user requested."""
    by_ctdbd: bool | None = None
    """Those that ctdbd requested, or those that it did not."""
    limit: int = 50
    """The maximum number of runs, the latest ones."""


def history_file(state_dir: str) -> str:
    """Returns where a node's history is."""
    return f"{state_dir}/eventd/history/history.db"


def storable(text: str | None) -> str | None:
    """Returns a text that SQLite can store: undecodable bytes are written as `\\udcff`. None stays None."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()
