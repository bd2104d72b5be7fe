"""What the scheduler knows of a run that was started: what can be done to it, what it does, and how it ended."""

from __future__ import annotations

from typing import Protocol

from ctdb_eventd.errors import RequestError
from ctdb_eventd.model import EventReport

__all__ = ["Progress", "RunHandle", "RunResult"]


class Progress(Protocol):
    """What a run is doing right now."""

    @property
    def script(self) -> str | None:
        """The script that runs, or waits to run."""

    @property
    def pid(self) -> int:
        """Its process, and process group; 0 if none runs."""

    @property
    def since(self) -> float:
        """When it was started, by the monotonic clock."""

    @property
    def left(self) -> float | None:
        """Seconds until the event times out; None if it never does."""


class RunHandle(Protocol):
    """What can be done to a run that was started."""

    def cancel(self, *, yielding: bool = False) -> None:
        """Ends it; `yielding` if another event waits for its place, which speeds up an end that has begun already."""

    def proceed(self) -> None:
        """Lets the script start for which it waits."""

    @property
    def group(self) -> int:
        """The process group of the script that runs right now, 0 if none does."""

    @property
    def progress(self) -> Progress:
        """What it is doing right now."""


class RunResult(Protocol):
    """How a run ended."""

    @property
    def errno(self) -> int:
        """0 or a positive errno."""

    @property
    def report(self) -> EventReport | None:
        """Script by script; None if it could not start."""

    @property
    def final(self) -> bool:
        """It came to an end of its own: from now on this is the event's latest result."""

    @property
    def refusal(self) -> RequestError | None:
        """Why it could not start, if that is known."""
