"""Messages for users who can't reach the daemon or lack a right, with the configuration line that would help."""

from __future__ import annotations

import errno
import os

__all__ = ["NOT_ALLOWED", "advice", "may_not", "unreachable"]

NOT_ALLOWED = "NotAllowed"
"""The error's kind, as the daemon names it too."""


def may_not(what: str, right: str = "read") -> str:
    """Says that this user may not do that on the daemon, and which line would change it."""
    return f"you (uid {os.geteuid()}{_name(', {}')}) may not {what}; {advice(right)}"


def advice(right: str = "read") -> str:
    """Says which line of the configuration lets this user do it."""
    return f"ask its administrator for `{right} = {_name('{}') or os.geteuid()}` in [access] of its ctdb.conf"


def unreachable(daemon: str, path: str, error: OSError) -> tuple[str, str]:
    """Says why a connection could not be made, and what to do if this user is not allowed to make one, else nothing."""
    reason = error.strerror or str(error)  # a path too long for an address has no errno
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"not allowed to connect to the {daemon} at {path}: {reason}", f"run this as root, or {advice()}"
    return f"no {daemon} listens on {path}: {reason}", ""


def _name(form: str) -> str:
    import pwd

    try:
        return form.format(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return ""
