"""Streams a run: the scripts' output unchanged on standard output, and the run's progress on standard error.

On a terminal control characters are shown as escapes; elsewhere the bytes pass unchanged.
"""

from __future__ import annotations

import codecs
import os
import sys

from ctdb_event.commands.lists import event_shown, state_style
from ctdb_event.commands.results import outcome_shown, script_ended
from ctdb_event.commands.screen import Screen
from ctdb_event.console import complain, flush, say
from ctdb_eventd.text import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Stream"]

_decoder = codecs.getincrementaldecoder("utf-8")
_LEFT_ALONE = "\t\n"


class Stream:
    """Prints the notes of one run."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._decoder = _decoder("surrogateescape")
        self._open_line = False
        # stdout and stderr are one file, so a message could continue an incomplete line of output
        self._one_place = _place(1) is not None and _place(1) == _place(2)

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Prints a note."""
        if kind == "output":
            self._output(data["output"])
        elif kind == "queued":
            self._remark(f"{event_shown(data)}: waits for other events (run {data['run']})", "")
        elif kind == "lock-waiting":
            self._remark(f"waits for {', '.join(data['locks'])}", "")
        elif kind == "script-started":
            self._remark(f"{data['script']}: started", "")
        elif kind == "script-finished":
            self._script_finished(data)
        elif kind == "gap":
            self._remark(f"{data['lost']} notes were lost here: this reader is too slow", "bad")

    def end(self, result: dict[str, Any]) -> None:
        """Prints the result."""
        self._remark(outcome_shown(result), state_style(result["outcome"]))

    def aside(self, words: str) -> None:
        """Prints a message that isn't about the run, on a line of its own."""
        self._break_line()
        complain(words)

    def _script_finished(self, data: dict[str, Any]) -> None:
        self._flush_decoder()
        self._remark(f"{data['script']}: {script_ended(data)}", state_style(data["state"]))

    def _output(self, data: bytes) -> None:
        if not self._screen.terminal:
            say(data)
            self._open_line = not data.endswith(b"\n") if data else self._open_line
            return
        self._show(self._decoder.decode(data))

    def _flush_decoder(self) -> None:
        """Prints an incomplete character at the end of the output."""
        self._show(self._decoder.decode(b"", True))
        self._decoder.reset()

    def _show(self, text: str) -> None:
        if text:
            self._screen.write(self._screen.safe(text, _LEFT_ALONE))
            self._open_line = not text.endswith("\n")

    def _break_line(self) -> None:
        if self._open_line and self._one_place:
            say("\n")
            self._open_line = False
        flush()

    def _remark(self, words: str, style: str) -> None:
        self._break_line()
        complain(f"== {_paint(self._screen, escaped(words), style)}", styled=True)


def _place(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _paint(screen: Screen, text: str, style: str) -> str:
    return screen.paint(text, style) if screen.colour and sys.stderr is not None and sys.stderr.isatty() else text
