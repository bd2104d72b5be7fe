"""Limits for clients, and counters for administrators."""

from __future__ import annotations

from collections import Counter

import attrs

__all__ = [
    "MOST_CONNECTIONS",
    "MOST_DETACHED",
    "MOST_HELD",
    "MOST_IN_FLIGHT",
    "MOST_SUBSCRIPTIONS",
    "MOST_UNSENT_NOTES",
    "MOST_UNSENT_OF_USER",
    "Traffic",
]

MOST_IN_FLIGHT = 1 << 14
"""Unanswered requests of one client: ctdbd sends one for each public address, and no cluster has so many."""
MOST_HELD = 16 << 20
"""Bytes of them: the request that exceeds this is the last that is read before another is answered."""
MOST_DETACHED = 64 << 20
"""Bytes of the arguments of detached runs that have not ended: no connection limits their number."""
MOST_CONNECTIONS = 100
"""Connections of one user who is neither root nor the daemon's own: other users need connections too."""
MOST_SUBSCRIPTIONS = 100
"""Concurrent calls of `subscribe` of one client: each receives all notifications."""
MOST_UNSENT_NOTES = 1 << 18
"""Bytes of unsent replies of a client from which on notes to it are dropped."""
MOST_UNSENT_OF_USER = 256 << 20
"""Bytes of unsent replies to all clients of one user who isn't root. A single reply can be half of that: `status` with
all output that is kept."""


@attrs.define(eq=False, repr=False)
class Traffic:
    """Counters."""

    clients: int = 0
    """Current connections."""
    requests: int = 0
    """Requests that were read since the start."""
    notes_lost: int = 0
    """Notes that were dropped since the start, as a client read too slowly."""
    unsent: Counter[int] = attrs.field(factory=Counter)
    """Current bytes of unsent replies, by the user id of the clients."""
