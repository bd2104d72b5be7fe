"""What docs/protocol.md promises, once more and independent of the daemon: which answers may come to which bytes."""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import msgpack

__all__ = ["COMPONENTS", "Answer", "End", "Expected", "Stream", "read"]

COMPONENTS = frozenset({b"legacy", b"quick", b"other"})
"""Those of the node on which the daemon runs."""
_LIMIT = 1 << 20
_MAX_ID = (1 << 63) - 1
_PREFACE = b"\xffCTDBEV"


class End(enum.Enum):
    """How a stream ends."""

    OPEN = "every byte belongs to a message that was whole"
    PARTIAL = "more bytes are needed"
    BROKEN = "the daemon closes the connection"
    VERSION = "it says which versions it speaks, and closes the connection"


Answer = tuple[str, Any]
"""("result", value), or ("error", (kind, code)); in the CTDB dialect ("reply", (command, result))."""


@attrs.frozen(eq=False)
class Expected:
    """What one request may be answered with."""

    id: int
    about: str
    allows: Callable[[Answer], bool]
    may_wait: bool = False
    """It need not be answered at once."""
    notes: bool = False


@attrs.frozen
class Stream:
    """What bytes mean."""

    native: bool
    requests: list[Expected]
    end: End


def read(data: bytes) -> Stream:
    """Reads all that a client sent."""
    if len(data) >= 4 and data[:4] == _PREFACE[:4]:
        if len(data) < 8:
            return Stream(True, [], End.PARTIAL)
        if data[:7] != _PREFACE:
            return Stream(True, [], End.BROKEN)
        if data[7] != 1:
            return Stream(True, [], End.VERSION)
        return Stream(True, *_messages(data, 8, _frame_size, _call))
    return Stream(False, *_messages(data, 0, _packet_size, _packet))


class _Broken(Exception):
    """What is no message."""


def _messages(
    data: bytes, position: int, size_of: Callable[[bytes], int], read_one: Callable[[bytes], Expected]
) -> tuple[list[Expected], End]:
    requests: list[Expected] = []
    try:
        while position < len(data):
            if len(data) - position < 4:
                return requests, End.PARTIAL
            size = size_of(data[position : position + 4])
            if len(data) - position < size:
                return requests, End.PARTIAL
            requests.append(read_one(data[position : position + size]))
            position += size
    except _Broken:
        return requests, End.BROKEN
    return requests, End.OPEN


# ---------------------------------------------------------------------- the CTDB dialect


def _packet_size(head: bytes) -> int:
    size: int = struct.unpack("=I", head)[0]
    if not 12 <= size <= _LIMIT:
        raise _Broken
    return size


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def u32(self) -> int:
        if len(self.data) < 4:
            raise _Broken
        value: int = struct.unpack_from("=I", self.data)[0]
        self.data = self.data[4:]
        return value

    def string(self) -> bytes:
        size = self.u32()
        if size > len(self.data):
            raise _Broken
        value, self.data = self.data[:size], self.data[size:]
        if size and value[-1]:
            raise _Broken
        return value[:-1]


_RUN_RESULTS = {0, 5, 8, 16, 35, 110, 125}


def _packet(data: bytes) -> Expected:
    request_id, reader = struct.unpack_from("=I", data, 8)[0], _Reader(data[12:])
    command = reader.u32()
    if command not in (1, 2, 3):
        raise _Broken
    component, name = reader.string(), reader.string()
    wrong = _bad_name(component) or _bad_name(name)
    known = component in COMPONENTS
    if command == 1:
        wrong = b"\0" in reader.string() or wrong
        reader.u32(), reader.u32()
        results = {22} if wrong else _RUN_RESULTS if known else {2}
    elif command == 2:
        results = {22} if wrong else {0, 22} if known else {2}
    else:
        if reader.u32() > 1:
            raise _Broken
        results = {22} if wrong else {0, 2, 22}
    expected = {(command, result) for result in results}
    return Expected(request_id, f"command {command}", lambda answer: answer[1] in expected)


def _bad_name(name: bytes) -> bool:
    return name in (b"", b".", b"..") or b"/" in name or b"\0" in name or len(name) > 255


# ---------------------------------------------------------------------- the native dialect


def _frame_size(head: bytes) -> int:
    size: int = 4 + struct.unpack(">I", head)[0]
    if size > _LIMIT:
        raise _Broken
    return size


