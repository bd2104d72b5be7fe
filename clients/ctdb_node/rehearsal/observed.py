"""What a rehearsal is asked to do, and what it observed, as frozen values that fit into JSON. No I/O."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

__all__ = [
    "ALONE",
    "FEW",
    "TOGETHER",
    "EndState",
    "Event",
    "FileState",
    "Leftover",
    "Observations",
    "Public",
    "Request",
    "Round",
    "ScriptRun",
    "Wait",
    "from_json",
    "to_json",
]

_T = TypeVar("_T")

ALONE, FEW, TOGETHER = "alone", "few", "together"
"""Kinds of rounds: each address by itself, some side by side (to learn how the time grows), all side by side."""


@attrs.frozen(kw_only=True)
class Public:
    """An address that is rehearsed."""

    address: str
    bits: int
    interface: str
    """Where it is taken."""
    interfaces: tuple[str, ...]
    """All on which it may be."""


@attrs.frozen(kw_only=True)
class Request:
    """What to rehearse."""

    config_dir: str
    """CTDB's configuration directory; a copy of it is used."""
    addresses: tuple[Public, ...]
    made_up: int = 0
    """How many of them stand in no file."""
    interfaces: tuple[str, ...]
    """Those to have; stand-ins for this machine's."""
    scripts: tuple[str, ...] = ()
    """Files that are event scripts besides."""
    real: tuple[str, ...] = ()
    """Commands that are not to be stubs."""
    daemon: tuple[str, ...] = ()
    """Command of the event daemon; this project's own if empty."""
    rounds: int = 3
    alone_rounds: int = 3
    timeout: int = 30
    """Seconds that an event may take: EventScriptTimeout."""
    locks: Mapping[str, str] = {}
    """Scripts that get a lock besides, by name, and that lock's name."""


@attrs.frozen(kw_only=True)
class ScriptRun:
    """How a script went."""

    name: str
    """Without `.script`."""
    state: str
    """As the client library has it."""
    result: int
    seconds: float
    output: str


@attrs.frozen(kw_only=True)
class Wait:
    """A script waited for a lock."""

    script: str
    what: str
    """A lock's name, or the path of a file."""
    seconds: float


@attrs.frozen(kw_only=True)
class Event:
    """How an event went."""

    kind: str
    """Of its round; empty outside of rounds."""
    round: int
    """Its number, from 1; 0 outside of rounds."""
    event: str
    args: tuple[str, ...]
    address: str | None
    outcome: str
    """As the client library has it."""
    seconds: float
    """From the request to the answer."""
    scripts: tuple[ScriptRun, ...]
    waits: tuple[Wait, ...] = ()


@attrs.frozen(kw_only=True)
class FileState:
    """A file as a round left it."""

    kind: str
    """`file`, `link`, `removed`, or another word for what it is."""
    lines: tuple[str, ...] | None
    """Sorted, since a different order is no different result; None if it is too long, or no text."""
    count: int
    """How many lines, or bytes if `lines` is None."""
    digest: str
    """Of sorted lines, or of the content."""


@attrs.frozen(kw_only=True)
class EndState:
    """What was there after all addresses were taken, or released."""

    network: Mapping[str, tuple[str, ...]]
    """Sorted lines by what they are: `addresses`, `routes`, `rules`, `firewall` …"""
    files: Mapping[str, FileState]
    """Every file that was changed since the beginning, by its path."""


@attrs.frozen(kw_only=True)
class Round:
    """All addresses taken and released once."""

    kind: str
    number: int
    count: int
    """How many addresses."""
    taken: EndState
    released: EndState
    take_seconds: float
    """From `startipreallocate` to the end of `ipreallocated`, with all takeip between them."""
    release_seconds: float
    """The same with all releaseip."""


@attrs.frozen(kw_only=True)
class Leftover:
    """A process that an event left behind."""

    event: str
    script: str | None
    """Which script started it; None if that isn't known."""
    command: str
    count: int


@attrs.frozen(kw_only=True)
class Observations:
    """Everything that one pass of a rehearsal saw."""

    daemon: str
    """The name of the event daemon."""
    native: bool
    """It is this project's own, which tells more than CTDB's."""
    events: tuple[Event, ...]
    rounds: tuple[Round, ...]
    leftovers: tuple[Leftover, ...]
    calls: Mapping[str, int]
    """What stubs were asked, and how often."""
    unanswered: tuple[str, ...]
    """What `ctdb` was asked and could not answer here."""
    lint: tuple[Mapping[str, Any], ...]
    """Findings of `ctdb-event lint`."""
    known: tuple[str, ...]
    """Scripts that are CTDB's own."""
    texts: Mapping[str, str]
    """The beginning of each enabled script."""
    locks: tuple[str, ...]
    """Names of locks that scripts have already."""
    read_only: tuple[str, ...]
    """Where scripts could not write, other than on the node."""


def to_json(value: object) -> Any:
    """Returns what `json.dumps` takes."""
    if attrs.has(kind := type(value)):
        return {field.name: to_json(getattr(value, field.name)) for field in attrs.fields(kind)}
    if isinstance(value, Mapping):
        return {key: to_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(each) for each in value]
    return value


def from_json(cls: type[_T], data: Any) -> _T:
    """Makes a value of this module of what `to_json` returned."""
    made: _T = _structure(cls, data)
    return made


def _structure(kind: Any, data: Any) -> Any:
    if attrs.has(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: _structure(hints[field.name], data[field.name]) for field in attrs.fields(kind)})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return tuple(_structure(arguments[0], each) for each in data)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _structure(arguments[1], each) for key, each in data.items()}
    if origin is types.UnionType:
        inner = next(each for each in arguments if each is not types.NoneType)
        return None if data is None else _structure(inner, data)
    return data
