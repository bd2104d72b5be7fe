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

NOT_FOR_SCRIPTS = frozenset(
    "BASH_ENV ENV IFS LD_AUDIT LD_LIBRARY_PATH LD_PRELOAD LISTEN_FDNAMES LISTEN_FDS LISTEN_PID NOTIFY_SOCKET "
    "PYTHONHOME PYTHONPATH SHELLOPTS BASHOPTS VIRTUAL_ENV WATCHDOG_PID WATCHDOG_USEC".split()
)
"""Variables that change what any shell, loader or Python does before the first line of a script, or that belong to the
service manager's conversation with the daemon."""


def is_for_scripts(variable: str) -> bool:
    """Tells whether scripts get this variable of the daemon's environment without being configured to."""
    # exported shell functions would replace commands under the scripts' feet
    return variable not in NOT_FOR_SCRIPTS and variable != HELD_LOCKS and not variable.startswith("BASH_FUNC_")


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
