"""Maps requests of the CTDB dialect to calls of the domain, and their results and errors to replies."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, assert_never

import attrs

from ctdb_eventd.dispatcher.domain import Domain
from ctdb_eventd.dispatcher.methods import Methods
from ctdb_eventd.dispatcher.params import check_names, check_spec, log_refusal
from ctdb_eventd.dispatcher.peer import Cancellable, Peer
from ctdb_eventd.errors import RequestError
from ctdb_eventd.protocol.messages import (
    Call,
    Reply,
    Request,
    RunReply,
    RunRequest,
    ScriptReply,
    ScriptRequest,
    StatusReply,
    StatusRequest,
)
from ctdb_eventd.runs import Job
from ctdb_eventd.text import shown

if TYPE_CHECKING:
    from ctdb_eventd.handover import LeftCall

__all__ = ["Dispatcher"]

_log = logging.getLogger(__name__)


class Dispatcher:
    """Serves the requests of every session."""

    def __init__(self, domain: Domain) -> None:
        """Serves requests by means of `domain`."""
        self._domain = domain
        self._methods = Methods(domain)

    def handle(self, request: Request, reply: Callable[[Reply], None], peer: Peer) -> Cancellable | None:
        """Carries out a request and calls `reply` once, now or later; with notes before that, if it asks for them.

        Returns:
            What can be cancelled until the reply has come; None if nothing can.
        """
        match request:
            case RunRequest():
                return self._run(request, reply, peer)
            case StatusRequest():
                reply(self._status(request, peer))
            case ScriptRequest():
                reply(self._set_script(request, peer))
            case Call():
                return self._methods.handle(request, reply, peer)
            case _:
                assert_never(request)
        return None

    def _run(self, request: RunRequest, reply: Callable[[Reply], None], peer: Peer) -> Cancellable | None:
        spec = request.spec
        try:
            check_spec(spec)
            run = self._domain.admit_run(peer, spec, request.run)
            job = self._domain.run(spec, lambda result, _: reply(_run_reply(result)), peer, run)
            return None if job is None else _RunUnderWay(self._domain, job)
        except Exception as error:
            reply(RunReply(_errno(error, request, peer)))
            return None

    def _status(self, request: StatusRequest, peer: Peer) -> StatusReply:
        try:
            check_names(request.component, "event", request.event)
            self._domain.check_read(peer, "status")
            return StatusReply(0, self._domain.status(request.component, request.event).report)
        except Exception as error:
            return StatusReply(_errno(error, request, peer), None)

    def _set_script(self, request: ScriptRequest, peer: Peer) -> ScriptReply:
        try:
            check_names(request.component, "script", request.script)
            word = "enable" if request.enable else "disable"
            self._domain.check_operate(peer, word)
            self._domain.audit(peer, word, f"{request.component}/{request.script}")
            self._domain.set_script(request.component, request.script, request.enable)
        except Exception as error:
            return ScriptReply(_errno(error, request, peer))
        _log.info("%s: script %s %s", request.component, request.script, "enabled" if request.enable else "disabled")
        return ScriptReply(0)


@attrs.frozen(eq=False, repr=False)
class _RunUnderWay:
    """A run, as the session sees it."""

    domain: Domain
    job: Job

    def cancel(self) -> None:
        """Cancels it without a reply."""
        self.domain.cancel_run(self.job)

    def left(self) -> dict[str, Any]:
        """Returns its state for another program."""
        return {"run": self.job.run, "queued": self.job.queued}

    def take_up(self, left: LeftCall) -> None:
        """Restores its state: there is none besides the request."""


# There are half a dozen results, and nearly always it is 0.
_run_reply = lru_cache(maxsize=64)(RunReply)


def _errno(error: Exception, request: Request, peer: Peer) -> int:
    """Returns the errno of the reply, and logs the details, for which the dialect has no room."""
    if isinstance(error, RequestError):
        log_refusal(_log, type(request).__name__, error, peer)
        return error.errno
    if isinstance(error, OSError):
        _log.error("%s failed: %s", type(request).__name__, error)
        return error.errno or errno.EIO
    _log.error("%s failed: this is a bug in ctdb-eventd, please report it", shown(request), exc_info=error)
    return errno.EIO
