"""Typed access to the parameters of a native call; errors name what was expected. Pure.

Also the checks of names in requests of both dialects, and how a refused request is logged.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.errors import InvalidName, InvalidParameter, RequestError, WouldDeadlock
from ctdb_eventd.model import EventSpec
from ctdb_eventd.names import check_name
from ctdb_eventd.text import shown

__all__ = ["Params", "check_names", "check_spec", "log_refusal"]

_MAX_U32 = 0xFFFFFFFF
_MOST_TEXTS = 100_000


class Params:
    """The parameters of one call. A value of nil counts as missing.

    Attributes:
        all: All of them, unchecked.
    """

    __slots__ = ("all",)

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Wraps `params`."""
        self.all = params

    def text(self, name: str) -> str:
        """Returns a required text.

        Raises:
            InvalidParameter: It is missing or of another type; all other methods raise it too.
        """
        value = self.optional_text(name)
        if value is None:
            raise InvalidParameter(name, "a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """Returns a text, None if it is missing."""
        value = self.all.get(name)
        if value is not None and not isinstance(value, str):
            raise InvalidParameter(name, "a text", shown(value))
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Returns a list of texts, None if it is missing."""
        value = self.all.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise InvalidParameter(name, "a list of texts", shown(value))
        if len(value) > _MOST_TEXTS:
            raise InvalidParameter(name, f"at most {_MOST_TEXTS} texts", str(len(value)))
        return tuple(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """Returns a boolean."""
        value = self.all.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InvalidParameter(name, "true or false", shown(value))
        return value

    def seconds(self, name: str) -> int:
        """Returns a timeout: whole seconds, 0 (no limit) if it is missing."""
        value = self.all.get(name, 0)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_U32:
            raise InvalidParameter(name, f"a whole number of seconds from 0 (no limit) to {_MAX_U32}", shown(value))
        return value

    def wait(self, name: str) -> float | None:
        """Returns a limit for waiting: seconds, None (no limit) if it is missing."""
        value = self.all.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise InvalidParameter(name, "a number of seconds from 0", shown(value))
        return float(value)

    def number(self, name: str) -> int | None:
        """Returns a whole number, None if it is missing."""
        value = self.all.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InvalidParameter(name, "a whole number", shown(value))
        return value


@lru_cache(maxsize=1024)  # calls that raise aren't cached
def check_names(component: str, kind: str, name: str) -> None:
    """Checks a component's name, and that of an event or a script (`kind`) of it.

    Raises:
        InvalidName: One can't be used.
    """
    check_name("component", component)
    check_name(kind, name)


def check_spec(spec: EventSpec) -> None:
    """Checks the names of an event that is to be run, and that its arguments can be passed to programs.

    Raises:
        InvalidName: One can't be used, or an argument contains a NUL.
    """
    check_names(spec.component, "event", spec.event)
    for word in spec.args:
        if "\0" in word:
            raise InvalidName("argument", word, "it contains a NUL")


def log_refusal(log: logging.Logger, request: str, error: Exception, peer: Peer) -> None:
    """Logs an error that answers a request; rate-limited for errors that a client can repeat at will."""
    about = {"about": {"client_uid": peer.uid, "client_pid": peer.pid}}
    if isinstance(error, InvalidName | WouldDeadlock):
        seldom = peer.uid if isinstance(error, InvalidName) else peer.pid
        log.warning("%s refused: %s", request, error, extra={"seldom": seldom, **about})
    else:
        level = logging.DEBUG if isinstance(error, RequestError) else logging.ERROR
        log.log(level, "%s refused: %s", request, error, extra=about)
