"""Turns a request into a call of the domain, and what comes of it, errors too, into the reply."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, assert_never

import attrs

from ctdb_eventd.errors import InvalidName, RequestError, WouldDeadlock
from ctdb_eventd.model import EventReport, EventSpec
from ctdb_eventd.names import check_name
from ctdb_eventd.protocol.messages import (
    Reply,
    Request,
    RunReply,
    RunRequest,
    ScriptReply,
    ScriptRequest,
    StatusReply,
    StatusRequest,
)

__all__ = ["Cancellable", "Dispatcher", "Domain", "Peer"]

_log = logging.getLogger(__name__)


class Cancellable(Protocol):
    """A request that is being carried out."""

    def cancel(self) -> None:
        """Takes it back: it will not be answered."""


@attrs.define
class Peer:
    """The process at the other end of a session."""

    pid: int
    uid: int
    asker: object | None = None
    """The job whose script it descends from, if it does."""
    asker_known: bool = False
    """It was found out whether there is one; that can't change any more."""


@attrs.frozen(kw_only=True)
class Domain:
    """What requests can ask for. Each function raises RequestError, or OSError, for what it can't do."""

    run: Callable[[EventSpec, Callable[[int], None], Peer], Cancellable | None]
    """Runs an event for somebody and calls back with 0 or an errno; returns None if it did so at once."""
    status: Callable[[str, str], EventReport]
    """Returns the latest report of a component's event."""
    set_script: Callable[[str, str, bool], None]
    """Enables or disables a component's script."""


class Dispatcher:
    """Serves the requests of every session."""

    def __init__(self, domain: Domain) -> None:
        """Serves what `domain` can do."""
        self._domain = domain

    def handle(self, request: Request, reply: Callable[[Reply], None], peer: Peer) -> Cancellable | None:
        """Carries out a request and calls `reply` once, now or later.

        Returns:
            What can be cancelled until the reply has come; None if nothing can.
        """
        match request:
            case RunRequest():
                return self._run(request, reply, peer)
            case StatusRequest():
                reply(self._status(request))
            case ScriptRequest():
                reply(self._set_script(request))
            case _:
                assert_never(request)
        return None

    def _run(self, request: RunRequest, reply: Callable[[Reply], None], peer: Peer) -> Cancellable | None:
        spec = request.spec
        try:
            _check_names(spec.component, "event", spec.event)
            _check_arguments(spec)
            return self._domain.run(spec, lambda result: reply(_run_reply(result)), peer)
        except Exception as error:
            reply(RunReply(_errno(error, request)))
            return None

    def _status(self, request: StatusRequest) -> StatusReply:
        try:
            _check_names(request.component, "event", request.event)
            return StatusReply(0, self._domain.status(request.component, request.event))
        except Exception as error:
            return StatusReply(_errno(error, request), None)

    def _set_script(self, request: ScriptRequest) -> ScriptReply:
        try:
            _check_names(request.component, "script", request.script)
            self._domain.set_script(request.component, request.script, request.enable)
        except Exception as error:
            return ScriptReply(_errno(error, request))
        _log.info("%s: script %s %s", request.component, request.script, "enabled" if request.enable else "disabled")
        return ScriptReply(0)


# There are half a dozen results, and nearly always it is 0.
_run_reply = lru_cache(maxsize=64)(RunReply)


@lru_cache(maxsize=1024)  # what it refuses isn't kept, only what it lets pass
def _check_names(component: str, kind: str, name: str) -> None:
    check_name("component", component)
    check_name(kind, name)


def _check_arguments(spec: EventSpec) -> None:
    for word in spec.args:
        if "\0" in word:
            raise InvalidName("argument", word, "it contains a NUL")


def _errno(error: Exception, request: Request) -> int:
    """Returns the errno that answers a request, and logs what the client can't be told."""
    if isinstance(error, RequestError):
        level = logging.WARNING if isinstance(error, InvalidName | WouldDeadlock) else logging.DEBUG
        _log.log(level, "%s refused: %s", type(request).__name__, error)
        return error.errno
    if isinstance(error, OSError):
        _log.error("%s failed: %s", type(request).__name__, error)
        return error.errno or errno.EIO
    _log.error("%r failed: this is a bug in ctdb-eventd, please report it", request, exc_info=error)
    return errno.EIO
