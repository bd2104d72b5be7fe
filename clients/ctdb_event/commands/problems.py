"""Explains errors of requests to the daemon, with advice. Imported only if there is one."""

from __future__ import annotations

import errno

from ctdb_event.commands.catalogue import COMMANDS
from ctdb_event.commands.connection import CallFailed, ConnectionLost, DaemonConnection, NotNative
from ctdb_event.console import Failure
from ctdb_event.errors import InvalidRequest
from ctdb_event.refusal import NOT_ALLOWED
from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.text import escaped, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["explained", "unknown_command", "unreadable"]

_SHOWN = 300
"""Characters of an error that are shown."""


def explained(path: str, error: Exception) -> Failure:
    """Returns the explanation of an error of the daemon at `path`."""
    if isinstance(error, CallFailed):
        return _call_failed(path, error)
    if isinstance(error, NotNative):
        return _not_native(path)
    if isinstance(error, ConnectionLost):
        return Failure(f"no answer from the event daemon: {error}; see its log for the reason")
    if isinstance(error, RemoteProtocolError):
        return Failure(f"the program that listens on {path} does not use the event protocol: {error}")
    assert isinstance(error, InvalidRequest)
    return Failure(f"this request can't be sent: {error.message}", errno.EINVAL)


def unreadable(path: str, error: Exception) -> Failure:
    """Returns the failure that a reply violates the protocol: a key or type that a command relied on is missing."""
    found = f"{type(error).__name__}: {escaped(str(error)[:_SHOWN])}"
    advice = "does it have another version? Restart CTDB after an upgrade; if that doesn't help, please report it"
    return Failure(f"the reply of the event daemon at {path} can't be decoded ({found}); {advice}", errno.EPROTO)


def _not_native(path: str) -> Failure:
    works = ", ".join(command.words for command in COMMANDS if command.dropin or command.words == "health")
    return Failure(
        f"the event daemon at {path} speaks only CTDB's own dialect: it is CTDB's own. These commands work with it: "
        f"{works}. ctdb-eventd-install --status shows which daemon is installed"
    )


def unknown_command(words: list[str]) -> str:
    """Returns the message for an unknown command, with the one that may have been meant."""
    given = " ".join(words[:2] if words[0] == "script" else words[:1])
    near = nearest(given, [command.words for command in COMMANDS])
    hint = f'did you mean "{near}"? ' if near else ""
    if words[0] == "script" and "script " not in hint:
        hint = "script needs list, enable or disable; "
    return f'unknown command "{escaped(given)}"; {hint}ctdb-event help lists all commands'


def _call_failed(path: str, error: CallFailed) -> Failure:
    hint = _advice(path, error)
    text = escaped(error.message) + (f"; {hint}" if hint else "")
    return Failure(text, getattr(errno, error.code, 1))


def _advice(path: str, error: CallFailed) -> str:
    kind = error.data.get("kind")
    if kind == "NoSuchComponent":
        return _components(path)
    if kind == "NoSuchMethod":
        return "the daemon has another version than this program: restart CTDB after an upgrade"
    return _ADVICE.get(str(kind), "")


_ADVICE = {
    "NoSuchRun": "ctdb-event ps lists what runs and waits",
    "NoSuchPastRun": "ctdb-event history lists those that are",
    "NeverRan": "ctdb-event results lists the events that have",
    "WouldDeadlock": "do the work in the script itself, or request it from a process that is not a child of the script "
    "(setsid -f)",
    "QueueTimeout": "it waited longer than [eventd] queue timeout allows; ctdb-event ps shows what is ahead of it",
    "ConfigError": "the former configuration stays in effect",
    "StartupError": "the former configuration stays in effect; correct [logging] location in ctdb.conf",
    "UnreadableComponent": "look at the directory's owner and mode",
    NOT_ALLOWED: "a change takes effect after ctdb-event reload",
    "Bug": "the daemon's log has more; please report it",
}


def _components(path: str) -> str:
    try:
        with DaemonConnection(path) as connection:
            found: list[dict[str, Any]] = connection.call("components")
    except Exception:
        return "ctdb-event components lists them"  # the original error matters, not this request's
    names = ", ".join(escaped(component["name"]) for component in found)
    return f"there are: {names}" if names else "there is none: is CTDB's package installed?"
