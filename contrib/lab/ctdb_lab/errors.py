"""What can go wrong with a lab. The text is all there is to it: a person reads it."""

from __future__ import annotations

__all__ = ["LabError", "NoAnswer"]


class LabError(Exception):
    """The lab can't do what was asked; the text says why, and what helps."""


class NoAnswer(LabError):
    """A command on a node was not over in time."""
