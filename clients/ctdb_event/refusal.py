"""Messages for users who can't reach the daemon or lack a right, with the line of the configuration that would help."""

from __future__ import annotations

import errno
import os

__all__ = ["NOT_ALLOWED", "advice", "may_not", "unreachable"]

NOT_ALLOWED = "NotAllowed"
"""The error's kind in the daemon's replies."""


def may_not(what: str, right: str = "read") -> str:
    """Returns the message that this user may not do something on the daemon, and which line would allow it."""
    return f"you (uid {os.geteuid()}{_name(', {}')}) may not {what}; {advice(right)}"


def advice(right: str = "read") -> str:
    """Returns the advice which line of the configuration would allow it to this user."""
    return f"ask its administrator for `{right} = {_name('{}') or os.geteuid()}` in [access] of its ctdb.conf"


def unreachable(daemon: str, path: str, error: OSError) -> tuple[str, str]:
    """Returns why a connection failed, and advice if this user may not connect, else an empty text."""
    reason = error.strerror or str(error)  # a path too long for a socket address has no errno
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"not allowed to connect to the {daemon} at {path}: {reason}", f"run this as root, or {advice()}"
    return f"no {daemon} listens on {path}: {reason}", ""


def _name(form: str) -> str:
    import pwd

    try:
        return form.format(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return ""
