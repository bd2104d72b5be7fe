"""`ctdb-event run` with `--stream`, `--detach` or `--json`, and `ctdb-event cancel`."""

from __future__ import annotations

import errno
import signal
import time

from ctdb_event.argv import timeout_of
from ctdb_event.commands.arguments import text
from ctdb_event.commands.jsonic import line
from ctdb_event.commands.notes import flat
from ctdb_event.commands.streaming import Stream
from ctdb_event.console import Failure, complain, flush
from ctdb_event.wire import ConnectionLost
from ctdb_eventd.paths import test_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ctdb_event.commands.session import Session
    from ctdb_event.wire import Wire

__all__ = ["cancel", "run"]

_CODES = {"success": 0, "failed": errno.ENOEXEC, "timed-out": errno.ETIMEDOUT, "cancelled": errno.ECANCELED}
"""Outcome → exit status, as the results of RUN in the CTDB dialect."""
_INTERRUPTED = 128 + signal.SIGINT
_SAME_KEY = 0.3
"""Seconds within which two signals are one Ctrl-C."""


def run(session: Session) -> int:
    """Runs an event.

    Raises:
        Failure: The arguments don't fit.
    """
    flags, given = session.arguments.flags, session.arguments.operands
    streams, detached = "--stream" in flags, "--detach" in flags
    if streams and detached:
        raise Failure("--stream shows a run until its end, --detach doesn't wait for it: leave one of them out", 22)
    params = {
        "component": text(given[1]),
        "event": text(given[2]),
        "args": [text(argument) for argument in given[3:]],
        "timeout": timeout_of(given[0]),
        "run_all": test_mode(session.environ) and "CTDB_EVENT_RUN_ALL" in session.environ,
    }
    if detached:
        return _detach(session, params)
    with session.connect() as wire:
        return _Run(session, wire, streams).carry_out(params)


def _detach(session: Session, params: dict[str, Any]) -> int:
    started = session.ask("run", detach=True, **params)
    if session.json:
        session.print_json(started)
    else:
        session.screen.plain([started["run"]])
    return 0


class _Run:
    """A run that this process waits for."""

    def __init__(self, session: Session, wire: Wire, streams: bool) -> None:
        self._session = session
        self._wire = wire
        self._streams = streams
        self._stream = Stream(session.screen)
        self._interrupted = False
        self._call: int | None = None

    def carry_out(self, params: dict[str, Any]) -> int:
        try:
            self._call = self._wire.start("run", {**params, "stream": self._streams})
            result = self._follow(self._call)
        except KeyboardInterrupt:
            return self._cancel()
        return self._finish(result)

    def _follow(self, call: int) -> dict[str, Any]:
        """Shows what comes, and returns the result."""
        while True:
            what, value, note, data = self._wire.receive(call)
            if what == "result":
                result: dict[str, Any] = value
                return result
            if self._session.json:
                self._session.screen.write(line(flat(value, note, data)))
            else:
                self._stream.note(value, data)
            flush()

    def _finish(self, result: dict[str, Any]) -> int:
        if not self._session.json:
            self._stream.end(result)
        elif self._streams:
            self._session.screen.write(line({"result": result}))
        else:
            self._session.print_json(result)
        if result["outcome"] == "cancelled" and self._interrupted:
            complain(f"ctdb-event: Ctrl-C: run {result['run']} was cancelled")
            return _INTERRUPTED
        if self._interrupted:
            complain(f"ctdb-event: Ctrl-C came too late: run {result['run']} is over, it ended as {result['outcome']}")
        return _CODES.get(result["outcome"], errno.EIO)

    def _cancel(self) -> int:
        """Takes the run back, and shows what is still to come of it; a second Ctrl-C doesn't wait for that."""
        since = time.monotonic()
        self._interrupted = True
        result = None
        if self._call is not None:  # else it was not sent, or not to the end
            result = self._cancelled(self._call, since)
        if result is not None:
            return self._finish(result)
        complain("ctdb-event: Ctrl-C: left; the daemon cancels the run, since nobody waits for it")
        return _INTERRUPTED

    def _cancelled(self, call: int, since: float) -> dict[str, Any] | None:
        """Returns the result; None if it can't be waited for, or is not to be."""
        told = asked = False
        while True:
            try:
                if not told:
                    told = True
                    self._stream.aside("ctdb-event: Ctrl-C: the run is being cancelled; Ctrl-C again leaves at once")
                if not asked:
                    self._wire.start("cancel", {"call": call})
                    asked = True
                return self._follow(call)
            except KeyboardInterrupt:
                # wrappers such as timeout and sudo pass a signal on that came here by itself: that is not a second one
                if time.monotonic() - since >= _SAME_KEY:
                    return None
            except ConnectionLost:
                return None


def cancel(session: Session) -> int:
    """Cancels a run, whoever asked for it."""
    wanted = text(session.arguments.operands[0])
    found = session.ask("cancel", run=wanted)
    if session.json:
        session.print_json({"run": wanted, "state": found["state"]})
    else:
        session.screen.write(f"{session.screen.safe(wanted)} is cancelled, it was {found['state']}.\n")
    return 0
