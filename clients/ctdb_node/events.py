"""Runs events through the event daemon, and returns their results."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

import ctdb_event
from ctdb_node.health import Result
from ctdb_node.words import printable

__all__ = ["Events"]

_log = logging.getLogger("ctdb-node")

_TIMEOUT_IS_SUCCESS = frozenset({"startrecovery", "recovered", "takeip", "releaseip"})
"""For these events a timeout counts as success (`man ctdb-tunables`)."""


class Events:
    """Runs events. A failure is a result, not an exception."""

    def __init__(self, client: ctdb_event.AsyncClient, timeout: Callable[[], int], on_end: Callable[[], None]) -> None:
        """Runs nothing yet.

        Args:
            client: Connected to the event daemon.
            timeout: Returns the seconds that an event may take.
            on_end: Called when the event daemon has ended.
        """
        self._client = client
        self._timeout = timeout
        self._on_end = on_end

    async def run(self, event: str, *args: str) -> Result:
        """Runs an event to its end; logs it unless it succeeds. If the daemon ends, it waits until it is cancelled."""
        try:
            await self._client.run("legacy", event, *args, timeout=self._timeout())
        except ctdb_event.EventError as error:
            result = Result(error.run.outcome, _reason(error.run))
        except ctdb_event.BrokerUnavailable:
            self._on_end()
            await anyio.sleep_forever()
        except ctdb_event.BrokerError as error:
            result = Result("failed", str(error))
        else:
            return Result("success")
        _log.warning("%s: %s (%s)", " ".join((event, *args)), result.reason, result.outcome)
        if result.outcome == "timed-out" and event in _TIMEOUT_IS_SUCCESS:
            return Result("success")
        return result


def _reason(run: ctdb_event.Run) -> str:
    if not run.failed:
        return run.outcome
    script = run.failed[-1]
    return f"{script.name}: {printable(script.text) or 'no output'}"
