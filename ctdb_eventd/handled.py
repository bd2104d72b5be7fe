"""Which events a script handles, and how that is known: the daemon doesn't start a script for an event that it is known
not to handle.

Uses declarations in scripts' heads, the configuration, and the table of CTDB's own scripts; starts nothing and logs
nothing.
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
"""Declares all events."""
_TABLE = os.path.join(os.path.dirname(__file__), "provided.txt")
_MOST_BYTES = 1 << 20
"""Larger files are not looked up by their content; CTDB's own have at most 31 KB."""


class Origin(enum.Enum):
    """The source of the declaration; the values are those of the native dialect."""

    HEAD = "head"
    """The script's own head."""
    CONFIGURATION = "configuration"
    """`[events]` in ctdb.conf."""
    TABLE = "table"
    """The table: it is one of CTDB's own scripts, unchanged."""


@attrs.frozen(repr=False)
class Handled:
    """The events that a script handles, if it doesn't handle all of them."""

    events: tuple[str, ...]
    """Their names, each once."""
    origin: Origin
    """The source of the declaration."""

    def leaves_out(self, event: str, args: tuple[str, ...]) -> bool:
        """Returns whether the script is not to be started for an event.

        The table applies only to CTDB's events with the number of arguments that CTDB passes: scripts check that.
        """
        if event in self.events:
            return False
        if self.origin is not Origin.TABLE:
            return True
        kind = CATALOGUE.get(event)
        return kind is not None and len(args) == len(kind.arguments)


# ---------------------------------------------------------------------- the table of CTDB's own scripts


@attrs.frozen(repr=False)
class Row:
    """An entry of the table for one of CTDB's scripts with a given content."""

    versions: frozenset[str]
    """The versions of CTDB that have it, such as `4.22`."""
    events: tuple[str, ...]
    """CTDB's events that it handles."""


class Table:
    """CTDB's own scripts, and the file `functions` that they read first, by their content."""

    def __init__(self, text: str) -> None:
        """Parses the table; the comment at its top describes the lines."""
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
        """Looks a script up by its shown name and the result of `digest_of`."""
        return self._rows.get(name, {}).get(digest or "")

    def functions(self, path: str) -> frozenset[str]:
        """Returns the versions of CTDB that contain exactly this file `functions`."""
        return self._functions.get(digest_of(path) or "", frozenset())


def digest_of(path: str) -> str | None:
    """Returns a file's SHA-256 in hex; None if it can't be read or has over 1 MiB."""
    import hashlib  # imported here, as it would slow the start

    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError:
        return None
    return None if len(content) > _MOST_BYTES else hashlib.sha256(content).hexdigest()


@cache  # an upgrade may remove the file while the daemon runs
def provided() -> Table:
    """Returns the installed table; an empty one if it can't be read."""
    try:
        with open(_TABLE, encoding="utf-8") as file:
            return Table(file.read())
    except OSError:
        return Table("")


class Library:
    """The code that CTDB's own scripts run before they examine their event, in the configuration directory.

    The table applies only if this is the code that the table was made with: CTDB's file `functions`, and none of the
    local files that `functions` runs.
    """

    def __init__(self, config_dir: str) -> None:
        """Starts with an empty cache."""
        self._path = f"{config_dir}/functions"
        self._local = (f"{config_dir}/rc.local", f"{config_dir}/rc.local.d")
        self._known: tuple[tuple[int, ...], frozenset[str]] | None = None

    def versions(self) -> frozenset[str]:
        """Returns the versions of CTDB that have this code. The file is read again only if it has changed."""
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
    """Returns the first word that is not a valid event name, None if all are."""
    for word in words:
        try:
            check_name("event", word)
        except InvalidName:
            return word
    return None


def declared_events(path: str) -> list[str] | None:
    """Returns the words with which a script's head declares its events, valid or not; None if it declares none.

    The head is the first 4 KiB. A file that can't be read declares nothing.
    """
    return head_words(path, EVENTS_MARK)


def handled_events(
    declared: list[str] | None, configured: tuple[str, ...] | None, row: Row | None = None
) -> Handled | None:
    """Returns which events a script handles; None if it handles all, or if that is unknown.

    Args:
        declared: Declared in its head. A declaration without words, or with an invalid event name, is ignored: not to
            start a script by mistake is worse than to start it needlessly.
        configured: Set in the configuration, which takes precedence over the head; None if it isn't set.
        row: Its entry in the table, if that applies; has the lowest precedence.
    """
    if configured is not None:
        return None if ALL in configured else Handled(configured, Origin.CONFIGURATION)
    if declared and bad_event(declared) is None:
        return None if ALL in declared else Handled(tuple(dict.fromkeys(declared)), Origin.HEAD)
    return None if row is None else Handled(row.events, Origin.TABLE)
