"""The state that a daemon hands over to the program that replaces it: as values, and encoded. Pure.

The new program may be of another version. So the encoding begins with two numbers: its form, and the oldest form whose
readers can decode it. A reader ignores unknown fields, and uses defaults for missing ones. A change that needs more
than that increases `_READABLE_SINCE`.

Descriptors are numbers: they stay open while the program of the process is replaced. Times are by the monotonic clock,
which both programs share, unless documented as seconds since the epoch.
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
"""The oldest form whose readers can decode what this program writes."""
_OLDEST_READ = 1
"""The oldest form that this program reads."""

_MAGIC = b"ctdb-eventd state\n"
_HEAD = struct.Struct(f"={len(_MAGIC)}sHHQI")
"""Magic, form, oldest form that can read it, length of what follows, its check sum."""

T = TypeVar("T")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LeftRun:
    """A queued run."""

    spec: EventSpec
    run: str
    """Its id."""
    arrived: float
    queued: float
    """When it arrived, in seconds since the epoch."""
    pid: int = 0
    """The process that requested it, if it is detached."""
    uid: int = 0
    program: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LeftCall:
    """A request in progress."""

    reqid: int
    size: int
    """Its bytes."""
    arrived: float
    spec: EventSpec | None = None
    """Of a run in the CTDB dialect; None for a call of the native one."""
    method: str = ""
    params: Any = None
    run: str = ""
    """The id of the run that it requests; empty for other requests."""
    queued: float = 0.0
    """When the run was requested, in seconds since the epoch."""
    next_note: int = 0
    """The number of its next note."""
    delivered: int = 0
    """The number of delivered notes."""
    lost: int = 0
    """The number of notes that were dropped since the last one."""
    lost_until: tuple[int, float] | None = None
    """Number and time of the last dropped one; None if none was dropped."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LeftLock:
    """Named locks that a client holds."""

    number: int
    names: tuple[str, ...]
    text: str
    """The client's name, for people."""
    requested: float
    files: tuple[tuple[str, int, int], ...] = ()
    """Those of commands: name, descriptor of the locked file, and its offset."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LeftClient:
    """A connected client."""

    descriptor: int
    program: str | None = None
    """The name of its process; None if that was not looked up."""
    native: bool | None = None
    """Its dialect; None if it has not been recognised."""
    unread: bytes = b""
    """The bytes of an incomplete request."""
    unsent: bytes = b""
    """Encoded replies that are not sent yet."""
    calls: tuple[LeftCall, ...] = ()
    locks: tuple[LeftLock, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LeftResults:
    """The latest results, and those of former daemons; the oldest first."""

    events: tuple[RunRecord, ...] = ()
    addresses: tuple[RunRecord, ...] = ()
    former_events: tuple[RunRecord, ...] = ()
    former_addresses: tuple[RunRecord, ...] = ()
    health: tuple[ComponentHealth, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Counts:
    """Counters of `stats` since the start."""

    started: float
    """Seconds since the epoch."""
    started_monotonic: float
    requests: int = 0
    notes_lost: int = 0
    scripts_started: int = 0
    trivial_runs: int = 0
    outcomes: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class State:
    """The whole state."""

    version: str
    """The version of the program that hands it over."""
    program: tuple[str, ...]
    """The command line of that program."""
    began: float
    """When the upgrade was requested."""
    stopped: float
    """When it stopped sending replies."""
    socket: str
    """The path of the socket."""
    listener: int
    """Descriptor of the socket."""
    bound: tuple[int, int] = (0, 0)
    """Device and inode of the socket's file: the path may have been removed or reused since."""
    pid_file: int
    """Descriptor of the pid file, which is locked."""
    watched: int | None = None
    """Descriptor of the process with which the daemon ends; None if there is none."""
    startup_fd: int | None = None
    oom_score_adj: bytes | None = None
    """Is written to `oom_score_adj` of scripts; None if they inherit it."""
    next_lock: int = 1
    """The number of the next client lock."""
    clients: tuple[LeftClient, ...] = ()
    detached: tuple[LeftRun, ...] = ()
    results: LeftResults = attrs.field(factory=LeftResults)
    notices: Any = None
    """Notices that the notify program hasn't got yet; see `Notices.left`."""
    counts: Counts

    @property
    def descriptors(self) -> list[int]:
        """All descriptors that have to stay open."""
        found = [self.listener, self.pid_file, *(client.descriptor for client in self.clients)]
        found += [file[1] for client in self.clients for lock in client.locks for file in lock.files]
        return found + [number for number in (self.watched, self.startup_fd) if number is not None]


def encode(state: State) -> bytes:
    """Encodes a state."""
    value = attrs.asdict(state, value_serializer=_plain)
    # names are text with undecodable bytes kept as surrogates
    body: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return _HEAD.pack(_MAGIC, FORM, _READABLE_SINCE, len(body), zlib.crc32(body)) + body


def _plain(owner: object, field: object, value: object) -> object:
    return value.value if isinstance(value, enum.Enum) else value


def decode(data: bytes) -> State:
    """Decodes a state.

    Raises:
        StateUnreadable: The bytes are no state, or one of an unknown form.
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
        found: State = _convert(State, value)
    except (TypeError, ValueError, KeyError, msgpack.UnpackException) as error:
        raise StateUnreadable(f"{error}") from error
    return found


@lru_cache(maxsize=64)
def _fields(cls: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in attrs.fields(cls)}


def _convert(kind: Any, value: Any) -> Any:
    """Converts a plain value to a type: an attrs class, a tuple, an enum, an optional or a plain one.

    Raises:
        TypeError, ValueError: It can't be converted.
    """
    if kind is Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (kind,) = (one for one in arguments if one is not types.NoneType)
        return _convert(kind, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is not a list")
        if arguments[-1] is Ellipsis:
            return tuple([_convert(arguments[0], one) for one in value])
        return tuple([_convert(one_kind, one) for one_kind, one in zip(arguments, value, strict=True)])
    if attrs.has(kind):
        if not isinstance(value, dict):
            raise TypeError(f"{value!r} is not a map of {kind.__name__}")
        return kind(**{name: _convert(its, value[name]) for name, its in _fields(kind).items() if name in value})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    wanted = dict if origin is not None else kind
    if wanted is float and type(value) is int:
        return float(value)
    if not isinstance(value, wanted):
        raise TypeError(f"{value!r} is not of type {wanted.__name__}")
    return value
