"""Output for users: control characters as escapes, colours on terminals only, aligned columns.

Text is UTF-8, with other bytes as lone surrogates, as in the dialect; those are written as the original bytes.
"""

from __future__ import annotations

import sys

from ctdb_event.console import is_utf8, say
from ctdb_eventd.text import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

__all__ = ["Screen", "arguments_shown", "field", "plain_line", "quoted", "width"]

_STYLES = {"good": "32", "bad": "31", "busy": "36", "dim": "2", "head": "1"}
_SHORT = {ord("\t"): "\\t", ord("\n"): "\\n", ord("\\"): "\\\\"}
_HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_^")


class Screen:
    """The properties of standard output, and functions to write to it.

    Attributes:
        terminal: Whether it is a terminal, to which no control characters may be written.
        colour: Whether colours are used.
        only_ascii: Whether the terminal may not support UTF-8; then it could interpret parts of it as control
            characters.
    """

    __slots__ = ("colour", "only_ascii", "terminal")

    def __init__(self, environ: Mapping[str, str]) -> None:
        out = sys.stdout
        self.terminal = out is not None and out.isatty()
        self.colour = self.terminal and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
        self.only_ascii = not is_utf8(out)

    def write(self, text: str) -> None:
        """Writes text; surrogates are written as the original bytes."""
        say(text.encode("utf-8", "surrogateescape"))

    def safe(self, text: str, keep: str = "") -> str:
        """Escapes text for users, on any output; `keep` are control characters that are not escaped."""
        return escaped(text, keep, self.terminal and self.only_ascii)

    def paint(self, text: str, style: str) -> str:
        """Colours text, if colours are used and it has a style."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if style and self.colour else text

    def plain(self, values: Iterable[Any]) -> None:
        """Writes one line of `--plain` output."""
        line = plain_line(values)
        self.write((self.safe(line, "\t") if self.terminal else line) + "\n")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str | tuple[str, str]]]) -> None:
        """Writes aligned columns.

        Args:
            heads: The header; a column whose head ends in a blank is aligned to the right.
            rows: Cells: text, or text and style.
        """
        cells = [[(c, "") if isinstance(c, str) else c for c in row] for row in rows]
        lines = [[(head.strip(), "head") for head in heads]]
        lines += [[(self.safe(text), style) for text, style in row] for row in cells]
        widths = [max(width(line[column][0]) for line in lines) for column in range(len(heads))]
        for line in lines:
            self.write(self._aligned(line, widths, heads) + "\n")

    def _aligned(self, line: list[tuple[str, str]], widths: list[int], heads: Sequence[str]) -> str:
        shown = []
        for (text, style), wide, head in zip(line, widths, heads, strict=True):
            blanks = " " * (wide - width(text))
            painted = self.paint(text, style)
            shown.append(blanks + painted if head.endswith(" ") else painted + blanks)
        return "  ".join(shown).rstrip(" ")


def width(text: str) -> int:
    """Returns the number of terminal columns of a printable text."""
    if text.isascii():
        return len(text)
    import unicodedata  # imported here: hardly any name needs it

    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) != 0 for character in text)


def quoted(word: str) -> str:
    """Quotes a word for a shell, if that is necessary."""
    if word and _HARMLESS.issuperset(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def arguments_shown(words: Iterable[str]) -> str:
    """Joins words to one line, each quoted for a shell if that is necessary."""
    return " ".join(quoted(word) for word in words)


def field(value: Any) -> str:
    """Converts a value to text for `--plain`, before tabs, newlines and backslashes are escaped."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return arguments_shown(value) if isinstance(value, (list, tuple)) else str(value)


def plain_line(values: Iterable[Any]) -> str:
    """Joins values by tabs; escapes tabs, newlines and backslashes in them: `\\t`, `\\n`, and a double backslash."""
    return "\t".join(field(value).translate(_SHORT) for value in values)
