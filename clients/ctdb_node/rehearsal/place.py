"""Where a rehearsal has its own files, inside of its sandbox."""

from __future__ import annotations

__all__ = ["CALLS", "CHANGES", "ERRORS", "PLACE", "REQUEST", "ROOTS", "STATE", "STUBS"]

PLACE = "/run/ctdb-rehearsal"
CALLS = f"{PLACE}/calls"
"""What stubs were asked."""
CHANGES = f"{PLACE}/changes"
"""What was written, by the layer that keeps it apart."""
ERRORS = f"{PLACE}/errors"
"""What the event daemon prints."""
REQUEST = f"{PLACE}/request.json"
ROOTS = f"{PLACE}/roots.json"
"""The layers: where each is, and what it lies over; and where nothing can be written."""
STATE = f"{PLACE}/state"
"""From which `ctdb` answers."""
STUBS = f"{PLACE}/bin"
