"""The errors of a lab. They have no data, only a text for people."""

from __future__ import annotations

__all__ = ["LabError", "NoAnswer"]


class LabError(Exception):
    """The lab can't do what was requested; the text says why, and what to do."""


class NoAnswer(LabError):
    """A command on a node was not over in time."""
