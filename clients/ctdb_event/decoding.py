"""Makes typed values of the plain ones that come over the wire. Unknown keys are ignored.

An attribute has the name of its key, its type says what may be there, and a default is what
brokers mean that are too old to have the key. An error says which value of which map it is about: `script.seconds`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import attrs

from ctdb_event import updates
from ctdb_event.errors import MalformedAnswer
from ctdb_event.updates import Unknown, Update
from ctdb_eventd.text import shown

__all__ = ["decode", "decode_list", "decode_update", "take"]

T = TypeVar("T")

# what a map is called in errors, if not by the words of its class
_NAMES = {
    "ComponentHealth": "health",
    "EventInfo": "event",
    "Grant": "lock",
    "LeftOut": "more",
    "Overview": "status",
    "ScriptFiles": "scripts",
}
_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    bytes: ("bytes", lambda value: isinstance(value, bytes)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    tuple[str, ...]: (
        "a list of text",
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    ),
}
"""Type → what is expected in words, and whether a value is that."""
_UPDATES: dict[str, type[Update]] = {
    "queued": updates.Queued,
    "started": updates.Started,
    "script-started": updates.ScriptStarted,
    "output": updates.Output,
    "script-finished": updates.ScriptFinished,
    "finished": updates.Finished,
    "lock-waiting": updates.LockWaiting,
    "lock-acquired": updates.LockAcquired,
    "upgraded": updates.Upgraded,
    "health": updates.Health,
    "gap": updates.Gap,
}


def decode(kind: type[T], value: object, where: str | None = None) -> T:
    """Returns the attrs class `kind` made of a map.

    Raises:
        MalformedAnswer: A key is missing or of another type, or it is no map.
    """
    attrs_class: Any = kind
    where = where or _name(attrs_class)
    content = _check_map(value, where)
    found: dict[str, Any] = {}
    for key, path, expected, read, is_optional in _plan(attrs_class, where):
        if key in content:
            found[key] = read(content[key], path)
        elif not is_optional:
            raise _missing(path, expected)
    return kind(**found)


def decode_list(kind: type[T], value: object, where: str) -> tuple[T, ...]:
    """As `decode`, for a list of maps, which is called `where` in errors."""
    if not isinstance(value, list):
        raise _malformed(value, where, "a list")
    return tuple(decode(kind, item) for item in value)


def take(kind: type[T], value: object, where: str, key: str) -> T:
    """Returns the value of one key of a map; `where` is what the map is called in errors."""
    wanted: Any = kind
    content, (expected, read) = _check_map(value, where), _reader(wanted)
    if key not in content:
        raise _missing(f"{where}.{key}", expected)
    found: T = read(content[key], f"{where}.{key}")
    return found


def decode_update(kind: str, number: int, data: dict[str, Any]) -> Update:
    """Makes an update of a note. Whom it is about may be left out.

    Raises:
        MalformedAnswer: It lacks something, or something in it is of another type than it has to be.
    """
    about = {name: data.get(name) for name in ("run", "component", "event")}
    args = [] if data.get("args") is None else data["args"]
    value = {**data, **about, "args": args, "number": number}
    if kind in _UPDATES:
        return decode(_UPDATES[kind], value, kind)
    return Unknown(**attrs.asdict(decode(Update, value, kind)), kind=kind, data=data)


@cache
def _name(kind: type) -> str:
    return _NAMES.get(kind.__name__) or re.sub(r"(?<=.)([A-Z])", r" \1", kind.__name__).lower()


# of the classes in use, and of a few kinds of notes that this version doesn't know
@lru_cache(maxsize=64)
def _plan(kind: type[Any], where: str) -> tuple[tuple[str, str, str, Callable[[Any, str], Any], bool], ...]:
    """Returns for each attribute its key, its path, what is expected, how it is read, and whether it may be missing."""
    types = get_type_hints(kind)
    return tuple(
        (field.name, f"{where}.{field.name}", *_reader(types[field.name]), field.default is not attrs.NOTHING)
        for field in attrs.fields(kind)
    )


@cache
def _reader(kind: Any) -> tuple[str, Callable[[Any, str], Any]]:
    """Returns what is expected, in words, and what reads a value, whose path in errors it is given."""
    if kind in _PLAIN:
        return _PLAIN[kind][0], lambda value, path: _read_plain(kind, value, path)
    if get_origin(kind) is Literal:
        return _reader(str)  # a later broker may have more words
    arguments = get_args(kind)
    if type(None) in arguments:
        expected, read = _reader(arguments[0])
        return expected, lambda value, path: None if value is None else read(value, path)
    if get_origin(kind) is tuple:
        return "a list", lambda value, path: decode_list(arguments[0], value, path)
    if get_origin(kind) is Mapping:
        return "a map", lambda value, path: {
            name: _read_plain(arguments[1], item, f"{path}.{name}") for name, item in _check_map(value, path).items()
        }
    return "a map", lambda value, path: decode(kind, value)


def _read_plain(kind: Any, value: Any, path: str) -> Any:
    expected, fits = _PLAIN[kind]
    if not fits(value):
        raise _malformed(value, path, expected)
    return float(value) if kind is float else tuple(value) if isinstance(value, list) else value


def _check_map(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(value, where, "a map")
    return value


def _malformed(value: object, where: str, expected: str) -> MalformedAnswer:
    return MalformedAnswer(f"{where} in the broker's answer is {shown(value)}, {expected} was expected")


def _missing(where: str, expected: str) -> MalformedAnswer:
    return MalformedAnswer(f"{where} in the broker's answer is missing, {expected} was expected")
