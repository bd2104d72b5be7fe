"""The event catalogue: what is known of each event by its name. Unknown names are events too, with the defaults."""

from __future__ import annotations

import enum

__all__ = ["Mode", "mode_of"]


class Mode(enum.Enum):
    """What may run in a component beside an event."""

    EXCLUSIVE = "exclusive"
    """Nothing: it waits for everything before it, and everything after it waits."""
    MONITOR = "monitor"
    """Nothing, and it yields: it is not started while anything else is there, and ended when anything comes."""


_MODES = {"monitor": Mode.MONITOR}


def mode_of(event: str) -> Mode:
    """Returns how an event runs beside others; exclusive if nothing else is known of it."""
    return _MODES.get(event, Mode.EXCLUSIVE)
