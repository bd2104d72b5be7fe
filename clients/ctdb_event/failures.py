"""Makes the exceptions of `errors` from the broker's error replies, from outcomes, and from failed connections."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

from ctdb_event.core import Core, Mailbox
from ctdb_event.decoding import decode
from ctdb_event.errors import (
    AddressHeld,
    BrokerError,
    BrokerUnavailable,
    ConfigRejected,
    EventCancelled,
    EventError,
    EventFailed,
    EventTimedOut,
    InvalidRequest,
    LockTimeout,
    NeverRan,
    NoSuchComponent,
    NoSuchRun,
    NoSuchScript,
    NotAllowed,
    NotSupported,
    QueueTimeout,
    WouldDeadlock,
)
from ctdb_event.inventory import Owner
from ctdb_event.refusal import NOT_ALLOWED, may_not, unreachable
from ctdb_event.results import Run

__all__ = [
    "check_run",
    "connection_lost",
    "failure",
    "nobody_listens",
    "reason",
    "refused",
    "result_of",
    "speaks_only_ctdb",
]

_BY_KIND: dict[str, type[BrokerError]] = {
    "InvalidParameter": InvalidRequest,
    "InvalidName": InvalidRequest,
    "NotAFile": InvalidRequest,
    "ConfigError": ConfigRejected,
    "StartupError": ConfigRejected,
    "NeverRan": NeverRan,
    "NoSuchComponent": NoSuchComponent,
    "NoSuchScript": NoSuchScript,
    "NoSuchRun": NoSuchRun,
    "NoSuchPastRun": NoSuchRun,
    "NoSuchCall": NoSuchRun,
    "NoSuchMethod": NotSupported,
    "VersionNotSupported": NotSupported,
    "QueueTimeout": QueueTimeout,
    "AddressHeld": AddressHeld,
    "LockTimeout": LockTimeout,
    "WouldDeadlock": WouldDeadlock,
    NOT_ALLOWED: NotAllowed,
}
# For kinds of later brokers. ENOENT and ETIMEDOUT are not here: they have several meanings.
_BY_CODE: dict[str, type[BrokerError]] = {
    "EINVAL": InvalidRequest,
    "ENOSYS": NotSupported,
    "EPROTONOSUPPORT": NotSupported,
    "EBUSY": QueueTimeout,
    "EDEADLK": WouldDeadlock,
}
_OUTCOMES: dict[str, tuple[type[EventError], str, str]] = {
    "failed": (EventFailed, "ENOEXEC", "failed"),
    "timed-out": (EventTimedOut, "ETIMEDOUT", "timed out"),
    "cancelled": (EventCancelled, "ECANCELED", "was cancelled"),
}


def failure(code: str, message: str, data: Mapping[str, Any]) -> BrokerError:
    """Returns the exception for an error that the broker answered with."""
    kind = data.get("kind")
    found = _BY_KIND.get(kind) if isinstance(kind, str) else None
    problem = (found or _BY_CODE.get(code, BrokerError))(code, message, data)
    if isinstance(problem, LockTimeout) and isinstance(data.get("holder"), dict):
        problem.holder = decode(Owner, data["holder"])
    return problem


def check_run(run: Run) -> Run:
    """Returns a run that succeeded.

    Raises:
        EventError: It did not.
    """
    if run.outcome == "success":
        return run
    kind, code, words = _OUTCOMES.get(run.outcome, (EventError, "EIO", f"ended as {run.outcome}"))
    culprits = ", ".join(f"{script.name} {_explain(script.state, script.result)}" for script in run.failed)
    address = f" of {run.address}" if run.address else ""
    raise kind(code, f"event {run.event}{address} in {run.component} {words}{culprits and ': '}{culprits}", run)


def _explain(state: str, result: int) -> str:
    if state == "failed":
        return f"exited with status {result}"
    words = {"killed": "was killed by a signal", "timed-out": "was running when the event timed out"}
    return words.get(state, f"was not started ({reason(-result)})")


def reason(number: int) -> str:
    """Returns the text of an errno; a broker may have sent a number that is none."""
    return os.strerror(number) if 0 <= number < 1 << 31 else f"error {number}"


def nobody_listens(path: str, error: OSError) -> BrokerUnavailable:
    """Returns the exception for a connection that could not be made."""
    what, advice = unreachable("broker", path, error)
    unavailable = BrokerUnavailable(errno.errorcode.get(error.errno or 0, "EIO"), what)
    unavailable.advice = advice or unavailable.advice
    return unavailable


def connection_lost(path: str, reason: str, method: str | None) -> BrokerUnavailable:
    """Returns the exception for a connection that ended.

    Args:
        path: The broker's socket.
        reason: Why it ended.
        method: The unanswered request's method; None if no request was pending.
    """
    message = f"the connection to the broker at {path} has ended: {reason}"
    if method is None:
        return BrokerUnavailable("ENOTCONN", message, {"fate_unknown": False})
    message += f"; whether {method} was carried out is unknown"
    return BrokerUnavailable("ECONNRESET", message, {"fate_unknown": True})


def result_of(core: Core, mailbox: Mailbox) -> Any:
    """Returns the plain result of a request that was answered and not refused.

    Raises:
        BrokerError: It was refused, or the connection ended.
    """
    if mailbox.refusal is not None:
        raise failure(*mailbox.refusal)
    if mailbox.lost:
        raise connection_lost(core.path, core.ended or "", mailbox.method)
    return mailbox.value


def refused(path: str) -> NotAllowed:
    """Returns the exception for a daemon that closes this user's connections."""
    return NotAllowed("EACCES", may_not(f"use the broker at {path}"), {"kind": NOT_ALLOWED})


def speaks_only_ctdb(path: str) -> NotSupported:
    """Returns the exception for a daemon that closes the connection at the native dialect's preface."""
    message = f"the daemon at {path} closed the connection at the native dialect's preface, as CTDB's own does"
    unsupported = NotSupported("EPROTONOSUPPORT", message, {"dialect": "native"})
    unsupported.advice = "connect with dialect auto or ctdb, or let ctdbd start ctdb-eventd"
    return unsupported
