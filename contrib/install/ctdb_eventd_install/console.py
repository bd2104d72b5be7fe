"""What the installer says: a reader who has gone, or a full disk, never stops what it does."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

__all__ = ["complain", "flush", "say", "show"]


def say(text: str) -> None:
    """Prints a line of the report. If that is impossible, the rest of it is lost, and that is said once on stderr."""
    try:
        print(text, flush=True)
    except OSError as error:
        _give_up_output(error)


def show(text: str, stream: TextIO | None) -> None:
    """Prints what others have composed, such as --help; None is stderr."""
    try:
        (stream or sys.stderr).write(text)
    except OSError as error:
        if stream is sys.stdout:
            _give_up_output(error)
        else:
            _lead_nowhere(sys.stderr)


def flush() -> None:
    """The same for what others have printed, such as --help."""
    try:
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
    except OSError as error:
        _give_up_output(error)


def complain(text: str) -> None:
    """Prints an error; nobody is left to be told if that is impossible."""
    try:
        print(f"ctdb-eventd-install: {text}", file=sys.stderr, flush=True)
    except OSError:
        _lead_nowhere(sys.stderr)


def _give_up_output(error: OSError) -> None:
    _lead_nowhere(sys.stdout)
    # who closes a pipe has seen all that he wanted
    if not isinstance(error, BrokenPipeError):
        complain(f"the rest of the report is lost, its output can't be written: {error.strerror}")


def _lead_nowhere(stream: TextIO) -> None:
    # what it still holds goes there too, or the interpreter's end would stumble over it
    with open(os.devnull, "wb") as nowhere, contextlib.suppress(OSError):
        os.dup2(nowhere.fileno(), stream.fileno())
