"""The table of all commands, and the search for a command by its words."""

from __future__ import annotations

from ctdb_event.commands import table_events, table_past, table_scripts, table_state
from ctdb_event.commands.table import Command

__all__ = ["COMMANDS", "VALUE_OPTIONS", "find", "groups"]

COMMANDS: tuple[Command, ...] = (
    *table_events.ROWS,
    *table_past.ROWS,
    *table_state.ROWS,
    *table_scripts.ROWS,
    table_scripts.HELP_ROW,
)
"""In the order in which help shows them; the commands of a group are adjacent."""
VALUE_OPTIONS = {
    name: option for row in COMMANDS for option in row.all_options if option.value for name in option.names
}
"""The options that take a value, by name; a name has the same meaning for every command."""


def find(words: list[str]) -> Command | None:
    """Returns the command whose words these words begin with; None if there is none."""
    for command in COMMANDS:
        own = command.words.split()
        if words[: len(own)] == own:
            return command
    return None


def groups() -> dict[str, list[Command]]:
    """Returns the commands by group, in the table's order."""
    found: dict[str, list[Command]] = {}
    for command in COMMANDS:
        found.setdefault(command.group, []).append(command)
    return found
