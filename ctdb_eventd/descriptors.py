"""How many descriptors this process may have open: raised when they run out, and only then, as scripts inherit it."""

from __future__ import annotations

import logging
import resource

from ctdb_eventd.logs import NOTICE

__all__ = ["raise_limit", "room_for_clients", "room_for_scripts"]

_log = logging.getLogger(__name__)

_MOST = 1 << 16
_FOR_EACH_SCRIPT = 2
"""Its output and its process."""
_PASSING = 3
"""The other end of a pipe while a script is started, a directory that is read, a walk through /proc."""


def _most() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)


def room_for_clients(limit: int) -> int:
    """Up to which number descriptors may be clients' if there may be `limit` in all; the rest is for scripts."""
    return limit * 3 // 4


def room_for_scripts() -> int:
    """How many scripts may run at once when the limit has been raised as far as it may; at least 1."""
    most = _most()
    return max(1, (most - room_for_clients(most) - _PASSING) // _FOR_EACH_SCRIPT)


def raise_limit() -> bool:
    """Doubles the number of descriptors that this process may have open; False if it may not."""
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
