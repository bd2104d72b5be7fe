"""Turns a request into a call of the domain, and what comes of it, errors too, into the reply."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import Protocol

import attrs

from ctdb_eventd.errors import InvalidName, RequestError
from ctdb_eventd.model import EventReport, EventSpec
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
from ctdb_eventd.scripts import check_name

__all__ = ["Cancellable", "Dispatcher", "Domain"]

_log = logging.getLogger(__name__)


class Cancellable(Protocol):
    """A request that is being carried out."""

    def cancel(self) -> None:
        """Takes it back: it will not be answered."""


@attrs.frozen(kw_only=True)
class Domain:
    """What requests can ask for. Each function raises RequestError, or OSError, for what it can't do."""

    run: Callable[[EventSpec, Callable[[int], None]], Cancellable]
    """Runs an event and calls back with 0 or an errno, possibly at once."""
    status: Callable[[str, str], EventReport]
    """Returns the latest report of a component's event."""
    set_script: Callable[[str, str, bool], None]
    """Enables or disables a component's script."""


class Dispatcher:
    """Serves the requests of every session."""

    def __init__(self, domain: Domain) -> None:
        """Serves what `domain` can do."""
        self._domain = domain

    def handle(self, request: Request, reply: Callable[[Reply], None]) -> Cancellable | None:
        """Carries out a request and calls `reply` once, now or later.

        Returns:
            What can be cancelled until the reply has come; None if nothing can.
        """
        match request:
            case RunRequest():
                return self._run(request, reply)
            case StatusRequest():
                reply(self._status(request))
            case ScriptRequest():
                reply(self._set_script(request))
        return None

    def _run(self, request: RunRequest, reply: Callable[[Reply], None]) -> Cancellable | None:
        reqid = request.reqid

        def done(result: int) -> None:
            reply(RunReply(reqid, result))

        try:
            return self._domain.run(_event_spec(request), done)
        except Exception as error:
            done(_errno(error, request))
            return None

    def _status(self, request: StatusRequest) -> StatusReply:
        try:
            check_name("component", request.component)
            check_name("event", request.event)
            return StatusReply(request.reqid, 0, self._domain.status(request.component, request.event))
        except Exception as error:
            return StatusReply(request.reqid, _errno(error, request), None)

    def _set_script(self, request: ScriptRequest) -> ScriptReply:
        try:
            self._domain.set_script(request.component, request.script, request.enable)
        except Exception as error:
            return ScriptReply(request.reqid, _errno(error, request))
        _log.info("%s: script %s %s", request.component, request.script, "enabled" if request.enable else "disabled")
        return ScriptReply(request.reqid, 0)


def _event_spec(request: RunRequest) -> EventSpec:
    check_name("component", request.component)
    check_name("event", request.event)
    args = tuple(word for word in request.args.split(" ") if word) if request.args else ()
    if request.args and "\0" in request.args:
        raise InvalidName("argument", request.args, "it contains a NUL")
    return EventSpec(
        component=request.component,
        event=request.event,
        args=args,
        timeout=request.timeout,
        run_all=request.run_all,
    )


def _errno(error: Exception, request: Request) -> int:
    """Returns the errno that answers a request, and logs what the client can't be told."""
    if isinstance(error, RequestError):
        level = logging.WARNING if isinstance(error, InvalidName) else logging.DEBUG
        _log.log(level, "%s refused: %s", type(request).__name__, error)
        return error.errno
    if isinstance(error, OSError):
        _log.error("%s failed: %s", type(request).__name__, error)
        return error.errno or errno.EIO
    _log.error("%r failed: this is a bug in ctdb-eventd, please report it", request, exc_info=error)
    return errno.EIO
