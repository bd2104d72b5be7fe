"""All commands in one table, and how they are found by their words."""

from __future__ import annotations

from ctdb_event.commands import table_events, table_scripts, table_state
from ctdb_event.commands.table import Command

__all__ = ["COMMANDS", "find"]

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
