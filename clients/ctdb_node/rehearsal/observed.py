"""A rehearsal's request and observations as frozen values, with their conversion to and from JSON. No I/O."""

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
"""Kinds of rounds: one address after another, some side by side (to learn how the time grows), all side by side."""


@attrs.frozen(kw_only=True)
class Public:
    """An address that is rehearsed."""

    address: str
    bits: int
    interface: str
    """The interface on which it is taken."""
    interfaces: tuple[str, ...]
    """All interfaces that it may be on."""


@attrs.frozen(kw_only=True)
class Request:
    """What to rehearse."""

    config_dir: str
    """CTDB's configuration directory; a copy of it is used."""
    addresses: tuple[Public, ...]
    made_up: int = 0
    """How many of the addresses were made up, so are in no file."""
    interfaces: tuple[str, ...]
    """Interfaces to create in place of this machine's."""
    scripts: tuple[str, ...] = ()
    """Paths of additional event scripts."""
    real: tuple[str, ...] = ()
    """Commands that are run as they are, without a stub."""
    daemon: tuple[str, ...] = ()
    """Command of the event daemon; this project's own if empty."""
    rounds: int = 3
    alone_rounds: int = 3
    timeout: int = 30
    """Seconds that an event may take: EventScriptTimeout."""
    locks: Mapping[str, str] = {}
    """Script → the name of an additional lock for it."""


@attrs.frozen(kw_only=True)
class ScriptRun:
    """The result of one script."""

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
    """The result of one event."""

    kind: str
    """The kind of its round; empty outside of rounds."""
    round: int
    """The round's number, from 1; 0 outside of rounds."""
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
    """The state of a file after a round."""

    kind: str
    """`file`, `link`, `removed`, or another type."""
    lines: tuple[str, ...] | None
    """Sorted, since their order doesn't matter; None if the file is too long, or no text."""
    count: int
    """The number of lines, or of bytes if `lines` is None."""
    digest: str
    """Digest of the sorted lines, or of the content."""


@attrs.frozen(kw_only=True)
class EndState:
    """The state of network and files after all addresses were taken, or released."""

    network: Mapping[str, tuple[str, ...]]
    """`addresses`, `routes`, `rules`, `firewall` → sorted lines."""
    files: Mapping[str, FileState]
    """Path → state of each file that was changed since the beginning."""


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
    lasting: bool
    """It didn't end by itself before the rehearsal did."""
    count: int


@attrs.frozen(kw_only=True)
class Observations:
    """Everything that one pass of a rehearsal observed."""

    daemon: str
    """The name of the event daemon."""
    native: bool
    """It is this project's own, which reports more than CTDB's."""
    events: tuple[Event, ...]
    rounds: tuple[Round, ...]
    leftovers: tuple[Leftover, ...]
    calls: Mapping[str, int]
    """Command line of a stub → how often it was called."""
    unanswered: tuple[str, ...]
    """Calls of `ctdb` that its stub can't answer."""
    lint: tuple[Mapping[str, Any], ...]
    """Findings of `ctdb-event lint`."""
    known: tuple[str, ...]
    """Scripts that are CTDB's own."""
    texts: Mapping[str, str]
    """The beginning of each enabled script."""
    locks: tuple[str, ...]
    """Names of the locks that scripts declare."""
    read_only: tuple[str, ...]
    """Directories that scripts could not write to, although they can on the node."""


def to_json(value: object) -> Any:
    """Converts a value of this module for `json.dumps`."""
    if attrs.has(kind := type(value)):
        return {field.name: to_json(getattr(value, field.name)) for field in attrs.fields(kind)}
    if isinstance(value, Mapping):
        return {key: to_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(each) for each in value]
    return value


def from_json(cls: type[_T], data: Any) -> _T:
    """Converts what `to_json` returned back to a value of this module."""
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
