"""`ctdb-event watch`: selects the screen or lines, and prints the lines."""

from __future__ import annotations

import importlib.util
import sys
import time

from ctdb_event.commands.connection import ConnectionLost, DaemonConnection, NotNative
from ctdb_event.commands.lists import event_shown, left_out_lines, waits_shown
from ctdb_event.commands.notes import follow
from ctdb_event.commands.times import lasting
from ctdb_event.commands.watch_source import RETRY
from ctdb_event.console import Failure, complain, flush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ctdb_event.commands.screen import Screen
    from ctdb_event.commands.session import Session

__all__ = ["watch"]

_NO_RICH = "ctdb-event: for a live screen: {} -m pip install rich; without that package there are lines"


def watch(session: Session) -> int:
    """Shows events as they happen, until `q` or Ctrl-C.

    Raises:
        Failure: No daemon answers at the start.
    """
    terminal = session.screen.terminal and session.environ.get("TERM", "dumb") != "dumb"
    if not terminal or "--lines" in session.arguments.flags:
        return _lines(session)
    if importlib.util.find_spec("rich") is None:
        complain(_NO_RICH.format(sys.executable))
        return _lines(session)
    from ctdb_event.commands.watch_loop import run

    session.ask("ping")  # an unreachable daemon is reported as by every other command
    return run(session)


def _lines(session: Session) -> int:
    """Prints a line for each event; first the current jobs. Ends by a signal only."""
    connection, heard, lost = session.connect(), False, False
    while True:
        reason = "the daemon ended the subscription"
        with connection:
            try:
                # in this order: an event between the two requests is shown twice rather than not at all
                subscription = connection.start("subscribe", {})
                status = connection.call("status")
                if lost:
                    complain("ctdb-event: the daemon is back")
                heard, lost = True, False
                _print_jobs(session.screen, status)
                follow(session, connection, subscription)
            except (ConnectionLost, NotNative) as error:
                if not heard:
                    raise
                reason = str(error)
        complain(f"ctdb-event: {reason}; waiting for the daemon to come back")
        connection, lost = _reconnected(session), True


def _print_jobs(screen: Screen, status: dict[str, Any]) -> None:
    for job in status["jobs"]:
        waits = f", waits for {waits_shown(job)}" if job["waits_for"] else ""
        screen.write(screen.safe(f"{event_shown(job)}: {job['state']}, {lasting(job['age'])} old{waits}") + "\n")
    for line in left_out_lines(status):
        screen.write(screen.safe(line) + "\n")
    flush()


def _reconnected(session: Session) -> DaemonConnection:
    while True:
        time.sleep(RETRY)
        try:
            return session.connect()
        except Failure:
            continue
