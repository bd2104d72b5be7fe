"""Decodes plain values from the wire into attrs classes. Unknown keys are ignored.

Each attribute is decoded from the key of its name, by its type; its default is used if the broker is too old to send
the key. Errors name the value by its path: `script.seconds`.
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

# the name of a class in errors, if it differs from the words of the class name
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
"""Type → its description for errors, and a check whether a value is of it."""
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
    """Decodes a map into the attrs class `kind`.

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
    """Decodes a list of maps; errors call it `where`."""
    if not isinstance(value, list):
        raise _malformed(value, where, "a list")
    return tuple(decode(kind, item) for item in value)


def take(kind: type[T], value: object, where: str, key: str) -> T:
    """Decodes the value of one key of a map; errors call the map `where`."""
    wanted: Any = kind
    content, (expected, read) = _check_map(value, where), _reader(wanted)
    if key not in content:
        raise _missing(f"{where}.{key}", expected)
    found: T = read(content[key], f"{where}.{key}")
    return found


def decode_update(kind: str, number: int, data: dict[str, Any]) -> Update:
    """Decodes a note. Its run, component, event and args may be missing.

    Raises:
        MalformedAnswer: Another key is missing, or a value has the wrong type.
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


# room for all classes, and for a few kinds of notes that this version doesn't know
@lru_cache(maxsize=64)
def _plan(kind: type[Any], where: str) -> tuple[tuple[str, str, str, Callable[[Any, str], Any], bool], ...]:
    """Returns for each attribute its key, path, expected type in words, decoder, and whether it may be missing."""
    types = get_type_hints(kind)
    return tuple(
        (field.name, f"{where}.{field.name}", *_reader(types[field.name]), field.default is not attrs.NOTHING)
        for field in attrs.fields(kind)
    )


@cache
def _reader(kind: Any) -> tuple[str, Callable[[Any, str], Any]]:
    """Returns a type's description, and its decoder, which takes a value and its path for errors."""
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
