"""`ctdb-event health`: a component's health in one line and an exit status, for probes and monitoring plugins.

Errors are printed on standard output like results, as monitoring systems show nothing else.
"""

from __future__ import annotations

import signal
import time

from ctdb_event.commands.arguments import text
from ctdb_event.commands.connection import CallFailed, ConnectionLost, NotNative
from ctdb_event.commands.results import is_bad, output_lines, script_outcome
from ctdb_event.commands.times import at_today, lasting
from ctdb_event.console import Failure
from ctdb_event.errors import InvalidRequest
from ctdb_eventd.errors import RemoteProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from ctdb_event.commands.session import Session

__all__ = ["NOT_ASKED", "health"]

_COMPONENT = "legacy"
"""The only component that ctdbd monitors."""
_LIMIT = 10.0
"""Seconds until the request times out: the daemon answers at once, unless it hangs."""

NOT_ASKED = 3
"""Exit status if the daemon didn't answer, or the command line is invalid."""
_STATUSES = {"healthy": 0, "unhealthy": 1, "unknown": 2, "no-daemon": NOT_ASKED}
_NAGIOS_STATUSES = {"healthy": 0, "unhealthy": 2, "unknown": 3, "no-daemon": 3}
_WORDS = {"healthy": "OK", "unhealthy": "CRITICAL", "unknown": "UNKNOWN", "no-daemon": "UNKNOWN"}
_NO_RESULT = ("NeverRan", "NoSuchComponent")


class _Late(Exception):
    """The daemon did not answer in time."""


def health(session: Session) -> int:
    """Prints whether a component is healthy, and returns the corresponding exit status."""
    component = text(session.arguments.operand(0) or _COMPONENT)
    found = {
        "component": component,
        "state": "no-daemon",
        "since": None,
        "checked": None,
        "script": None,
        "reason": None,
        "own": None,
        **_learn(session, component),
    }
    if session.json:
        session.print_json(found)
    else:
        session.screen.write(session.screen.safe(_line(found)) + "\n")
    statuses = _NAGIOS_STATUSES if "--nagios" in session.arguments.flags else _STATUSES
    return statuses[found["state"]]


def _learn(session: Session, component: str) -> dict[str, Any]:
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, _LIMIT)
    try:
        return _ask(session, component)
    except Failure as failure:
        return {"reason": failure.text}
    except _Late:
        return {"reason": f"the event daemon at {session.path} has not answered within {_LIMIT:g} s: it hangs"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _late(number: int, frame: object) -> NoReturn:
    raise _Late


def _ask(session: Session, component: str) -> dict[str, Any]:
    try:
        try:
            found = session.ask("status", component=component, event="monitor", output=True)
            return {**_judged(found), "own": True}
        except NotNative as refusal:
            return {**_judged(_ask_ctdbs_own(session, component, refusal)), "own": False}
    except (CallFailed, NotNative, ConnectionLost, InvalidRequest, RemoteProtocolError) as error:
        return _not_known(session, component, error)


def _ask_ctdbs_own(session: Session, component: str, refusal: NotNative) -> dict[str, Any]:
    """Asks in the CTDB dialect; returns the library's result in the form of the native reply."""
    import attrs

    from ctdb_event.errors import BrokerError, BrokerUnavailable
    from ctdb_event.sync.client import Client

    try:
        with Client(session.path, dialect="ctdb") as client:
            return attrs.asdict(client.status(component, "monitor", output=True))
    except BrokerUnavailable:
        raise refusal from None  # it closes the connection with either dialect: this user may not use it
    except BrokerError as error:
        raise CallFailed(error.code, error.message, error.data) from None


def _not_known(session: Session, component: str, error: Exception) -> dict[str, Any]:
    from ctdb_event.commands.problems import explained

    kind = error.data.get("kind") if isinstance(error, CallFailed) else None
    if kind == "NeverRan":
        try:
            session.ask("scripts", component=component)  # a component that doesn't exist has no result either
        except CallFailed as refusal:
            return {"state": "unknown", "reason": explained(session.path, refusal).text}
        except (NotNative, ConnectionLost, RemoteProtocolError):
            pass  # CTDB's own daemon doesn't support the request, but reports a missing component itself
        reason = f"no monitor event of {component} has completed since the event daemon started"
        return {"state": "unknown", "reason": reason}
    return {"state": "unknown" if kind in _NO_RESULT else "no-daemon", "reason": explained(session.path, error).text}


def _judged(found: dict[str, Any]) -> dict[str, Any]:
    """Derives the state from the latest monitor event."""
    run = found["results"][0]
    known: dict[str, Any] = next(iter(found["health"]), {})
    failed = next((script for script in reversed(run["scripts"]) if is_bad(script)), None)
    judged = {
        "state": "healthy" if run["outcome"] == "success" else "unhealthy",
        "since": known.get("since"),
        "checked": _ended(run),
    }
    if judged["state"] == "unhealthy":
        judged["script"] = failed["name"] if failed else None
        judged["reason"] = _reason(run, failed)
    return judged


def _ended(run: dict[str, Any]) -> float | None:
    if run["queued"] is not None:
        ended: float = run["queued"] + run["waited"] + run["seconds"]
        return ended
    started = [script["started"] + script["seconds"] for script in run["scripts"] if script["started"] is not None]
    return max(started, default=None)


def _reason(run: dict[str, Any], failed: dict[str, Any] | None) -> str:
    if failed is None:
        return str(run["outcome"])
    said = next((line for line in output_lines(failed["output"]) if line.strip()), "no output")
    return f"{script_outcome(failed)}: {said.strip()}"


def _line(found: dict[str, Any]) -> str:
    word, state = _WORDS[found["state"]], found["state"]
    if state not in ("healthy", "unhealthy"):
        return f"{word} - {found['reason']}"
    now = time.time()
    line = f"{word} - {found['component']} {state}"
    if found["since"] is not None:
        line += f" since {at_today(found['since'], now)}"
    if found["checked"] is not None:
        line += f", checked {lasting(now - found['checked'])} ago"
    if not found["own"]:
        line += " (by CTDB's own event daemon)"
    reason = ": ".join(filter(None, (found["script"], found["reason"])))
    return f"{line}: {reason}" if reason else line
