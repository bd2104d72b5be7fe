"""Every request that a client can make: its parameters, and how its result is decoded. Both clients share them.

Pure. Parameters of the wrong type are refused here, before anything is sent, with the same messages in both dialects.
Whether a value is valid is decided by the broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil, inf
from typing import Any, Generic, NoReturn, TypeVar, get_args

import attrs

from ctdb_event.broker import Hello, Stats
from ctdb_event.decoding import decode, decode_list, take
from ctdb_event.errors import InvalidRequest
from ctdb_event.failures import check_run
from ctdb_event.inventory import Component, EventInfo, Lock, ScriptFiles, Upgrade
from ctdb_event.past import PastRun, TimeSpent, Which
from ctdb_event.results import Overview, Run
from ctdb_event.words import Kind, Outcome

__all__ = [
    "CLIENT",
    "Grant",
    "Request",
    "both_stream_and_detach",
    "cancel",
    "components",
    "detach",
    "events",
    "hello",
    "history",
    "lock",
    "locks",
    "past_run",
    "ping",
    "reload",
    "run",
    "scripts",
    "slow",
    "stats",
    "status",
    "stream",
    "subscribe",
    "switch",
    "unlock",
    "upgrade",
]

T = TypeVar("T")

_MAX_U32 = 0xFFFFFFFF
CLIENT = "ctdb_event (Python)"
"""A client's name in the broker's log by default."""


@attrs.frozen
class Request(Generic[T]):
    """A request, before it is sent."""

    method: str
    params: dict[str, Any]
    """Plain values."""
    read: Callable[[Any], T]
    """Decodes the plain result; raises MalformedAnswer or EventError."""


@attrs.frozen(kw_only=True)
class Grant:
    """Locks that were granted to this connection."""

    lock: int
    """Identifies them in `unlock`."""
    waited: float
    """How long it took, in seconds."""


def _nothing(value: Any) -> None:
    """Ignores the result of a request that has none; later versions may send something."""


def _refuse(name: str, expected: str, value: object) -> NoReturn:
    text = f"parameter {name}: {expected} is expected, not {value!r:.200}"
    raise InvalidRequest("EINVAL", text, {"kind": "InvalidParameter", "parameter": name})


def _text(name: str, value: object) -> str:
    """Checks that a value is text that can be encoded to bytes: lone surrogates only if they stand for bytes."""
    if not isinstance(value, str):
        _refuse(name, "a text", value)
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        _refuse(name, "text that can be encoded", value)
    return value


def _optional_text(name: str, value: object) -> str | None:
    return None if value is None else _text(name, value)


def _texts(name: str, values: Iterable[object]) -> list[str]:
    return [_text(name, value) for value in values]


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        _refuse(name, "True or False", value)
    return value


def _whole_seconds(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_U32:
        _refuse(name, f"a number of seconds from 0 (no limit) to {_MAX_U32}", value)
    return ceil(value)


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _refuse(name, "a whole number from 0", value)
    return value


def _wait(name: str, value: object) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf):
        _refuse(name, "a number of seconds from 0", value)
    return value


def hello(client: str = CLIENT) -> Request[Hello]:
    """Asks who the broker is."""
    return Request("hello", {"client": _text("client", client)}, lambda value: decode(Hello, value))


def ping() -> Request[None]:
    """Asks whether the broker answers."""
    return Request("ping", {}, _nothing)


def _run_params(component: str, event: str, args: tuple[str, ...], timeout: float, run_all: bool) -> dict[str, Any]:
    return {
        "component": _text("component", component),
        "event": _text("event", event),
        "args": _texts("args", args),
        "timeout": _whole_seconds("timeout", timeout),
        "run_all": _flag("run_all", run_all),
        "stream": False,
        "detach": False,
    }


def run(component: str, event: str, args: tuple[str, ...], timeout: float, run_all: bool) -> Request[Run]:
    """Runs an event; an outcome other than success is raised."""
    params = _run_params(component, event, args, timeout, run_all)
    return Request("run", params, lambda value: check_run(decode(Run, value)))


def stream(component: str, event: str, args: tuple[str, ...], timeout: float, run_all: bool) -> Request[Run]:
    """Runs an event and streams its updates; the stream raises for an outcome other than success."""
    params = {**_run_params(component, event, args, timeout, run_all), "stream": True}
    return Request("run", params, lambda value: decode(Run, value))


def detach(component: str, event: str, args: tuple[str, ...], timeout: float, run_all: bool) -> Request[str]:
    """Starts a detached run; the result is its id."""
    params = {**_run_params(component, event, args, timeout, run_all), "detach": True}
    return Request("run", params, lambda value: take(str, value, "run", "run"))


def both_stream_and_detach() -> InvalidRequest:
    """Returns the exception for a run with both `stream` and `detach`."""
    return InvalidRequest("EINVAL", "stream and detach exclude each other: a detached run has no client to notify")


def cancel(run: str) -> Request[str]:
    """Cancels a run of any client; the result is its former state, `queued` or `running`."""
    return Request("cancel", {"run": _text("run", run)}, lambda value: take(str, value, "cancel", "state"))


def status(
    component: str | None, event: str | None, address: str | None, addresses: bool, output: bool | None
) -> Request[Overview]:
    """Returns latest results, and running and queued jobs."""
    params: dict[str, Any] = {
        "component": _optional_text("component", component),
        "event": _optional_text("event", event),
        "address": _optional_text("address", address),
        "addresses": _flag("addresses", addresses),
    }
    if output is not None:
        params["output"] = _flag("output", output)
    return Request("status", params, lambda value: decode(Overview, value))


def components() -> Request[tuple[Component, ...]]:
    """Lists the components."""
    return Request("components", {}, lambda value: decode_list(Component, value, "components"))


def scripts(component: str) -> Request[ScriptFiles]:
    """Lists the files in a component's directory."""
    return Request("scripts", {"component": _text("component", component)}, lambda value: decode(ScriptFiles, value))


