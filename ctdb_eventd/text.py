"""How values and texts of strangers are shown to people: bounded in length, and nothing that a terminal would obey;
and the nearest right word for a misspelt one.

Pure, and light to import: the errors and the command line use it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["escaped", "nearest", "shown"]

_SHOWN = 300
"""Characters of a value that are shown: more than any good name has."""
_LONGEST = 4 * _SHOWN
"""Of a whole text, most of whose characters are escapes."""

# Those of one byte, of which output may consist, are replaced by the interpreter in one go, ten times as fast. A lone
# surrogate stands for a byte that is not UTF-8.
_BYTES = {code: f"\\x{code & 0xFF:02x}" for code in (*range(0x20), *range(0x7F, 0xA1), 0xAD, *range(0xDC80, 0xDD00))}
_tables: dict[str, dict[int, str]] = {}


def shown(value: object) -> str:
    """Returns a value as Python writes it, cut if that is long, for messages about received data."""
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
    table = _tables.get(keep)
    if table is None:
        table = _tables[keep] = {code: escape for code, escape in _BYTES.items() if chr(code) not in keep}
    text = text.translate(table)
    if text.isascii():
        return text
    return "".join(
        c if c in keep or (c.isprintable() and (c.isascii() or not only_ascii)) else _escape(c) for c in text
    )


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


def nearest(word: str, known: Iterable[str], similarity: float = 0.6) -> str | None:
    """Returns the known word that another one is most likely a misspelling of.

    Args:
        word: The other one; upper and lower case don't matter.
        known: The words that it may be.
        similarity: The least that counts, from 0 to 1.
    """
    from difflib import get_close_matches  # late: only who has mistyped pays for it

    originals = {other.lower(): other for other in sorted(known)}
    near = get_close_matches(word.lower(), originals, 1, similarity)
    return originals[near[0]] if near else None
