"""What a user is told whom the daemon doesn't let in, or do something: the line of the configuration that would."""

from __future__ import annotations

import os

__all__ = ["NOT_ALLOWED", "advice", "may_not"]

NOT_ALLOWED = "NotAllowed"
"""The error's kind, as the daemon names it too."""


def may_not(what: str, right: str = "read") -> str:
    """Says that this user may not do that on the daemon, and which line would change it."""
    return f"you (uid {os.geteuid()}{_name(', {}')}) may not {what}; {advice(right)}"


def advice(right: str = "read") -> str:
    """Says which line of the configuration lets this user do it."""
    return f"ask its administrator for `{right} = {_name('{}') or os.geteuid()}` in [access] of its ctdb.conf"


def _name(form: str) -> str:
    import pwd

    try:
        return form.format(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return ""
