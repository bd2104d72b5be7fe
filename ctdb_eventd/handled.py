"""Which events a script handles, and where that is known from: a script is not started for an event that it is known
not to handle.

Knows the line in a script's head and what the configuration says; starts nothing and logs nothing.
"""

from __future__ import annotations

import enum

import attrs

from ctdb_eventd.errors import InvalidName
from ctdb_eventd.names import check_name
from ctdb_eventd.scripts import head_words

__all__ = ["ALL", "EVENTS_MARK", "Handled", "Origin", "bad_event", "declared_events", "handled_events"]

EVENTS_MARK = "# ctdb-eventd-events:"
"""Starts the line in a script's head that names the events it handles, separated by blanks."""
ALL = "all"
"""Instead of events: every one."""


class Origin(enum.Enum):
    """Where it is known from; the values are what the native dialect says."""

    HEAD = "head"
    """The script's own head."""
    CONFIGURATION = "configuration"
    """`[events]` in ctdb.conf."""


@attrs.frozen
class Handled:
    """The events that a script handles, if it doesn't handle all of them."""

    events: tuple[str, ...]
    """Their names, each once."""
    origin: Origin
    """Where that is known from."""

    def leaves_out(self, event: str) -> bool:
        """Tells whether the script is not to be started for an event."""
        return event not in self.events


def bad_event(words: list[str]) -> str | None:
    """Returns the first word that can't be an event's name, None if all can."""
    for word in words:
        try:
            check_name("event", word)
        except InvalidName:
            return word
    return None


def declared_events(path: str) -> list[str] | None:
    """Returns the words with which a script's head declares its events, good or not; None if it declares none.

    The head is the first 4 KiB. A file that can't be read declares nothing.
    """
    return head_words(path, EVENTS_MARK)


def handled_events(declared: list[str] | None, configured: tuple[str, ...] | None) -> Handled | None:
    """Returns which events a script handles; None if that is all of them, or not known.

    Args:
        declared: What its head declares. A declaration that has no words, or one that can't be an event's name,
            doesn't count: not to start a script by mistake is worse than to start it for nothing.
        configured: What the configuration says, which comes before the head; None if it says nothing.
    """
    if configured is not None:
        return None if ALL in configured else Handled(configured, Origin.CONFIGURATION)
    if not declared or ALL in declared or bad_event(declared) is not None:
        return None
    return Handled(tuple(dict.fromkeys(declared)), Origin.HEAD)
