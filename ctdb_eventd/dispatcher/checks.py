"""What both dialects' requests are checked for before anything is done, and how a refusal is logged. Pure."""

from __future__ import annotations

import logging
from functools import lru_cache

from ctdb_eventd.dispatcher.domain import Peer
from ctdb_eventd.errors import InvalidName, RequestError, WouldDeadlock
from ctdb_eventd.model import EventSpec
from ctdb_eventd.names import check_name

__all__ = ["check_names", "check_spec", "log_refusal"]


@lru_cache(maxsize=1024)  # what it refuses isn't kept, only what it lets pass
def check_names(component: str, kind: str, name: str) -> None:
    """Checks a component's name, and that of an event or a script (`kind`) of it.

    Raises:
        InvalidName: One can't be used.
    """
    check_name("component", component)
    check_name(kind, name)


def check_spec(spec: EventSpec) -> None:
    """Checks the names of an event that is to be run, and that programs can be given its arguments.

    Raises:
        InvalidName: One can't be used, or an argument contains a NUL.
    """
    check_names(spec.component, "event", spec.event)
    for word in spec.args:
        if "\0" in word:
            raise InvalidName("argument", word, "it contains a NUL")


def log_refusal(log: logging.Logger, request: str, error: Exception, peer: Peer) -> None:
    """Logs an error that answers a request; what a client can do wrong again and again, seldom."""
    if isinstance(error, InvalidName | WouldDeadlock):
        seldom = peer.uid if isinstance(error, InvalidName) else peer.pid
        log.warning("%s refused: %s", request, error, extra={"seldom": seldom})
    else:
        log.log(logging.DEBUG if isinstance(error, RequestError) else logging.ERROR, "%s refused: %s", request, error)
