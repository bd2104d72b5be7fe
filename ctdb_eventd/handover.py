"""What a daemon that is replaced by another program leaves to that: as values, and as bytes. Pure.

The new program may be of another version. So the bytes begin with two numbers: the form in which they are, and the
oldest form whose readers understand them. A reader leaves out what it doesn't know, and has a default for what it
misses. A change that is more than that raises `_READABLE_SINCE`.

Descriptors are numbers: they stay open in the process while its program is replaced. Times are by the monotonic clock
unless they are said to be seconds since the epoch; that clock goes on as well.
"""

from __future__ import annotations

import enum
import struct
import types
import typing
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import attrs
import msgpack

from ctdb_eventd.errors import StateUnreadable
from ctdb_eventd.model import ComponentHealth, EventSpec, RunRecord

__all__ = [
    "FORM",
    "Counts",
    "LeftCall",
    "LeftClient",
    "LeftLock",
    "LeftResults",
    "LeftRun",
    "State",
    "decode",
    "encode",
]

FORM = 1
"""The form that this program writes."""
_READABLE_SINCE = 1
"""The oldest form whose readers understand what this program writes."""
_OLDEST_READ = 1
"""The oldest form that this program reads."""

_MAGIC = b"ctdb-eventd state\n"
_HEAD = struct.Struct(f"={len(_MAGIC)}sHHQI")
"""Magic, form, oldest form that can read it, length of what follows, its check sum."""

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class LeftRun:
    """A run that was asked for and has not been started."""

    spec: EventSpec
    run: str
    """Its id."""
    arrived: float
    queued: float
    """When it arrived, in seconds since the epoch."""
    pid: int = 0
    """Who asked for it, if it is detached."""
    uid: int = 0
    program: str | None = None


@attrs.frozen(kw_only=True)
class LeftCall:
    """A request that was read and has not been answered."""

    reqid: int
    size: int
    """Its bytes."""
    arrived: float
    spec: EventSpec | None = None
    """Of a run in the CTDB dialect; None for a call of the native one."""
    method: str = ""
    params: Any = None
    run: str = ""
    """The id of the run that it asks for; empty if it asks for something else."""
    queued: float = 0.0
    """When that arrived, in seconds since the epoch."""
    next_note: int = 0
    """The number of the next note that it gets."""
    delivered: int = 0
    """How many notes it got."""
    lost: int = 0
    """How many were left out since then."""
    lost_until: tuple[int, float] | None = None
    """Number and time of the last that was left out; None if none was."""


@attrs.frozen(kw_only=True)
class LeftLock:
    """Named locks that a client has."""

    number: int
    names: tuple[str, ...]
    text: str
    """Who that is, for people."""
    requested: float
    files: tuple[tuple[str, int, int], ...] = ()
    """Of those that are commands' too: name, descriptor of the locked file, and where that stands."""


@attrs.frozen(kw_only=True)
class LeftClient:
    """A client that is connected."""

    descriptor: int
    program: str | None = None
    """The name that its process goes by; None if nobody has asked."""
    native: bool | None = None
    """Its dialect; None if it has not been recognised."""
    unread: bytes = b""
    """The beginning of a request."""
    unsent: bytes = b""
    """Answers that it has not taken."""
    calls: tuple[LeftCall, ...] = ()
    locks: tuple[LeftLock, ...] = ()


@attrs.frozen(kw_only=True)
class LeftResults:
    """The latest results, and those of former daemons; the oldest first."""

    events: tuple[RunRecord, ...] = ()
    addresses: tuple[RunRecord, ...] = ()
    former_events: tuple[RunRecord, ...] = ()
    former_addresses: tuple[RunRecord, ...] = ()
    health: tuple[ComponentHealth, ...] = ()


