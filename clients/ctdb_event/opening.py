"""How a client finds the broker: where it listens, and which dialects to try in which order."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ctdb_event.ctdb import CtdbDialect
from ctdb_event.dialects import NativeDialect
from ctdb_event.errors import BrokerUnavailable, InvalidRequest
from ctdb_eventd.paths import PathsError
from ctdb_eventd.places import find

if TYPE_CHECKING:
    from ctdb_event.dialects import Dialect

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
        BrokerUnavailable: CTDB doesn't say where, and there is nothing in the built-in place.
    """
    try:
        paths = find(environ)
    except PathsError as error:
        raise InvalidRequest("EINVAL", str(error)) from None
    if paths.problem and not os.path.exists(paths.socket):
        raise BrokerUnavailable("ENOENT", f"can't find out from CTDB where the broker listens: {paths.problem}")
    return paths.socket


def choose_dialects(dialect: str) -> tuple[Callable[[], Dialect], ...]:
    """Returns what to try in turn: a daemon that closes the connection at the first one gets the next.

    Raises:
        InvalidRequest: There is no such dialect.
    """
    if dialect not in _CHOICES:
        raise InvalidRequest("EINVAL", f"dialect {dialect!r} is none, {', '.join(_CHOICES)} were expected")
    return _CHOICES[dialect]