def _call(data: bytes) -> Expected:
    try:
        content = msgpack.unpackb(data[4:], raw=False, unicode_errors="surrogateescape", strict_map_key=True)
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError):
        raise _Broken from None
    if not _is_map(content):
        raise _Broken
    request_id, method, params = content.get("id"), content.get("method"), content.get("params", {})
    if (
        not _is_whole(request_id)
        or not 0 <= request_id <= _MAX_ID
        or not isinstance(method, str)
        or not _is_map(params)
    ):
        raise _Broken
    if method not in _METHODS:
        return Expected(request_id, method[:50], _errors("NoSuchMethod"))
    return _METHODS[method](request_id, params)


def _is_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_CODES = {
    **dict.fromkeys(
        ("InvalidParameter", "InvalidName", "NeverRan", "NotAFile", "ConfigError", "StartupError"), "EINVAL"
    ),
    **dict.fromkeys(
        ("NoSuchComponent", "NoSuchScript", "NoSuchRun", "NoSuchPastRun", "NoSuchCall", "NoSuchLock"), "ENOENT"
    ),
    **{"NoSuchMethod": "ENOSYS", "QueueTimeout": "EBUSY", "AddressHeld": "EBUSY", "WouldDeadlock": "EDEADLK"},
    "HistoryUnreadable": "EIO",
    **{"LockTimeout": "ETIMEDOUT", "Cancelled": "ECANCELED", "VersionNotSupported": "EPROTONOSUPPORT"},
}


def _errors(*kinds: str) -> Callable[[Answer], bool]:
    return lambda answer: answer[0] == "error" and answer[1] in {(kind, _CODES[kind]) for kind in kinds}


def _result(check: Callable[[Any], bool], *kinds: str) -> Callable[[Answer], bool]:
    refused = _errors(*kinds)
    return lambda answer: check(answer[1]) if answer[0] == "result" else refused(answer)


