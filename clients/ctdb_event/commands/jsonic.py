"""JSON of what the dialect says. Apart, because the json module alone takes some milliseconds to import.

A byte that is not UTF-8 becomes the escape `\\udcXX` with its two digits, in names and in output alike: Python's
surrogateescape. All else outside of ASCII is escaped as well, so the text is safe on any terminal.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["document", "line"]


def document(value: Any) -> str:
    """Writes a value over several lines."""
    return json.dumps(value, indent=2, default=_text) + "\n"


def line(value: Any) -> str:
    """Writes a value in one line."""
    return json.dumps(value, separators=(", ", ": "), default=_text) + "\n"


def _text(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode("utf-8", "surrogateescape")
