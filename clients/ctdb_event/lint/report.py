"""What `ctdb-event lint` has to say: its checks, how grave they are, and one finding. Values only."""

from __future__ import annotations

import enum

import attrs

__all__ = ["Check", "Finding", "Severity"]


class Severity(enum.Enum):
    """How grave a finding is."""

    ERROR = "error"
    """The script can't do what it is there for, or is open to everybody."""
    WARNING = "warning"
    """Most likely not what was meant."""
    NOTE = "note"
    """Worth knowing; counts for nothing."""


class Check(enum.Enum):
    """What was checked. The values are stable: scripts of administrators look for them."""

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
    """One thing that was found."""

    severity: Severity
    """How grave it is."""
    check: Check
    """What was checked."""
    message: str
    """One line: what is wrong and what to do."""
    line: int | None = None
    """Where in the file, counted from 1; None if it is about the whole."""
    path: str = ""
    """The file or directory to look at; empty where the caller knows it."""
    component: str | None = None
    """The component that was looked at; None for the configuration."""
    script: str | None = None
    """The script's name as people see it; None if it is about no script."""
