"""`ctdb-event run` with `--stream`, `--detach` or `--json`, and `ctdb-event cancel`."""

from __future__ import annotations

import contextlib
import errno
import select
import signal
import time

from ctdb_event.argv import timeout_of
from ctdb_event.commands.arguments import text
from ctdb_event.commands.connection import ConnectionLost
from ctdb_event.commands.jsonic import line
from ctdb_event.commands.notes import flat
from ctdb_event.commands.streaming import Stream
from ctdb_event.console import Failure, complain, flush
from ctdb_eventd.paths import test_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ctdb_event.commands.connection import DaemonConnection
    from ctdb_event.commands.session import Session
    from ctdb_event.core import Mailbox, Note

__all__ = ["cancel", "run"]

_CODES = {"success": 0, "failed": errno.ENOEXEC, "timed-out": errno.ETIMEDOUT, "cancelled": errno.ECANCELED}
"""Outcome → exit status: the results of RUN in the CTDB dialect."""
_INTERRUPTED = 128 + signal.SIGINT
_SAME_SIGINT = 0.3
"""Two signals within this many seconds count as one Ctrl-C."""


def run(session: Session) -> int:
    """Runs an event.

    Raises:
        Failure: The arguments are invalid.
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
    with session.connect() as connection:
        return _Run(session, connection, streams).carry_out(params)


def _detach(session: Session, params: dict[str, Any]) -> int:
    started = session.ask("run", detach=True, **params)
    if session.json:
        session.print_json(started)
    else:
        session.screen.plain([started["run"]])
    return 0


class _Run:
    """A run that this process waits for."""

    def __init__(self, session: Session, connection: DaemonConnection, streams: bool) -> None:
        self._session = session
        self._connection = connection
        self._streams = streams
        self._stream = Stream(session.screen)
        self._interrupted = False
        self._call: Mailbox | None = None

    def carry_out(self, params: dict[str, Any]) -> int:
        try:
            self._call = self._connection.start("run", {**params, "stream": self._streams})
            result = self._follow(self._call)
        except KeyboardInterrupt:
            return self._cancel()
        return self._finish(result)

    def _follow(self, call: Mailbox) -> dict[str, Any]:
        """Prints notes as they come, and returns the result."""
        while (note := self._next_note(call)) is not None:
            if self._session.json:
                self._session.screen.write(line(flat(*note)))
            else:
                self._stream.note(note[0], note[2])
            flush()
        result: dict[str, Any] = call.value
        return result

    def _next_note(self, call: Mailbox) -> Note | None:
        """Like `DaemonConnection.next_note`, but Ctrl-C during the wait doesn't end the connection."""
        while not (call.waiting or call.answered):
            poller = select.poll()
            poller.register(self._connection, select.POLLIN)
            poller.poll()
            with _sigint_blocked():
                self._connection.receive()
        with _sigint_blocked():
            return self._connection.next_note(call)

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
            complain(f"ctdb-event: Ctrl-C came too late: run {result['run']} had already ended: {result['outcome']}")
        return _CODES.get(result["outcome"], errno.EIO)

    def _cancel(self) -> int:
        """Cancels the run, and prints the rest of its notes; a second Ctrl-C ends this at once."""
        since = time.monotonic()
        self._interrupted = True
        result = None
        if self._call is not None:  # else it was not sent, or not completely
            result = self._cancelled(self._call, since)
        if result is not None:
            return self._finish(result)
        complain("ctdb-event: Ctrl-C: disconnected; the daemon cancels the run")
        return _INTERRUPTED

    def _cancelled(self, call: Mailbox, since: float) -> dict[str, Any] | None:
        """Returns the result; None after a second Ctrl-C, or if the connection is lost."""
        announced = requested = False
        while True:
            try:
                if not announced:
                    announced = True
                    self._stream.aside("ctdb-event: Ctrl-C: the run is being cancelled; Ctrl-C again exits at once")
                if not requested:
                    with _sigint_blocked():
                        self._connection.start("cancel", {"call": call.request_id})
                    requested = True
                return self._follow(call)
            except KeyboardInterrupt:
                # wrappers such as timeout and sudo forward a signal that this process gets anyway: this is no second
                # Ctrl-C
                if time.monotonic() - since >= _SAME_SIGINT:
                    return None
            except ConnectionLost:
                return None


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Delays Ctrl-C until after the block, which must not block: an interruption in it would end the connection."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cancel(session: Session) -> int:
    """Cancels a run, no matter who requested it."""
    wanted = text(session.arguments.operands[0])
    found = session.ask("cancel", run=wanted)
    if session.json:
        session.print_json({"run": wanted, "state": found["state"]})
    else:
        session.screen.write(f"{session.screen.safe(wanted)} is cancelled, it was {found['state']}.\n")
    return 0
