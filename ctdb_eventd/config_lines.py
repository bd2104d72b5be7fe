"""The grammar of ctdb.conf: parses text into sections, keys and values. Doesn't know the keys and their meanings.

The sections that CTDB's daemons read too are parsed as these parse them (observed with 4.17 to 4.25), oddities
included: a line that one daemon ignores must not have a meaning for the other. In the sections that only this daemon
reads, the parser tolerates more blanks and ignores case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from ctdb_eventd.errors import ConfigError
from ctdb_eventd.text import nearest

__all__ = ["OURS", "SHARED", "Line", "Text", "read"]

SHARED = frozenset({"logging", "event"})
"""Sections that CTDB's event daemon reads as well."""
OURS = frozenset({"eventd", "events", "locks", "history", "notify", "access", "limits"})
"""Sections that only this daemon reads."""
_OTHERS = frozenset({"cluster", "database", "failover", "legacy"})
_KNOWN = SHARED | OURS | _OTHERS

_BLANKS = " \t\v\f\r"
_RUN_OF_BLANKS = re.compile(r"([ \t\v\f\r])[ \t\v\f\r]+")
_BYTE_ORDER_MARK = "\ufeff"
_FORMERLY = {"eventscript": "event"}
"""Former names of sections, and the current ones."""
_READS_NOTHING = (
    "because of this line CTDB's daemons read nothing of the file, and [logging] and [event] are at their defaults here"
)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Line:
    """A line in a section that this daemon reads, or before the first section."""

    file: str
    """Path of the file."""
    number: int
    """Counted from 1; the first line if it is continued."""
    section: str
    """In lower case; empty before the first section."""
    key: str
    """As written, with single blanks."""
    value: str
    """As written, without surrounding blanks."""
    has_value: bool = True
    """Whether there is a key and an equals sign."""

    def remark(self, text: str) -> ConfigError:
        """Returns an error about the line."""
        value = self.value if self.has_value or not self.key else None
        return ConfigError(self.file, self.number, text, section=self.section, key=self.key, value=value)

    def error(self, expected: str) -> ConfigError:
        """Returns an error with the expected value, and a hint if the value has a usual mistake."""
        if self.value.startswith(('"', "'")):
            expected += "; without quotes"
        elif re.search(r"[ \t][#;]", self.value):
            expected += "; a comment needs a line of its own"
        return self.remark(expected)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Text:
    """A parsed file."""

    lines: tuple[Line, ...]
    """Lines in the sections that this daemon reads, in the order of the file."""
    warnings: tuple[ConfigError, ...]
    """Mistakes that are ignored."""


def read(text: str, path: str) -> Text:
    """Parses a file's text; sections of other daemons are not checked."""
    reader = _Reader(path)
    for number, line in _joined(text):
        reader.take(number, line)
    return reader.result()


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path
        self._section = ""
        self._lines: list[Line] = []
        self._warnings: list[ConfigError] = []
        self._shared_is_void = False

    def take(self, number: int, raw: str) -> None:
        if number == 1 and raw.startswith(_BYTE_ORDER_MARK):
            mend = f"sed -i '1s/^\\xef\\xbb\\xbf//' {self._path}"
            self._warn(number, f"the line is ignored: expected no byte order mark in front of it ({mend})")
            return
        text = raw.strip(_BLANKS)
        if self._section not in OURS or text.startswith("["):
            text, nul, _ = text.partition("\0")
            text = _RUN_OF_BLANKS.sub(r"\1", text.rstrip(_BLANKS))
            if nul and self._section in SHARED:
                self._warn(number, "expected text: the line is read up to its first NUL byte", text)
        if text.startswith("["):
            self._open(number, text)
        elif text:
            self._take_key(number, text)

    def _open(self, number: int, text: str) -> None:
        name, closed, rest = text[1:].partition("]")
        section = name.lower()
        if not closed or section.strip(_BLANKS) in OURS:
            section = section.strip(_BLANKS)
        self._section = section or "[]"  # not empty, as before the first section
        if not closed:
            self._shared_is_void = True
            self._warn(number, f'expected "]" after the name of a section; {_READS_NOTHING}', text)
        elif section not in _KNOWN:
            self._warn(number, f"the unknown section is ignored; {_advice(section)}", f"[{name}]")
        elif section not in _OTHERS and (rest := rest.strip(_BLANKS)) and rest[0] not in "#;":
            self._warn(number, f"ignored: expected nothing after [{section}]", rest)

    def _take_key(self, number: int, text: str) -> None:
        key, equals, value = text.partition("=")
        key, value = key.rstrip(_BLANKS), value.strip(_BLANKS)
        is_ours = self._section in OURS
        if equals and not key and not is_ours:
            self._shared_is_void = True
            self._warn(number, f'expected "key = value"; {_READS_NOTHING}', text)
        elif not self._section or is_ours or self._section in SHARED:
            line = Line(
                file=self._path,
                number=number,
                section=self._section,
                key=" ".join(key.split()) if is_ours else key,
                value=value,
                has_value=bool(equals and key),
            )
            self._lines.append(line)

    def _warn(self, number: int, text: str, what: str | None = None) -> None:
        self._warnings.append(ConfigError(self._path, number, text, value=what))

    def result(self) -> Text:
        lines = [line for line in self._lines if not (self._shared_is_void and line.section in SHARED)]
        return Text(lines=tuple(lines), warnings=tuple(self._warnings))


def _advice(section: str) -> str:
    name = section.strip("[ \t")
    near = _FORMERLY.get(name) or nearest(name, _KNOWN)
    return f"did you mean [{near}]?" if near else f"known are {', '.join(f'[{name}]' for name in sorted(_KNOWN))}"


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yields lines with their numbers, without comments; joins a line that ends in a backslash and the next."""
    rows = text.split("\n")
    start, whole = 0, ""
    for number, row in enumerate(rows, 1):
        line = row.rstrip(_BLANKS)
        if not start and line.lstrip(_BLANKS).startswith(("#", ";")):
            continue
        start = start or number
        if line.endswith("\\") and number < len(rows):
            whole += line[:-1]
            continue
        yield start, whole + line
        start, whole = 0, ""
