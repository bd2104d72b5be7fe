"""Finds the broker for a client: its socket, and the dialects to try in order."""

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
    """Returns the socket path of this node's broker.

    Raises:
        InvalidRequest: The environment selects the test layout but doesn't say where it is.
        BrokerUnavailable: CTDB doesn't know the path, and the built-in path doesn't exist.
    """
    try:
        paths = find(environ)
    except PathsError as error:
        raise InvalidRequest("EINVAL", str(error)) from None
    if paths.problem and not os.path.exists(paths.socket):
        raise BrokerUnavailable("ENOENT", f"can't get the path of the broker's socket from CTDB: {paths.problem}")
    return paths.socket


def choose_dialects(dialect: str) -> tuple[Callable[[], Dialect], ...]:
    """Returns the dialects to try in order: if a daemon closes the connection at the first one, the next is tried.

    Raises:
        InvalidRequest: The dialect is unknown.
    """
    if dialect not in _CHOICES:
        raise InvalidRequest("EINVAL", f"unknown dialect {dialect!r}, expected one of {', '.join(_CHOICES)}")
    return _CHOICES[dialect]
