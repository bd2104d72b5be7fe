"""How many descriptors this process may have open: raised when they run out, and only then, as scripts inherit it."""

from __future__ import annotations

import logging
import resource

from ctdb_eventd.logs import NOTICE

__all__ = ["raise_limit"]

_log = logging.getLogger(__name__)

_MOST = 1 << 16


def raise_limit() -> bool:
    """Doubles the number of descriptors that this process may have open; False if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(2 * soft, _MOST, hard if hard != resource.RLIM_INFINITY else _MOST)
    if wanted <= soft:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return False
    _log.log(NOTICE, "%d descriptors are in use, so up to %d are allowed from now on (ulimit -n)", soft, wanted)
    return True
