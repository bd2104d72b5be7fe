"""What a run tells, and to whom: the one thing that the runner and whoever starts runs agree on."""

from __future__ import annotations

from typing import Protocol

import attrs

from ctdb_eventd.model import EventReport

__all__ = ["RunListener", "RunResult"]


@attrs.frozen
class RunResult:
    """How a run ended, for whoever asked for it."""

    errno: int
    """0, or the positive errno of the reply."""
    report: EventReport | None = None
    """None if the run was cancelled or could not even start: then the former report stays the latest."""


class RunListener(Protocol):
    """Is asked and told how a run goes, from the event loop. The last three are called once each, in this order."""

    def want_script(self, locks: tuple[str, ...]) -> bool:
        """The next script is to start and needs these locks; False means that it has to wait for `proceed`.

        Raises:
            RequestError: It would have to wait for ever.
        """

    def script_started(self) -> None:
        """It runs."""

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
