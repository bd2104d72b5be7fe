"""What is put into the history, and how much of it is kept. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs

from ctdb_eventd.model import ScriptReport, Wait

__all__ = ["Bounds", "Ended", "Started", "history_file", "storable"]


@attrs.frozen(kw_only=True)
class Bounds:
    """How much is kept; what is older, or more, goes."""

    days: float = 90.0
    runs: int = 1_000_000
    size: int = 256 << 20
    """Bytes of the file."""
    output: int = 16 << 10
    """Bytes of the output of one script; of more its beginning and its end."""


@attrs.frozen(kw_only=True)
class Started:
    """A run was asked for."""

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


@attrs.frozen(kw_only=True)
class Ended:
    """A run is over."""

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


def history_file(state_dir: str) -> str:
    """Returns where a node's history is."""
    return os.path.join(state_dir, "eventd", "history", "history.db")


def storable(text: str) -> str:
    """Returns a text that SQLite can keep: what is no character in it is written as `\\udcff`."""
    return text.encode("utf-8", "backslashreplace").decode()
