"""The checks and findings of `ctdb-event lint`, and their severities. Values only."""

from __future__ import annotations

import enum

import attrs

__all__ = ["Check", "Finding", "Severity"]


class Severity(enum.Enum):
    """The severity of a finding."""

    ERROR = "error"
    """The script can't work, or every user can change it."""
    WARNING = "warning"
    """Probably not intended."""
    NOTE = "note"
    """Information; doesn't change the exit status."""


class Check(enum.Enum):
    """The kind of check. The values are stable: administrators' scripts search for them."""

    CONFIGURATION = "configuration"
    NAME = "name"
    NAME_FORM = "name-form"
    NAME_HIDDEN = "name-hidden"
    NAME_BARE = "name-bare"
    BACKUP = "backup"
    NUMBER = "number"
    UNSAFE = "unsafe"
    SETUID = "setuid"
    EXECUTE = "execute"
    DISABLED = "disabled"
    DANGLING = "dangling"
    NOT_A_FILE = "not-a-file"
    NOEXEC = "noexec"
    UNREADABLE = "unreadable"
    PARTLY = "partly"
    SHEBANG = "shebang"
    INTERPRETER = "interpreter"
    LINE_ENDS = "line-ends"
    SYNTAX = "syntax"
    SYNTAX_UNCHECKED = "syntax-unchecked"
    LOCK_NAME = "lock-name"
    LOCK_UNKNOWN = "lock-unknown"
    LOCK_LINE = "lock-line"
    EVENT = "event"
    EVENT_LINE = "event-line"
    EVENT_DECLARED = "event-declared"
    LAST_LINE = "last-line"
    FUNCTION = "function"
    COMMAND = "command"
    EVENTS_D = "events-d"


@attrs.frozen
class Finding:
    """One finding."""

    severity: Severity
    """Its severity."""
    check: Check
    """The check that found it."""
    message: str
    """One line: the problem and how to correct it."""
    line: int | None = None
    """The line in the file, counted from 1; None if it is about the whole file."""
    path: str = ""
    """The file or directory; empty if the caller knows it."""
    component: str | None = None
    """The examined component; None for the configuration."""
    script: str | None = None
    """The script's shown name; None if it isn't about a script."""
