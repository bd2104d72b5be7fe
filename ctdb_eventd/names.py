"""Names that come from outside: what may become part of a path, and which variables scripts don't get.

Pure, and light to import.
"""

from __future__ import annotations

from ctdb_eventd.errors import InvalidName

__all__ = ["HELD_LOCKS", "NAME_MAX", "NOT_FOR_SCRIPTS", "check_name", "is_for_scripts"]

NAME_MAX = 255
"""Longest name that a file can have, in bytes (Linux NAME_MAX)."""

HELD_LOCKS = "CTDB_EVENTD_HOLDS"
"""The variable by which a command wrapper says which locks it holds; one from elsewhere would be a lie."""

_LOADER = "LD_* GCONV_PATH GLIBC_TUNABLES LOCPATH MALLOC_*"
_SHELLS = "BASH_* BASHOPTS CDPATH ENV EXECIGNORE FPATH GLOBIGNORE IFS POSIXLY_CORRECT PS4 SHELLOPTS TMOUT ZDOTDIR"
_INTERPRETERS = (
    "AWKLIBPATH AWKPATH CLASSPATH GEM_* JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS LUA_* NODE_* PERL5* PERLIO PERLIO_DEBUG "
    "PERLLIB PERL_* PHPRC PHP_INI_SCAN_DIR PYTHON* RUBY* TCLLIBPATH TCL_LIBRARY VIRTUAL_ENV _JAVA_OPTIONS"
)
_SERVICE_MANAGER = (
    "CREDENTIALS_DIRECTORY DEBUG_INVOCATION INVOCATION_ID JOURNAL_STREAM LISTEN_* MAINPID MANAGERPID MANAGERPIDFDID "
    "MEMORY_PRESSURE_* NOTIFY_SOCKET SYSTEMD_EXEC_PID WATCHDOG_*"
)
NOT_FOR_SCRIPTS = tuple(f"{_LOADER} {_SHELLS} {_INTERPRETERS} {_SERVICE_MANAGER}".split())
"""Variables that change what a loader, shell or interpreter does before the first line of a script, or with its code
whatever that says, and those that belong to the service manager's conversation with the daemon. A `*` at the end stands
for anything; exported shell functions begin with BASH_FUNC_.

Not what commands go by that scripts run (TMPDIR, TZ, RES_OPTIONS): who starts the daemon is root, and sites set such
variables for their scripts.
"""
_DROPPED_NAMES = frozenset(name for name in NOT_FOR_SCRIPTS if not name.endswith("*"))
_DROPPED_PREFIXES = tuple(name[:-1] for name in NOT_FOR_SCRIPTS if name.endswith("*"))


def is_for_scripts(variable: str) -> bool:
    """Returns whether scripts get this variable of the daemon's environment without being configured to."""
    return variable not in _DROPPED_NAMES and variable != HELD_LOCKS and not variable.startswith(_DROPPED_PREFIXES)


def check_name(kind: str, name: str) -> None:
    """Refuses names that are no plain file names, before they come near a path.

    Args:
        kind: What it names (component, event, script), for the message.
        name: As it came from the client.

    Raises:
        InvalidName: Empty, `.`, `..`, with a slash or a NUL, or longer than a file name can be.
    """
    if not name:
        reason = "it is empty"
    elif "/" in name:
        reason = "it contains a slash"
    elif "\0" in name:
        reason = "it contains a NUL"
    elif name in (".", ".."):
        reason = "it is a directory's own name"
    elif len(name) * 4 > NAME_MAX and len(name.encode("utf-8", "surrogateescape")) > NAME_MAX:
        reason = f"it is longer than {NAME_MAX} bytes"
    else:
        return
    raise InvalidName(kind, name, reason)
