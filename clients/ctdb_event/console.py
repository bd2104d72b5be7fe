"""Output of the command line: answers to stdout, complaints to stderr, both as bytes.

Names and output of scripts need not be text in anybody's encoding; what came in as bytes leaves as the same bytes. Only
a terminal, which would obey some of them, is shown escapes.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Failure", "OutputLost", "complain", "flush", "is_utf8", "say", "show", "status_code"]


class Failure(Exception):
    """A command can't be carried out.

    Attributes:
        text: One line for stderr: what went wrong and what to do.
        code: The process's exit status.
    """

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text, code)
        self.text = text
        self.code = code

    def __str__(self) -> str:
        return self.text


class OutputLost(Exception):
    """stdout doesn't take what is written; kept apart from the errors of the files that a command works on.

    Attributes:
        reader_gone: The reader of the pipe has closed it.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.reader_gone = isinstance(error, BrokenPipeError)

    def __str__(self) -> str:
        return f"can't write the output: {self.args[0].strerror}"


def say(text: str | bytes) -> None:
    """Writes to stdout as it is; without a stdout (`>&-`) to nowhere.

    Raises:
        OutputLost: stdout doesn't take it.
    """
    if sys.stdout is None:
        return
    left = memoryview(text if isinstance(text, bytes) else os.fsencode(text))
    try:
        while left:  # with PYTHONUNBUFFERED this is the bare descriptor, which may take less than all
            left = left[sys.stdout.buffer.write(left) :]
    except OSError as error:
        raise OutputLost(error) from None


def show(text: str | bytes) -> None:
    """Writes to stdout as `say` does, but to a terminal without any control character except tabs and newlines.

    Raises:
        OutputLost: stdout doesn't take it.
    """
    data = text if isinstance(text, bytes) else os.fsencode(text)
    say(_harmless(data, sys.stdout) if sys.stdout is not None and sys.stdout.isatty() else data)


def _harmless(data: bytes, terminal: TextIO) -> bytes:
    from ctdb_eventd.text import escaped  # late: programs, which read pipes, don't need it

    text = data.decode("utf-8", "surrogateescape")
    return escaped(text, "\t\n", not is_utf8(terminal)).encode()


def is_utf8(stream: TextIO | None) -> bool:
    """Returns whether what reads a stream is known to take UTF-8."""
    encoding = (stream.encoding if stream is not None else None) or "utf-8"
    return encoding.lower().replace("-", "") == "utf8"


def flush() -> None:
    """Sends what was said on its way.

    Raises:
        OutputLost: stdout doesn't take it.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputLost(error) from None


def complain(text: str, *, styled: bool = False) -> None:
    """Writes a line to stderr; if that is closed, the text is dropped.

    Args:
        text: The text; a terminal is shown escapes, as with `show`.
        styled: It has been made harmless before, and its escape sequences are meant.
    """
    try:
        if sys.stderr is not None:
            data = os.fsencode(text)
            data = data if styled or not sys.stderr.isatty() else _harmless(data, sys.stderr)
            sys.stderr.buffer.write(data + b"\n")
            sys.stderr.buffer.flush()
    except OSError:
        # the interpreter would try once more at its end, and change the exit status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def status_code(result: int) -> int:
    """Turns an errno of either sign or a script's result into an exit status; what isn't 0 never becomes 0."""
    code = abs(result) & 0xFF
    return 1 if result and not code else code
