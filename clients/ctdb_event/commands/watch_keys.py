"""The keys of `ctdb-event watch`: pause, filter, scroll. No I/O."""

from __future__ import annotations

import attrs

__all__ = ["View"]

_ARROWS = {"\x1b[A": "k", "\x1b[B": "j", "\x1bOA": "k", "\x1bOB": "j"}
_ENTER = ("\r", "\n")
_ESCAPE = "\x1b"
_BACKSPACE = ("\x7f", "\b")


@attrs.define(kw_only=True)
class View:
    """Which part of the model is shown."""

    paused: bool = False
    """The screen stays as it is."""
    text: str = ""
    """Filter: only rows that contain it are shown; case-insensitive."""
    typing: bool = False
    """The filter is being typed."""
    skipped: int = 0
    """Scroll position: the number of rows that are skipped in each section that doesn't fit."""

    def press(self, keys: str) -> bool:
        """Handles keys; returns whether to leave."""
        if not self.typing:
            for arrow, key in _ARROWS.items():
                keys = keys.replace(arrow, key)
        return any(self._type(key) if self.typing else self._press(key) for key in keys)

    def _press(self, key: str) -> bool:
        if key in "pP ":
            self.paused = not self.paused
        elif key == "/":
            self.typing, self.text, self.skipped = True, "", 0
        elif key in "jk":
            self.skipped = max(0, self.skipped + (1 if key == "j" else -1))
        return key in "qQ"

    def _type(self, key: str) -> bool:
        if key in (*_ENTER, _ESCAPE):
            self.typing = False
            self.text = "" if key == _ESCAPE else self.text
        elif key in _BACKSPACE:
            self.text = self.text[:-1]
        elif key.isprintable():
            self.text += key
        return False

    def shows(self, cells: list[str]) -> bool:
        """Returns whether a row contains the text."""
        return any(self.text.lower() in cell.lower() for cell in cells)

    @property
    def line(self) -> str:
        """The status line: the keys, and the settings that are active."""
        if self.typing:
            return f"/{self.text}_  Enter keeps the filter, Esc clears it"
        keys = "q quits  space pauses  / filters  j k scroll"
        done = (
            ("paused", self.paused),
            (f"only rows with {self.text}", self.text),
            (f"from row {self.skipped + 1}", self.skipped),
        )
        return "  ".join((keys, *(f"[{words}]" for words, active in done if active)))