def events() -> Request[tuple[EventInfo, ...]]:
    """Lists the events that the broker knows."""
    return Request("events", {}, lambda value: decode_list(EventInfo, value, "events"))


def switch(method: str, component: str, script: str) -> Request[None]:
    """Enables or disables a script; `method` is `enable` or `disable`."""
    params = {"component": _text("component", component), "script": _text("script", script)}
    return Request(method, params, _nothing)


def locks() -> Request[tuple[Lock, ...]]:
    """Lists locks with their holders and waiters."""
    return Request("locks", {}, lambda value: decode_list(Lock, value, "locks"))


def lock(names: tuple[str, ...], wait: float | None) -> Request[Grant]:
    """Takes locks for the connection, all at once."""
    return Request(
        "lock", {"names": _texts("names", names), "wait": _wait("wait", wait)}, lambda value: decode(Grant, value)
    )


def unlock(number: int) -> Request[None]:
    """Releases locks."""
    return Request("unlock", {"lock": number}, _nothing)


def _kind(value: object) -> str:
    kind = _text("kinds", value)
    if kind not in get_args(Kind):
        _refuse("kinds", f"some of {', '.join(get_args(Kind))}", kind)
    return kind


def subscribe(
    kinds: Iterable[Kind] | None,
    component: str | None,
    event: str | None,
    run: str | None,
    outcomes: Iterable[Outcome] | None = None,
    address: str | None = None,
    report: bool = False,
) -> Request[None]:
    """Subscribes to updates."""
    if isinstance(kinds, str) or not isinstance(kinds, Iterable | None):
        raise InvalidRequest("EINVAL", f"kinds is {kinds!r:.200}, a list of kinds was expected, such as ['health']")
    if isinstance(outcomes, str) or not isinstance(outcomes, Iterable | None):
        raise InvalidRequest("EINVAL", f"outcomes is {outcomes!r:.200}, a list was expected, such as ['failed']")
    params = {
        "kinds": None if kinds is None else [_kind(kind) for kind in kinds],
        "component": _optional_text("component", component),
        "event": _optional_text("event", event),
        "run": _optional_text("run", run),
        "outcomes": None if outcomes is None else _texts("outcomes", outcomes),
        "address": _optional_text("address", address),
        "report": _flag("report", report) or None,
    }
    return Request("subscribe", params, _nothing)


def _which(
    limit: int,
    *,
    component: str | None = None,
    event: str | None = None,
    address: str | None = None,
    failed: bool = False,
    since: float | None = None,
    until: float | None = None,
    slower: float | None = None,
    uid: int | None = None,
    by_ctdbd: bool = False,
) -> dict[str, Any]:
    return {
        "component": _optional_text("component", component),
        "event": _optional_text("event", event),
        "address": _optional_text("address", address),
        "failed": _flag("failed", failed),
        "since": _wait("since", since),
        "until": _wait("until", until),
        "slower": _wait("slower", slower),
        "uid": None if uid is None else _whole("uid", uid),
        "by_ctdbd": _flag("by_ctdbd", by_ctdbd),
        "limit": _whole("limit", limit),
    }


def history(limit: int, which: Which) -> Request[tuple[PastRun, ...]]:
    """The latest runs, without their scripts."""
    params = {"view": "runs", **_which(limit, **which)}
    return Request("history", params, lambda value: decode_list(PastRun, value, "history"))


def past_run(run: str | None, failed: bool) -> Request[PastRun | None]:
    """Returns one run with all details; None if there is no such run."""
    params = {"view": "run", "run": _optional_text("run", run), "failed": _flag("failed", failed)}
    return Request("history", params, lambda value: None if value is None else decode(PastRun, value))


def slow(limit: int, which: Which) -> Request[tuple[TimeSpent, ...]]:
    """Lists scripts and waits by the time that they took."""
    params = {"view": "slow", **_which(limit, **which)}
    return Request("history", params, lambda value: decode_list(TimeSpent, value, "history"))


def stats() -> Request[Stats]:
    """Returns the broker's counters."""
    return Request("stats", {}, lambda value: decode(Stats, value))


def reload() -> Request[tuple[str, ...]]:
    """Reloads the configuration; the result is its warnings."""
    return Request("reload", {}, lambda value: take(tuple[str, ...], value, "reload", "warnings"))


def upgrade(cancel: bool) -> Request[Upgrade | None]:
    """Upgrades the broker to the installed version, or cancels a pending upgrade; then the result is None."""
    return Request("upgrade", {"cancel": cancel}, lambda value: decode(Upgrade, value) if value else None)
