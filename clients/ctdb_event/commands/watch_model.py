"""The data that `ctdb-event watch` shows: the last snapshot of the daemon, and recent notes. No I/O."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from ctdb_event.commands.lists import state_style
from ctdb_event.commands.notes import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Snapshot", "WatchState"]

_LATELY = 100
_NOT_SHOWN = ("script-started", "output")
"""Kinds of notes whose content is visible among the running jobs."""
_ABOUT_RUNS = ("queued", "started", "script-finished", "finished")


@attrs.frozen(kw_only=True)
class Snapshot:
    """The daemon's replies, as plain values."""

    components: list[dict[str, Any]]
    """Reply to `components`."""
    status: dict[str, Any]
    """Reply to `status`."""
    locks: list[dict[str, Any]]
    """Reply to `locks`."""


class WatchState:
    """The state that is shown.

    Attributes:
        server: Name and version of the daemon.
        snapshot: The latest one; None before the first.
        lately: Time, sentence and style of recent events, the latest last.
        trouble: Why the shown data is not up to date; empty if it is.
    """

    def __init__(self) -> None:
        self.server = ""
        self.snapshot: Snapshot | None = None
        self.lately: deque[tuple[float, str, str]] = deque(maxlen=_LATELY)
        self.trouble = ""

    def apply_note(self, kind: str, data: dict[str, Any]) -> None:
        """Adds a note to `lately` if it is to be shown."""
        if kind not in _NOT_SHOWN and not _is_usual(kind, data):
            self.lately.append((data["time"], *sentence(kind, data)))

    def apply_snapshot(self, snapshot: Snapshot) -> None:
        """Replaces the snapshot."""
        self.snapshot = snapshot
        self.trouble = ""

    @property
    def busy(self) -> bool:
        """Whether there are jobs, whose times on the screen change."""
        return self.snapshot is not None and bool(self.snapshot.status["jobs"])

    def jobs(self, *states: str) -> list[dict[str, Any]]:
        """Returns the jobs in these states, in order of arrival."""
        return [job for job in self._jobs() if job["state"] in states]

    def left_out(self, state: str) -> int:
        """Returns the number of jobs in a state, `running` or `queued`, that the daemon's reply leaves out."""
        status = self.snapshot.status if self.snapshot is not None else {}
        return sum(left[state] for left in status.get("more", ()))

    def _jobs(self) -> Iterable[dict[str, Any]]:
        return self.snapshot.status["jobs"] if self.snapshot is not None else ()

    def health(self) -> dict[str, dict[str, Any]]:
        """Returns the health of each component that was monitored."""
        found = self.snapshot.status["health"] if self.snapshot is not None else ()
        return {item["component"]: item for item in found}

    def results(self, *, good: bool) -> list[dict[str, Any]]:
        """Returns the last results, the latest first: successful ones without monitor events, or all that failed."""
        found = [] if self.snapshot is None else self.snapshot.status["results"]
        wanted = [
            run for run in found if (run["outcome"] == "success") == good and not (good and run["event"] == "monitor")
        ]
        return sorted(wanted, key=lambda run: run["queued"] + run["waited"] + run["seconds"], reverse=True)

    def locks(self) -> list[dict[str, Any]]:
        """Returns the locks, those with waiters first; without the implicit locks of addresses that have no waiters."""
        found = [] if self.snapshot is None else self.snapshot.locks
        worth = [lock for lock in found if lock["waiting"] or lock["kind"] != "address"]
        return sorted(worth, key=lambda lock: not lock["waiting"])


def _is_usual(kind: str, data: dict[str, Any]) -> bool:
    """Returns whether a note is about a monitor event that didn't fail; health has notes of its own."""
    if kind not in _ABOUT_RUNS or data["event"] != "monitor":
        return False
    return state_style(data.get("outcome") or data.get("state") or "") != "bad"
