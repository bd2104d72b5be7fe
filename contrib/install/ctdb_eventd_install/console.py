"""Output of the installer. A closed pipe or a full disk never stops the installation."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

__all__ = ["complain", "flush", "say", "show"]


def say(text: str) -> None:
    """Prints a line of the report. If that fails, the rest of the report is dropped, with one message on stderr."""
    try:
        print(text, flush=True)
    except OSError as error:
        _report_lost_output(error)


def show(text: str, stream: TextIO | None) -> None:
    """Prints text from argparse, such as --help; `stream` None is stderr."""
    try:
        (stream or sys.stderr).write(text)
    except OSError as error:
        if stream is sys.stdout:
            _report_lost_output(error)
        else:
            _redirect_to_devnull(sys.stderr)


def flush() -> None:
    """Flushes stdout, to which argparse has written."""
    try:
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
    except OSError as error:
        _report_lost_output(error)


def complain(text: str) -> None:
    """Prints an error; ignores it if that is impossible."""
    try:
        print(f"ctdb-eventd-install: {text}", file=sys.stderr, flush=True)
    except OSError:
        _redirect_to_devnull(sys.stderr)


def _report_lost_output(error: OSError) -> None:
    _redirect_to_devnull(sys.stdout)
    # a reader that closes its pipe needs no more output
    if not isinstance(error, BrokenPipeError):
        complain(f"the rest of the report is lost, its output can't be written: {error.strerror}")


def _redirect_to_devnull(stream: TextIO) -> None:
    # buffered output goes there too, or the interpreter would fail to flush it when it ends
    with open(os.devnull, "wb") as nowhere, contextlib.suppress(OSError):
        os.dup2(nowhere.fileno(), stream.fileno())
