"""The roff requests that the man pages need, with the man macros."""

from __future__ import annotations

import re
import textwrap

from ctdb_eventd import __version__

__all__ = ["continued", "head", "paragraphs", "section", "subsection", "tagged"]

_NOTHING = "\\&"


def escaped(text: str) -> str:
    """Escapes dashes and backslashes, so that they are printed unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return _guarded(text.replace("'", "\\(aq"))


def _guarded(text: str) -> str:
    """Prevents lines that begin with a dot from being interpreted as requests."""
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.split("\n"))


def _filled(text: str) -> str:
    return _guarded(textwrap.fill(inline(text), 79, break_long_words=False, break_on_hyphens=False))


def inline(text: str) -> str:
    """Converts a sentence with Markdown to roff: code becomes bold, links lose their targets."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    parts = text.split("`")
    return "".join(f"\\fB{escaped(part)}\\fR" if index % 2 else escaped(part) for index, part in enumerate(parts))


def head(name: str, number: int, purpose: str, generated: str) -> str:
    """Formats the head of a page."""
    return (
        f'.\\" {generated}\n.\\" SPDX-License-Identifier: Apache-2.0\n'
        f'.TH "{name.upper()}" "{number}" "" "ctdb\\-eventd {__version__}" "Event broker for CTDB"\n'
        f".SH NAME\n{escaped(name)} \\- {inline(purpose)}\n"
    )


def section(title: str) -> str:
    """Formats the heading of a section."""
    return f".SH {title}\n"


def subsection(title: str) -> str:
    """Formats the heading of a subsection."""
    return f".SS {escaped(title)}\n"


def paragraphs(text: str) -> str:
    """Formats paragraphs, which are separated by blank lines."""
    return ".PP\n".join(_filled(part) + "\n" for part in text.strip().split("\n\n"))


def tagged(tag: str, text: str) -> str:
    """Formats an entry of a list: its tag in bold, and its text."""
    return f".TP\n\\fB{escaped(tag)}\\fR\n{_filled(text) or _NOTHING}\n"


def continued(text: str) -> str:
    """Formats a further paragraph of an entry."""
    return f".IP\n{_filled(text)}\n"
