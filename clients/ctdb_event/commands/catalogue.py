"""All commands in one table, and how they are found: by their words, or by words that come near."""

from __future__ import annotations

from ctdb_event.commands import table_events, table_scripts, table_state
from ctdb_event.commands.table import Command

__all__ = ["COMMANDS", "find", "nearest"]

COMMANDS: tuple[Command, ...] = (
    *table_events.ROWS,
    *table_state.ROWS,
    *table_scripts.ROWS,
    table_scripts.HELP_ROW,
)
"""In the order in which help shows them; those of one group stand together."""


def find(words: list[str]) -> Command | None:
    """Returns the command that these words begin with."""
    for command in COMMANDS:
        own = command.words.split()
        if words[: len(own)] == own:
            return command
    return None


def nearest(word: str, candidates: list[str]) -> str:
    """Returns the candidate that looks most like a word which isn't one; empty if none does."""
    from difflib import get_close_matches  # late: only who has mistyped pays for it

    return next(iter(get_close_matches(word, candidates, 1)), "")
