"""Which events a script handles, and where that is known from: a script is not started for an event that it is known
not to handle.

Knows the line in a script's head, what the configuration says, and the table of CTDB's own scripts; starts nothing and
logs nothing.
"""

from __future__ import annotations

import enum
import os
from functools import cache

import attrs

from ctdb_eventd.errors import InvalidName
from ctdb_eventd.events import CATALOGUE
from ctdb_eventd.names import check_name
from ctdb_eventd.scripts import head_words

__all__ = [
    "ALL",
    "EVENTS_MARK",
    "Handled",
    "Library",
    "Origin",
    "Row",
    "Table",
    "bad_event",
    "declared_events",
    "digest_of",
    "handled_events",
    "provided",
]

EVENTS_MARK = "# ctdb-eventd-events:"
"""Starts the line in a script's head that names the events it handles, separated by blanks."""
ALL = "all"
"""Instead of events: every one."""
_TABLE = os.path.join(os.path.dirname(__file__), "provided.txt")
_MOST_BYTES = 1 << 20
"""Of a file that is looked up by its content; CTDB's own have at most 31 KB."""


class Origin(enum.Enum):
    """Where it is known from; the values are what the native dialect says."""

    HEAD = "head"
    """The script's own head."""
    CONFIGURATION = "configuration"
    """`[events]` in ctdb.conf."""
    TABLE = "table"
    """It is one of CTDB's own, with the content that CTDB gives it."""


@attrs.frozen
class Handled:
    """The events that a script handles, if it doesn't handle all of them."""

    events: tuple[str, ...]
    """Their names, each once."""
    origin: Origin
    """Where that is known from."""

    def leaves_out(self, event: str, args: tuple[str, ...]) -> bool:
        """Tells whether the script is not to be started for an event.

        The table is about CTDB's events with as many arguments as CTDB gives them: scripts check that number.
        """
        if event in self.events:
            return False
        if self.origin is not Origin.TABLE:
            return True
        kind = CATALOGUE.get(event)
        return kind is not None and len(args) == len(kind.arguments)


# ---------------------------------------------------------------------- the table of CTDB's own scripts


@attrs.frozen
class Row:
    """What is known of a script of CTDB's by its content."""

    versions: frozenset[str]
    """The versions of CTDB that have it, such as `4.22`."""
    events: tuple[str, ...]
    """CTDB's events that it handles."""


class Table:
    """CTDB's own scripts, and the file `functions` that they read first, by their content."""

    def __init__(self, text: str) -> None:
        """Reads the table; its head says what the lines mean."""
        self._functions: dict[str, frozenset[str]] = {}
        self._rows: dict[str, dict[str, Row]] = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            left, is_script, events = line.partition(":")
            name, digest, versions = left.split()
            known_in = frozenset(versions.split(","))
            if is_script:
                self._rows.setdefault(name, {})[digest] = Row(known_in, tuple(events.split()))
            else:
                self._functions[digest] = known_in

    def row(self, name: str, path: str) -> Row | None:
        """Looks a script up by its shown name and its content, which is read only if there is such a name."""
        return self.row_of(name, digest_of(path)) if name in self._rows else None

    def row_of(self, name: str, digest: str | None) -> Row | None:
        """Looks a script up by its shown name and what `digest_of` says of its content."""
        return self._rows.get(name, {}).get(digest or "")

    def functions(self, path: str) -> frozenset[str]:
        """Returns the versions of CTDB that have this very file `functions`."""
        return self._functions.get(digest_of(path) or "", frozenset())


def digest_of(path: str) -> str | None:
    """Returns a file's SHA-256 in hex; None if it can't be read or has over 1 MiB."""
    import hashlib  # late: it would slow the start

    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError:
        return None
    return None if len(content) > _MOST_BYTES else hashlib.sha256(content).hexdigest()


@cache  # an upgrade may take the file away from under a daemon that runs
def provided() -> Table:
    """Returns the table that comes with us; an empty one if it can't be read."""
    try:
        with open(_TABLE, encoding="utf-8") as file:
            return Table(file.read())
    except OSError:
        return Table("")


class Library:
    """What CTDB's own scripts run before they look at their event, in the configuration directory.

    The table holds only if that is what it was made with: CTDB's file `functions`, and none of the site's files that
    `functions` runs.
    """

    def __init__(self, config_dir: str) -> None:
        """Starts with nothing read."""
        self._path = f"{config_dir}/functions"
        self._local = (f"{config_dir}/rc.local", f"{config_dir}/rc.local.d")
        self._known: tuple[tuple[int, ...], frozenset[str]] | None = None

    def versions(self) -> frozenset[str]:
        """Returns the versions of CTDB that have it so. The file is read again only if it has changed."""
        try:
            status = os.stat(self._path)
        except OSError:
            return frozenset()
        if any(map(os.path.lexists, self._local)):
            return frozenset()
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev, status.st_size)
        if self._known is None or self._known[0] != stamp:
            self._known = stamp, provided().functions(self._path)
        return self._known[1]


# ---------------------------------------------------------------------- what is known of a script


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


def handled_events(
    declared: list[str] | None, configured: tuple[str, ...] | None, row: Row | None = None
) -> Handled | None:
    """Returns which events a script handles; None if that is all of them, or not known.

    Args:
        declared: What its head declares. A declaration that has no words, or one that can't be an event's name,
            doesn't count: not to start a script by mistake is worse than to start it for nothing.
        configured: What the configuration says, which comes before the head; None if it says nothing.
        row: What the table says, if it counts; comes last.
    """
    if configured is not None:
        return None if ALL in configured else Handled(configured, Origin.CONFIGURATION)
    if declared and bad_event(declared) is None:
        return None if ALL in declared else Handled(tuple(dict.fromkeys(declared)), Origin.HEAD)
    return None if row is None else Handled(row.events, Origin.TABLE)
