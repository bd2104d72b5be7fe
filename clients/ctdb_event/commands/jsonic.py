"""JSON output of values of the dialect. In its own module, as the json module alone takes some milliseconds to import.

A byte that is not UTF-8 is written as the escape `\\udcXX` with its two digits, in names and in output: Python's
surrogateescape. All other characters outside of ASCII are escaped too, so the text is safe on any terminal.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["document", "line"]


def document(value: Any) -> str:
    """Formats a value on several lines."""
    return json.dumps(value, indent=2, default=_text) + "\n"


def line(value: Any) -> str:
    """Formats a value on one line."""
    return json.dumps(value, separators=(", ", ": "), default=_text) + "\n"


def _text(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode("utf-8", "surrogateescape")
