"""This process's limit of open descriptors: raised only when descriptors run out, as scripts inherit the limit."""

from __future__ import annotations

import logging
import resource

from ctdb_eventd.logs import NOTICE

__all__ = ["raise_limit", "room_for_clients", "room_for_scripts"]

_log = logging.getLogger(__name__)

_MOST = 1 << 16
_FOR_EACH_SCRIPT = 2
"""Descriptors for each script: its output and its process."""
_PASSING = 3
"""Temporary descriptors: the other end of a pipe while a script is started, a directory, a file in /proc."""


def _most() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)


def room_for_clients(limit: int) -> int:
    """Returns the number up to which descriptors may be used for clients, of `limit`; the rest is for scripts."""
    return limit * 3 // 4


def room_for_scripts() -> int:
    """Returns how many scripts may run at once if the limit is raised to its maximum; at least 1."""
    most = _most()
    return max(1, (most - room_for_clients(most) - _PASSING) // _FOR_EACH_SCRIPT)


def raise_limit() -> bool:
    """Doubles the soft limit of this process's descriptors; returns False if that is impossible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(2 * soft, _most())
    if wanted <= soft:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return False
    _log.log(NOTICE, "%d descriptors are in use, so up to %d are allowed from now on (ulimit -n)", soft, wanted)
    return True
