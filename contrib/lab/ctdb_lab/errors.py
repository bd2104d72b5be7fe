"""The errors of a lab. They have no data, only a text for users."""

from __future__ import annotations

__all__ = ["LabError", "NoAnswer"]


class LabError(Exception):
    """The lab can't do what was requested; the text has the reason, and what to do."""


class NoAnswer(LabError):
    """A command on a node timed out."""