@attrs.frozen(kw_only=True)
class Counts:
    """What `stats` tells of the time since the start."""

    started: float
    """Seconds since the epoch."""
    started_monotonic: float
    requests: int = 0
    notes_lost: int = 0
    scripts_started: int = 0
    trivial_runs: int = 0
    outcomes: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class State:
    """Everything."""

    version: str
    """Of the program that leaves it."""
    program: tuple[str, ...]
    """How to start that."""
    began: float
    """When the upgrade was asked for."""
    stopped: float
    """When it began to answer nobody."""
    socket: str
    """The path of the socket."""
    listener: int
    """Descriptor of the socket."""
    bound: tuple[int, int] = (0, 0)
    """Device and inode of what was bound at that path: it may have gone, or be another daemon's by now."""
    pid_file: int
    """Descriptor of the pid file, which is locked."""
    watched: int | None = None
    """Descriptor of the process with which the daemon ends; None if there is none."""
    startup_fd: int | None = None
    oom_score_adj: bytes | None = None
    """What the kernel is told of scripts; None if that which they inherit."""
    next_lock: int = 1
    """The number of the next client lock."""
    clients: tuple[LeftClient, ...] = ()
    detached: tuple[LeftRun, ...] = ()
    results: LeftResults = attrs.field(factory=LeftResults)
    notices: Any = None
    """Those of which the notify program has yet to be told; see `Notices.left`."""
    counts: Counts

    @property
    def descriptors(self) -> list[int]:
        """All that have to stay open."""
        found = [self.listener, self.pid_file, *(client.descriptor for client in self.clients)]
        found += [file[1] for client in self.clients for lock in client.locks for file in lock.files]
        return found + [number for number in (self.watched, self.startup_fd) if number is not None]


def encode(state: State) -> bytes:
    """Returns a state as bytes."""
    value = attrs.asdict(state, value_serializer=_plain)
    # names are text with undecodable bytes kept as surrogates
    body: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return _HEAD.pack(_MAGIC, FORM, _READABLE_SINCE, len(body), zlib.crc32(body)) + body


def _plain(owner: object, field: object, value: object) -> object:
    return value.value if isinstance(value, enum.Enum) else value


def decode(data: bytes) -> State:
    """Returns the state that bytes are of.

    Raises:
        StateUnreadable: They are of none, or of one in a form that isn't understood here.
    """
    try:
        magic, form, readable_since, size, check_sum = _HEAD.unpack_from(data)
    except struct.error:
        raise StateUnreadable(f"it has {len(data)} bytes, expected at least {_HEAD.size}") from None
    if magic != _MAGIC:
        raise StateUnreadable(f"it begins with {magic!r}, expected {_MAGIC!r}")
    if readable_since > FORM:
        raise StateUnreadable(f"it is in form {form}, expected one from {_OLDEST_READ} to {FORM}")
    if form < _OLDEST_READ:
        raise StateUnreadable(f"it is in form {form}, expected {_OLDEST_READ} or a later one")
    body = data[_HEAD.size :]
    if len(body) != size:
        raise StateUnreadable(f"it has {len(body)} bytes after its head, expected {size}")
    if zlib.crc32(body) != check_sum:
        raise StateUnreadable("its check sum is wrong")
    try:
        value = msgpack.unpackb(body, unicode_errors="surrogateescape", strict_map_key=False)
        found: State = _made(State, value)
    except (TypeError, ValueError, KeyError, msgpack.UnpackException) as error:
        raise StateUnreadable(f"{error}") from error
    return found


@lru_cache(maxsize=64)
def _fields(cls: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in attrs.fields(cls)}


def _made(kind: Any, value: Any) -> Any:
    """Returns a plain value as one of a type: of attrs, a tuple, an enum, an alternative of None, or a plain one.

    Raises:
        TypeError, ValueError: It can't be one.
    """
    if kind is Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (kind,) = (one for one in arguments if one is not types.NoneType)
        return _made(kind, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is no list")
        if arguments[-1] is Ellipsis:
            return tuple([_made(arguments[0], one) for one in value])
        return tuple([_made(one_kind, one) for one_kind, one in zip(arguments, value, strict=True)])
    if attrs.has(kind):
        if not isinstance(value, dict):
            raise TypeError(f"{value!r} is no map of {kind.__name__}")
        return kind(**{name: _made(its, value[name]) for name, its in _fields(kind).items() if name in value})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    wanted = dict if origin is not None else kind
    if wanted is float and type(value) is int:
        return float(value)
    if not isinstance(value, wanted):
        raise TypeError(f"{value!r} is no {wanted.__name__}")
    return value
