"""What a run tells, and to whom: the one thing that the runner and whoever starts runs agree on."""

from __future__ import annotations

from typing import Protocol

import attrs

from ctdb_eventd.errors import RequestError
from ctdb_eventd.model import EventReport, ScriptReport

__all__ = ["Progress", "RunListener", "RunResult"]


@attrs.frozen
class Progress:
    """What a run is doing right now."""

    script: str | None
    """The script that runs, or waits to run."""
    pid: int
    """Its process, and process group; 0 if none runs."""
    since: float
    """When it was started, by the monotonic clock; 0 if none runs."""
    left: float | None
    """Seconds until the event times out, which stand still while a script waits; None if it never does."""


@attrs.frozen
class RunResult:
    """How a run ended, for whoever asked for it."""

    errno: int
    """0, or the positive errno of the reply."""
    report: EventReport | None = None
    """Script by script; of a run that was cancelled as far as it came. None if it could not even start."""
    final: bool = True
    """It came to an end of its own, and with a report this is the event's latest result from now on."""
    refusal: RequestError | None = None
    """Why it could not start, if it is known."""


class RunListener(Protocol):
    """Is asked and told how a run goes, from the event loop. The last three are called once each, in this order."""

    def want_script(self, name: str, locks: tuple[str, ...]) -> bool:
        """This script is to start and needs these locks; False means that it has to wait for `proceed`.

        Raises:
            RequestError: It would have to wait for ever.
        """

    def got_locks(self, name: str, locks: tuple[str, ...]) -> None:
        """It goes on after it had to wait for its locks, or for a slot."""

    def printed(self, name: str, data: bytes) -> None:
        """It has printed this."""

    def script_started(self, name: str, pid: int) -> None:
        """It runs."""

    def script_finished(self, report: ScriptReport) -> None:
        """This is how it went; told of every script that was looked at."""

    def script_over(self) -> None:
        """It is over, or won't start after all; also when it isn't clear which."""

    def stuck(self) -> None:
        """Its last script can't be ended, not even by SIGKILL; it may be so for ever."""

    def reported(self, result: RunResult) -> None:
        """The result is known; remains of a run that was broken off may still be there."""

    def released(self) -> None:
        """Other events may go on: the run is over, or timed out, or its remains can't be ended."""

    def gone(self) -> None:
        """Nothing of the run is left."""
