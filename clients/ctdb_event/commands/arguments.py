"""Parses the arguments of a new command, by its row of the table."""

from __future__ import annotations

import os

from ctdb_event.argv import BEHIND, MAX_TIMEOUT, OPERAND, tokens
from ctdb_event.commands.catalogue import VALUE_OPTIONS, find
from ctdb_event.commands.table import Command
from ctdb_event.console import Failure
from ctdb_eventd.text import escaped, nearest

__all__ = ["Arguments", "Usage", "command_of", "optional_text", "parse", "seconds", "text"]


class Usage(Failure):
    """The command line is invalid."""


class Arguments:
    """A parsed command line.

    Attributes:
        command: Its row; the row of `help` if there are no words.
        flags: The given options without a value.
        values: The values of the other options; the last one counts.
        operands: The words that are not options, without the command's words.
        behind: The words after `--`, if the command runs another program.
    """

    __slots__ = ("behind", "command", "flags", "operands", "values")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.flags: set[str] = set()
        self.values: dict[str, str] = {}
        self.operands: list[str] = []
        self.behind: list[str] = []

    def operand(self, position: int) -> str | None:
        """Returns an operand, None if it wasn't given."""
        return self.operands[position] if position < len(self.operands) else None


def parse(words: list[str], command: Command) -> Arguments:
    """Parses a command line.

    Args:
        words: All words after the program's name, including the command's words.
        command: The row of the command, which was found before.

    Raises:
        Usage: An option or operand is unknown, missing or superfluous.
    """
    arguments = Arguments(command)
    for name, value, word in tokens(words, VALUE_OPTIONS):
        if name == BEHIND and command.takes_command:
            arguments.behind.append(word)
        elif name in (OPERAND, BEHIND):
            arguments.operands.append(word)
        else:
            _take_option(arguments, name, value, word)
    del arguments.operands[: len(command.words.split())]
    if "--help" not in arguments.flags:
        _check_operands(arguments)
        forms = [form for form in ("--export", "--json", "--plain") if form in arguments.flags]
        if len(forms) > 1:
            raise _usage(command, f"{forms[0]} and {forms[1]} exclude each other")
    return arguments


def _take_option(arguments: Arguments, name: str, value: str | None, word: str) -> None:
    option = next((option for option in arguments.command.all_options if name in option.names), None)
    shown = word.partition("=")[0]
    if option is None:
        raise _unknown_option(arguments.command, shown)
    if option.value:
        if value is None:
            raise _usage(arguments.command, f"option {shown} needs a value, {option.value}")
        arguments.values[option.name] = value
    elif value is not None:
        raise _usage(arguments.command, f"option {shown} takes no value, here it has {escaped(value)}")
    else:
        arguments.flags.add(option.name)


def _unknown_option(command: Command, name: str) -> Usage:
    names = [option.name for option in command.all_options]
    near = nearest(name, names)
    advice = f"did you mean {near}?" if near else f"there are: {', '.join(names)}"
    return _usage(command, f"unknown option {escaped(name)}; {advice}")


def _check_operands(arguments: Arguments) -> None:
    command, given = arguments.command, arguments.operands
    expected = command.plain_operands
    if len(given) < len(expected) and expected[len(given)].required:
        raise _usage(command, f"{expected[len(given)].name} is missing")
    if len(given) > len(expected) and not (expected and expected[-1].many):
        hint = "; COMMAND must follow --" if command.takes_command else ""
        raise _usage(command, f"{escaped(given[len(expected)])} is one argument too many{hint}")
    if command.takes_command and not arguments.behind:
        raise _usage(command, "COMMAND is missing; it must follow --")


def _usage(command: Command, problem: str) -> Usage:
    return Usage(f"{problem}\nUsage: {command.usage}\nMore: ctdb-event help {command.words}")


def seconds(what: str, given: str) -> float:
    """Parses a duration in seconds, which may have a fraction.

    Raises:
        Failure: It is invalid.
    """
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if 0 <= value <= MAX_TIMEOUT:
        return value
    raise Failure(f'{what} "{given}": seconds are expected, such as 10 or 0.5', 22)


def text(argument: str) -> str:
    """Converts an argument of this process to text for the native dialect: UTF-8, other bytes as surrogates."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def optional_text(argument: str | None) -> str | None:
    """As `text`; None stays None."""
    return None if argument is None else text(argument)


def command_of(words: list[str]) -> Command | None:
    """Finds the command among all words; options may precede it."""
    return find([word for name, _, word in tokens(words, VALUE_OPTIONS) if name in (OPERAND, BEHIND)])
