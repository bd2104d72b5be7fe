"""Names that come from outside and become part of a path: what they may be. Pure, and light to import."""

from __future__ import annotations

from ctdb_eventd.errors import InvalidName

__all__ = ["NAME_MAX", "check_name"]

NAME_MAX = 255
"""Longest name that a file can have, in bytes (Linux NAME_MAX)."""


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