def _has(*keys: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and value.keys() >= set(keys)


class _Params:
    """Takes parameters as the page describes them, and remembers in which ways they are wrong."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self.wrong: set[str] = set()

    def _take(self, name: str, fits: Callable[[Any], bool]) -> Any:
        value = self._params.get(name)
        if value is not None and not fits(value):
            self.wrong.add("InvalidParameter")
            return None
        return value

    def text(self, name: str, needed: bool = False) -> str | None:
        value: str | None = self._take(name, lambda value: isinstance(value, str))
        if needed and value is None:
            self.wrong.add("InvalidParameter")
        return value

    def name(self, name: str, needed: bool = True) -> bytes:
        text = self.text(name, needed)
        value = b"x" if text is None else text.encode("utf-8", "surrogateescape")
        if _bad_name(value):
            self.wrong.add("InvalidName")
        return value

    def texts(self, name: str) -> list[str] | None:
        value: list[str] | None = self._take(
            name, lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value)
        )
        return value

    def flag(self, name: str) -> bool:
        return bool(self._take(name, lambda value: isinstance(value, bool)))

    def whole(self, name: str, least: int | None = None, most: float = math.inf) -> int | None:
        value: int | None = self._take(
            name, lambda value: _is_whole(value) and (least is None or least <= value <= most)
        )
        return value

    def number(self, name: str) -> float | None:
        value: float | None = self._take(
            name, lambda value: (_is_whole(value) or isinstance(value, float)) and 0 <= value < math.inf
        )
        return value

    def must(self, condition: bool) -> None:
        if not condition:
            self.wrong.add("InvalidParameter")

    def expected(self, request_id: int, method: str, allows: Callable[[Answer], bool], **more: bool) -> Expected:
        """Whatever is wrong may be said first."""
        return Expected(request_id, method, _errors(*self.wrong) if self.wrong else allows, **more)


def _simple(method: str, *keys: str) -> Callable[[int, Mapping[str, Any]], Expected]:
    return lambda request_id, params: Expected(request_id, method, _result(_has(*keys)))


def _listing(method: str, *keys: str) -> Callable[[int, Mapping[str, Any]], Expected]:
    has = _has(*keys)
    check = _result(lambda value: isinstance(value, list) and all(map(has, value)))
    return lambda request_id, params: Expected(request_id, method, check)


def _hello(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    take.text("client")
    has = _has("version", "server", "pid", "started", "methods", "limits")
    return take.expected(request_id, "hello", _result(has))


_is_run = _has("run", "component", "event", "args", "address", "outcome", "summary", "queued", "waited", "scripts")


def _run(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    component, _ = take.name("component"), take.name("event")
    args = take.texts("args") or []
    if any("\0" in arg for arg in args):
        take.wrong.add("InvalidName")
    take.whole("timeout", 0, 0xFFFFFFFF), take.flag("run_all")
    stream, detach = take.flag("stream"), take.flag("detach")
    take.must(not (stream and detach))
    take.must(len(args) <= 100_000)
    if component not in COMPONENTS:
        return take.expected(request_id, "run", _errors("NoSuchComponent"), notes=stream)
    check = _result(_has("run") if detach else _is_run, "QueueTimeout", "AddressHeld", "WouldDeadlock")
    return take.expected(request_id, "run", check, may_wait=not take.wrong, notes=stream)


def _cancel(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    run, call = take.text("run"), take.whole("call")
    take.must((run is None) != (call is None))
    check = _result(
        lambda value: value in ({"state": "queued"}, {"state": "running"}), "NoSuchCall" if run is None else "NoSuchRun"
    )
    return take.expected(request_id, "cancel", check)


def _status(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    component, event = take.text("component"), take.text("event")
    take.text("address"), take.flag("addresses"), take.flag("output")
    take.must(event is None or component is not None)
    known = take.name("component", False) in COMPONENTS
    take.name("event", False)
    kinds: tuple[str, ...] = ()
    if component is not None and event is not None:
        kinds = ("NeverRan",) if known else ("NoSuchComponent",)
    elif component is not None and not known:
        kinds = ("NoSuchComponent",)
    return take.expected(request_id, "status", _result(_has("results", "jobs", "health"), *kinds))


def _scripts(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    if take.name("component") in COMPONENTS:
        check = _result(_has("component", "directory", "scripts", "refused"))
    else:
        check = _errors("NoSuchComponent")
    return take.expected(request_id, "scripts", check)


def _set_script(method: str) -> Callable[[int, Mapping[str, Any]], Expected]:
    def expected(request_id: int, params: Mapping[str, Any]) -> Expected:
        take = _Params(params)
        take.name("component"), take.name("script")
        check = _result(lambda value: value == {}, "InvalidName", "NoSuchComponent", "NoSuchScript", "NotAFile")
        return take.expected(request_id, method, check)

    return expected


def _lock(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    names = take.texts("names")
    take.must(names is not None and 1 <= len(names) <= 100)
    take.number("wait")
    check = _result(
        _has("lock", "waited"), "InvalidParameter", "InvalidName", "LockTimeout", "WouldDeadlock", "Cancelled"
    )
    return take.expected(request_id, "lock", check, may_wait=not take.wrong)


def _unlock(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    take.must(take.whole("lock") is not None)
    return take.expected(request_id, "unlock", _result(lambda value: value == {}, "NoSuchLock"))


_OUTCOMES = frozenset({"success", "failed", "timed-out", "cancelled"})
_KINDS = frozenset(
    "queued started script-started output script-finished finished lock-waiting lock-acquired health".split()
)


def _subscribe(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    kinds = take.texts("kinds")
    take.must(kinds is None or (bool(kinds) and _KINDS.issuperset(kinds)))
    outcomes = take.texts("outcomes")
    take.must(outcomes is None or (bool(outcomes) and _OUTCOMES.issuperset(outcomes)))
    take.text("component"), take.text("event"), take.text("run"), take.text("address"), take.flag("report")
    good = not take.wrong
    return take.expected(request_id, "subscribe", _result(_has("notes")), may_wait=good, notes=good)


def _history(request_id: int, params: Mapping[str, Any]) -> Expected:
    take = _Params(params)
    take.must(take.text("view") in (None, "", "runs", "run", "slow", "ended"))
    take.must(params.get("view") != "ended" or params.get("run") is not None)
    take.whole("limit", 1, 1000), take.whole("uid"), take.flag("failed"), take.flag("by_ctdbd")
    for name in ("component", "event", "address", "run"):
        take.text(name)
    for name in ("since", "until", "slower"):
        take.number(name)
    return take.expected(
        request_id,
        "history",
        _result(lambda value: value is None or isinstance(value, list | dict), "HistoryUnreadable", "NoSuchPastRun"),
        may_wait=not take.wrong,
    )


_METHODS: dict[str, Callable[[int, Mapping[str, Any]], Expected]] = {
    "hello": _hello,
    "history": _history,
    "ping": lambda request_id, params: Expected(request_id, "ping", _result(lambda value: value == {})),
    "run": _run,
    "cancel": _cancel,
    "status": _status,
    "components": _listing("components", "name", "directory", "scripts", "enabled", "error"),
    "scripts": _scripts,
    "events": _listing("events", "name", "mode", "args"),
    "enable": _set_script("enable"),
    "disable": _set_script("disable"),
    "locks": _listing("locks", "name", "kind", "holder", "waiting"),
    "lock": _lock,
    "unlock": _unlock,
    "subscribe": _subscribe,
    "stats": _simple(
        "stats", "version", "pid", "started", "uptime", "memory", "descriptors", "clients", "runs", "slots"
    ),
    "reload": _simple("reload", "warnings"),
    "upgrade": _simple("upgrade"),
}
