"""How values and texts of strangers are shown to people: bounded in length, and nothing that a terminal would obey.

Pure, and light to import: the errors and the command line use it.
"""

from __future__ import annotations

__all__ = ["escaped", "shown"]

_SHOWN = 300
"""Characters of a value that are shown: more than any good name has."""
_LONGEST = 4 * _SHOWN
"""Of a whole text, most of whose characters are escapes."""

# Those that output may consist of are replaced by the interpreter in one go, ten times as fast.
_LATIN = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA1), 0xAD)}


def shown(value: object) -> str:
    """Returns a value as Python writes it, cut if that is long, for messages about what somebody else sent."""
    try:
        if isinstance(value, (str, bytes)) and len(value) > _SHOWN:
            return f"{value[:_SHOWN]!r}..."
        text = repr(value)
    except RecursionError:  # nested deeper than the interpreter can follow
        return f"a deeply nested {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_SHOWN]}..."


def escaped(text: str, keep: str = "", only_ascii: bool = False) -> str:
    """Replaces what a terminal could obey, or not show, by escapes: `\\x1b`; a byte that is not UTF-8 too.

    That is every character which is not printable: control and format characters, among them those that change the
    direction of writing, and separators other than the blank.
    """
    if text.isprintable() and (text.isascii() or not only_ascii):
        return text
    text = text.translate({code: escape for code, escape in _LATIN.items() if chr(code) not in keep})
    if text.isascii():
        return text
    return "".join(
        c if c in keep or (c.isprintable() and (c.isascii() or not only_ascii)) else _escape(ord(c)) for c in text
    )


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # stands for this byte
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
