"""What can go wrong with a lab. The text is all there is to it: a person reads it."""

from __future__ import annotations

__all__ = ["LabError"]


class LabError(Exception):
    """The lab can't do what was asked; the text says why, and what helps."""
