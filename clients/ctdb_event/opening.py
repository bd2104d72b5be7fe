"""How a client finds the broker: where it listens, and which dialects to try in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ctdb_event.ctdb import CtdbDialect
from ctdb_event.dialects import Dialect, NativeDialect
from ctdb_event.errors import InvalidRequest
from ctdb_eventd.paths import Paths, PathsError

__all__ = ["choose_dialects", "default_path"]

_CHOICES: dict[str, tuple[Callable[[], Dialect], ...]] = {
    "auto": (NativeDialect, CtdbDialect),
    "native": (NativeDialect,),
    "ctdb": (CtdbDialect,),
}


def default_path(environ: Mapping[str, str]) -> str:
    """Returns where the broker of this node listens.

    Raises:
        InvalidRequest: The environment asks for the test layout but doesn't say where.
    """
    try:
        return Paths(environ).socket
    except PathsError as error:
        raise InvalidRequest("EINVAL", str(error)) from None


def choose_dialects(dialect: str) -> tuple[Callable[[], Dialect], ...]:
    """Returns what to try in turn: a daemon that closes the connection at the first one gets the next.

    Raises:
        InvalidRequest: There is no such dialect.
    """
    if dialect not in _CHOICES:
        raise InvalidRequest("EINVAL", f"dialect {dialect!r} is none, {', '.join(_CHOICES)} were expected")
    return _CHOICES[dialect]
