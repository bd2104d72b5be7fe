"""`ctdb-event help`, and `--help` after a new command: the table as text."""

from __future__ import annotations

from ctdb_event.commands.arguments import Arguments
from ctdb_event.commands.catalogue import COMMANDS, find, groups
from ctdb_event.commands.screen import Screen
from ctdb_event.console import Failure
from ctdb_eventd import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ctdb_event.commands.table import Command

__all__ = ["overview", "pages", "show_help"]

_WIDTH = 80
_HEAD = "Usage: ctdb-event [OPTIONS] COMMAND [ARGUMENTS]\n"
_TAIL = f"""
Options of every command: --socket PATH, and --help (of the new ones).
More: ctdb-event help COMMAND, man ctdb-event.
This is version {__version__}; the daemon's is shown by ctdb-event stats.
"""


def show_help(arguments: Arguments, environ: Mapping[str, str]) -> int:
    """Prints the help of a command, or of all.

    Raises:
        Failure: The command is unknown.
    """
    screen = Screen(environ)
    chosen = [arguments.command]
    if arguments.command.words == "help" and "--help" not in arguments.flags:
        chosen = _chosen(arguments.operands)
    if not chosen:
        screen.write(overview())
        return 0
    screen.write("\n".join(pages(command) for command in chosen))
    return 0


def _chosen(words: list[str]) -> list[Command]:
    if not words:
        return []
    command = find(words)
    chosen = [command] if command is not None else [row for row in COMMANDS if row.words.split()[:-1] == words]
    if not chosen:
        from ctdb_event.commands.problems import unknown_command

        raise Failure(unknown_command(words))
    return chosen


def overview() -> str:
    """Returns all commands, one on each line."""
    widest = max(len(command.words) for command in COMMANDS)
    lines = [_HEAD]
    for group, commands in groups().items():
        lines.append(f"\n{group}:\n")
        lines += [f"  {command.words:{widest}}  {command.purpose}\n" for command in commands]
    return "".join(lines) + _TAIL


def pages(command: Command) -> str:
    """Returns the full help of one command."""
    parts = [f"Usage: {command.usage}\n", f"\n{command.purpose}\n"]
    parts += [f"\n{_wrapped(paragraph)}" for paragraph in command.text.split("\n\n")]
    parts += _section("Arguments", ((operand.name, operand.purpose) for operand in command.operands))
    shown = ((f"{o.short}, {o.shown}" if o.short else o.shown, o.purpose) for o in command.all_options)
    parts += _section("Options", shown)
    parts += _section("Columns of --plain", ((name, meaning) for name, meaning in command.columns))
    if command.json:
        parts.append(f"\nJSON:\n{_wrapped(_without_links(command.json), 2)}")
    parts += _section("Exit status", command.statuses)
    if command.examples:
        parts.append("\nExamples:\n")
        parts += [f"  {line}\n      {meaning}\n" for line, meaning in command.examples]
    return "".join(parts).replace("`", "")


def _section(title: str, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    listed = list(entries)
    if not listed:
        return
    yield f"\n{title}:\n"
    widest = min(max(len(name) for name, _ in listed), 24)
    for name, meaning in listed:
        text = _wrapped(meaning, widest + 4)
        # a name that is too long has a line of its own
        yield f"  {name}\n{text if meaning else ''}" if len(name) > widest else f"  {name:{widest}}  {text.lstrip(' ')}"


def _without_links(text: str) -> str:
    import re  # imported here: only help about JSON needs it

    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1 (docs/protocol.md)", text)


def _wrapped(text: str, indent: int = 0) -> str:
    """Wraps a paragraph into lines that are indented by `indent` blanks."""
    import textwrap  # imported here: it imports re

    blanks = " " * indent
    filled = textwrap.fill(
        text, _WIDTH, initial_indent=blanks, subsequent_indent=blanks, break_long_words=False, break_on_hyphens=False
    )
    return filled + "\n"
