"""The methods of the native dialect: each reads its parameters, asks the domain, and answers with plain values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ctdb_eventd.dispatcher.domain import Domain
from ctdb_eventd.dispatcher.ongoing import LockCall, RunCall, WatchCall
from ctdb_eventd.dispatcher.params import Params, check_names, check_spec, log_refusal
from ctdb_eventd.dispatcher.peer import Cancellable, Peer
from ctdb_eventd.dispatcher.status import Status
from ctdb_eventd.dispatcher.values import failure_of, lock_value
from ctdb_eventd.errors import (
    EventdError,
    InvalidParameter,
    NoSuchCall,
    NoSuchLock,
    NoSuchMethod,
    NoSuchPastRun,
    NoSuchRun,
    RequestError,
)
from ctdb_eventd.feed import KINDS, Filter
from ctdb_eventd.history.records import Wanted
from ctdb_eventd.model import EventOutcome, EventSpec, RunRecord
from ctdb_eventd.names import check_name
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.messages import Call, Reply, Result
from ctdb_eventd.text import shown

__all__ = ["Methods"]

_log = logging.getLogger(__name__)

ReplyTo = Callable[[Reply], None]

_STREAMED = frozenset(KINDS) - {"health", "upgraded"}
_OUTCOMES = tuple(outcome.word for outcome in EventOutcome)
_SUBSCRIBED = frozenset(KINDS) - {"output"}
_MOST_LOCKS = 100
_VIEWS = ("runs", "run", "slow", "ended")
_USUAL_RUNS = 50
_MOST_RUNS = 1000

_READING = frozenset("components events hello history locks ping scripts stats status subscribe".split())
"""Methods that need the right to read."""
_FOR_OWN = frozenset({"cancel", "unlock"})
"""Methods that need the same right, as they concern the peer's own calls; `cancel` of a run checks more."""
_BY_EVENT = frozenset({"run"})
"""Methods that check the right to operate by event. All others need the right to operate everything."""


