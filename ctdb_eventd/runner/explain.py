"""What happened to a process, in words for the log and for whoever reads the status."""

from __future__ import annotations

import errno
import signal

__all__ = ["how_ended", "signal_name", "why_not_started"]


def signal_name(number: int) -> str:
    """Returns a signal's number and name."""
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def how_ended(status: int) -> str:
    """Says what ended a process that had to be ended; `status` is as `Child.close` returns it."""
    return signal_name(-status) if status < 0 else f"itself with exit status {status}"


def why_not_started(number: int, error: OSError | ValueError) -> str:
    """Says why a script could not be started: `number` is the errno of `error`."""
    if number == errno.ENOEXEC:
        return "it is no program, and its first line does not name an interpreter (such as #!/bin/sh)"
    if number == errno.ENOENT:
        return "the interpreter that its first line names (#!) does not exist"
    if number == errno.ELOOP:
        return "a link leads round in a circle, or there are more than 40 in a row (namei shows them); remove it"
    if number == errno.ENOTDIR:
        return "its path, or that of its interpreter, leads through a file as if it were a directory (namei shows it)"
    if number == errno.ETXTBSY:
        return "it is open for writing (fuser -v shows by whom), and what is being written can't be executed"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