class Methods:
    """Carries out calls.

    Attributes:
        NAMES: Every method there is.
    """

    NAMES = (
        "cancel",
        "components",
        "disable",
        "enable",
        "events",
        "hello",
        "history",
        "lock",
        "locks",
        "ping",
        "reload",
        "run",
        "scripts",
        "stats",
        "status",
        "subscribe",
        "unlock",
        "upgrade",
    )

    def __init__(self, domain: Domain) -> None:
        """Serves calls by means of `domain`."""
        self._domain = domain
        self._status = Status(domain)
        self._at_once: dict[str, Callable[[Params, Peer], Any]] = {
            "hello": self._hello,
            "ping": lambda params, peer: {},
            "cancel": self._cancel,
            "status": self._status.ask,
            "components": lambda params, peer: domain.components(),
            "scripts": self._scripts,
            "events": lambda params, peer: domain.events(),
            "enable": lambda params, peer: self._set_script(params, peer, True),
            "disable": lambda params, peer: self._set_script(params, peer, False),
            "locks": lambda params, peer: [lock_value(lock) for lock in domain.locks()],
            "unlock": self._unlock,
            "stats": lambda params, peer: domain.stats(),
            "reload": self._reload,
        }
        self._ongoing: dict[str, Callable[[Call, Params, ReplyTo, Peer], Cancellable | None]] = {
            "run": self._run,
            "history": self._history,
            "lock": self._lock,
            "subscribe": self._subscribe,
            "upgrade": self._upgrade,
        }

    def handle(self, call: Call, reply: ReplyTo, peer: Peer) -> Cancellable | None:
        """Carries out a call and calls `reply` once with its answer, now or later, and with notes before it.

        Returns:
            What can be cancelled until the answer has come; None if nothing can.
        """
        try:
            method = self._at_once.get(call.method)
            ongoing = self._ongoing.get(call.method)
            if method is None and ongoing is None:
                raise NoSuchMethod(call.method, self.NAMES)
            self._check(call.method, peer)
            if method is not None:
                answer = method(Params(call.params), peer)
                reply(answer if type(answer) is Result else Result(answer))
                return None
            assert ongoing is not None
            return ongoing(call, Params(call.params), reply, peer)
        except (EventdError, OSError) as error:
            log_refusal(_log, call.method[:100], error, peer)
            reply(failure_of(error))
        except Exception as error:
            _log.error("%s failed: this is a bug in ctdb-eventd, please report it", shown(call), exc_info=error)
            reply(failure_of(None))
        return None

    def _check(self, method: str, peer: Peer) -> None:
        if method in _READING or method in _FOR_OWN:
            self._domain.check_read(peer, method)
        elif method not in _BY_EVENT:
            self._domain.check_operate(peer, method)

    # ------------------------------------------------------------------ runs

    def _run(self, call: Call, params: Params, reply: ReplyTo, peer: Peer) -> Cancellable | None:
        spec = EventSpec(
            component=params.text("component"),
            event=params.text("event"),
            args=params.texts("args") or (),
            timeout=params.seconds("timeout"),
            run_all=params.flag("run_all"),
        )
        check_spec(spec)
        stream, detach = params.flag("stream"), params.flag("detach")
        if stream and detach:
            raise InvalidParameter("detach", "no `stream` with it, since there is no client to notify")
        run = self._domain.admit_run(peer, spec, call.run or self._domain.new_run())
        if detach:
            self._detach(spec, run, reply, peer)
            return None
        wanted = Filter(kinds=_STREAMED, run=run) if stream else None
        return RunCall(call.id, reply, peer).begin(self._domain, spec, run, wanted)

    def _detach(self, spec: EventSpec, run: str, reply: ReplyTo, peer: Peer) -> None:
        outcomes: list[RunRecord | RequestError | None] = []
        self._domain.run(spec, lambda _, details: outcomes.append(details), peer, run, detached=True)
        if outcomes and not isinstance(outcomes[0], RunRecord):
            reply(failure_of(outcomes[0]))
        else:
            reply(Result({"run": run}))

    def _cancel(self, params: Params, peer: Peer) -> dict[str, Any]:
        run, call = params.optional_text("run"), params.number("call")
        if (run is None) == (call is None):
            raise InvalidParameter("run", "exactly one of `run` and `call`")
        if call is not None:
            ongoing = peer.calls.get(call)
            if ongoing is None:
                raise NoSuchCall(call)
            if ongoing.ending:
                self._domain.audit(peer, *ongoing.ending)
            return _cancelled(ongoing.revoke())
        job = self._domain.find_run(run or "")
        if job is None:
            raise NoSuchRun(run or "")
        self._domain.check_operate(peer, "cancel", job.spec)
        self._domain.audit(peer, "cancel", f"{job.spec.component}/{job.spec.event}", job.run)
        return _cancelled(self._domain.revoke_run(job, peer))

    # ------------------------------------------------------------------ history

    def _history(self, call: Call, params: Params, reply: ReplyTo, peer: Peer) -> None:
        view, limit = params.optional_text("view") or _VIEWS[0], params.number("limit")
        if view not in _VIEWS:
            raise InvalidParameter("view", f"one of {', '.join(_VIEWS)}", shown(view))
        if limit is not None and not 1 <= limit <= _MOST_RUNS:
            raise InvalidParameter("limit", f"a number from 1 to {_MOST_RUNS}", str(limit))
        run = params.optional_text("run")
        if view == "ended" and run is None:
            raise InvalidParameter("run", "the id of the run after whose end the others ended")
        wanted = Wanted(
            component=params.optional_text("component"),
            event=params.optional_text("event"),
            address=params.optional_text("address"),
            failed=params.flag("failed"),
            since=params.wait("since"),
            until=params.wait("until"),
            slower=params.wait("slower"),
            uid=params.number("uid"),
            by_ctdbd=True if params.flag("by_ctdbd") else None,
            limit=limit or _USUAL_RUNS,
        )

        def done(found: object) -> None:
            if view == "ended" and found is None:
                found = NoSuchPastRun(run or "")
            reply(_answer(found))

        self._domain.history(view, wanted, run, done)

    # ------------------------------------------------------------------ scripts

    def _scripts(self, params: Params, peer: Peer) -> dict[str, Any]:
        component = params.text("component")
        check_name("component", component)
        return self._domain.scripts(component)

    def _set_script(self, params: Params, peer: Peer, enable: bool) -> dict[str, Any]:
        component, script = params.text("component"), params.text("script")
        check_names(component, "script", script)
        self._domain.audit(peer, "enable" if enable else "disable", f"{component}/{script}")
        self._domain.set_script(component, script, enable)
        _log.info("%s: script %s %s", component, script, "enabled" if enable else "disabled")
        return {}

    # ------------------------------------------------------------------ locks

    def _lock(self, call: Call, params: Params, reply: ReplyTo, peer: Peer) -> Cancellable | None:
        names = params.texts("names")
        if not names or len(names) > _MOST_LOCKS:
            raise InvalidParameter("names", f"a list of 1 to {_MOST_LOCKS} names of locks")
        self._domain.audit(peer, "lock", ",".join(names))
        return LockCall(call.id, reply, peer).begin(self._domain, names, params.wait("wait"))

    def _unlock(self, params: Params, peer: Peer) -> dict[str, Any]:
        number = params.number("lock")
        if number is None:
            raise InvalidParameter("lock", "the number that `lock` returned")
        lock = peer.locks.pop(number, None)
        if lock is None:
            raise NoSuchLock(number)
        lock.cancel()
        return {}

    # ------------------------------------------------------------------ the broker

    def _hello(self, params: Params, peer: Peer) -> dict[str, Any]:
        client = params.optional_text("client")
        if client:
            _log.info("client %d (uid %d) is %s", peer.pid, peer.uid, client[:100])
        return {**self._domain.hello(), "version": frames.VERSION, "methods": self.NAMES}

    def _upgrade(self, call: Call, params: Params, reply: ReplyTo, peer: Peer) -> None:
        cancel = params.flag("cancel")
        self._domain.audit(peer, "cancel of the upgrade" if cancel else "upgrade")
        self._domain.upgrade(lambda outcome: reply(_answer(outcome)), cancel=cancel)

    def _reload(self, params: Params, peer: Peer) -> dict[str, Any]:
        self._domain.audit(peer, "reload")
        return {"warnings": self._domain.reload()}

    def _subscribe(self, call: Call, params: Params, reply: ReplyTo, peer: Peer) -> Cancellable | None:
        kinds = params.texts("kinds")
        unknown = set(kinds or ()).difference(KINDS)
        if unknown:
            raise InvalidParameter("kinds", f"some of {', '.join(KINDS)}", shown(min(unknown)))
        if kinds is not None and not kinds:
            raise InvalidParameter("kinds", f"at least one of {', '.join(KINDS)}", "none")
        outcomes = params.texts("outcomes")
        if outcomes is not None and not (outcomes and set(outcomes).issubset(_OUTCOMES)):
            raise InvalidParameter("outcomes", f"some of {', '.join(_OUTCOMES)}", shown(list(outcomes)))
        wanted = Filter(
            kinds=_SUBSCRIBED if kinds is None else frozenset(kinds),
            component=params.optional_text("component"),
            event=params.optional_text("event"),
            run=params.optional_text("run"),
            outcomes=None if outcomes is None else frozenset(outcomes),
            address=params.optional_text("address"),
            report=params.flag("report"),
        )
        return WatchCall(call.id, reply, peer).begin(self._domain.feed, wanted)


def _answer(what: object) -> Reply:
    return failure_of(what) if isinstance(what, RequestError) else Result(what)


def _cancelled(ran: bool) -> dict[str, Any]:
    return {"state": "running" if ran else "queued"}
