"""The command line `ctdb-event`: parses options, prints the usage, and selects the command.

Administrators' scripts parse its output, so output and exit status are those of CTDB's own program, to the byte. It
starts in little more time than the interpreter: options are parsed by hand and each command imports only what it needs.
"""

from __future__ import annotations

import os
import sys

from ctdb_event.argv import BEHIND, OPERAND, tokens
from ctdb_event.console import Failure, OutputLost, complain, flush, say

__all__ = ["main"]

_USAGE = """\
Usage: ctdb-event [<options>] <command> [<args>]

Help Options:
  -h, --help                                      Show this help message

Options:
  -d, --debug=ERROR|WARNING|NOTICE|INFO|DEBUG     debug level

Commands:
  run <timeout> <component> <event> <args>     Run an event
  status <component> <event>                   Get status of an event
  script list <component>                      List event scripts
  script enable <component> <script>           Enable an event script
  script disable <component> <script>          Disable an event script
"""
_COMMAND_USAGE = """\
Usage: ctdb-event [-h] [-h|--help]
        [-d|--debug=ERROR|WARNING|NOTICE|INFO|DEBUG] <command> [<args>]

  {}     {}
"""

_WITH_VALUE = frozenset(("-d", "--debug", "--socket"))
_OPTIONS = _WITH_VALUE | {"-h", "--help"}

_ANY_NUMBER = sys.maxsize
_SIGPIPE_STATUS = 128 + 13
_SIGINT_STATUS = 128 + 2


class _Command:
    """A command that CTDB's own program has too.

    Attributes:
        words: The words that select it.
        usage: Its words and arguments, as the usage shows them.
        purpose: Its description.
        least: Minimum number of arguments.
        most: Maximum number of arguments.
    """

    __slots__ = ("least", "most", "purpose", "usage", "words")

    def __init__(self, words: str, arguments: str, purpose: str, least: int, most: int) -> None:
        self.words = words.split()
        self.usage = f"{words} {arguments}"
        self.purpose = purpose
        self.least = least
        self.most = most


_COMMANDS = (
    _Command("run", "<timeout> <component> <event> <args>", "Run an event", 3, _ANY_NUMBER),
    _Command("status", "<component> <event>", "Get status of an event", 2, 2),
    _Command("script list", "<component>", "List event scripts", 1, 1),
    _Command("script enable", "<component> <script>", "Enable an event script", 2, 2),
    _Command("script disable", "<component> <script>", "Disable an event script", 2, 2),
)
_FIRST_WORDS = {command.words[0] for command in _COMMANDS}


class _BadOption(Exception):
    """An unknown option, a missing value, or a value for an option that takes none."""


class _Options:
    """The parsed command line.

    Attributes:
        help: Whether the usage was requested.
        socket: The daemon's socket, if `--socket` was given.
        words: All words that are not options.
    """

    __slots__ = ("help", "socket", "words")

    def __init__(self, arguments: list[str]) -> None:
        """Parses it.

        Raises:
            _BadOption: The first invalid option.
        """
        self.help = False
        self.socket: str | None = None
        self.words: list[str] = []
        for name, value, word in tokens(arguments, _WITH_VALUE):
            if name in (OPERAND, BEHIND):
                self.words.append(word)
            elif name not in _OPTIONS:
                raise _BadOption(f"Invalid option {word}: unknown option")
            elif name in _WITH_VALUE:
                if value is None:
                    raise _BadOption(f"Invalid option {word}: missing argument")
                # CTDB's own program accepts any value of --debug; this one has no debug output, so it ignores the value
                self.socket = value if name == "--socket" else self.socket
            elif value is not None:
                raise _BadOption(f"Invalid option {word}: option does not take an argument")
            else:
                self.help = True


def _is_new(arguments: list[str]) -> bool:
    """Returns whether the arguments contain a command or options that CTDB's own program doesn't have.

    The usage doesn't show them, as it is the same as CTDB's, to the byte; `help` does.
    """
    found = list(tokens(arguments, _WITH_VALUE))
    words = [word for name, _, word in found if name in (OPERAND, BEHIND)]
    known = {OPERAND, BEHIND, *_OPTIONS}
    if all(name in known for name, *_ in found) and (not words or words[0] in _FIRST_WORDS):
        return False
    from ctdb_event.commands.arguments import command_of

    command = command_of(arguments)
    if command is None or not command.dropin:
        return command is not None
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return command.words == "run" and any(option.name in arguments[:end] for option in command.options)


def _find_command(words: list[str]) -> _Command | None:
    for command in _COMMANDS:
        if words[: len(command.words)] == command.words:
            return command
    return None


def _dispatch(options: _Options, command: _Command, arguments: list[str]) -> int:
    if command.words[0] == "script":
        from ctdb_event.cli_scripts import run_script_command

        return run_script_command(command.words[1], arguments, os.environ)
    from ctdb_event.cli_events import run, status

    carry_out = run if command.words[0] == "run" else status
    return carry_out(arguments, options.socket, os.environ)


def _suggest(words: list[str]) -> None:
    """Suggests on stderr which command may have been meant; CTDB's own program prints nothing there."""
    if words:
        from ctdb_event.commands.problems import unknown_command

        complain(f"ctdb-event: {unknown_command(words)}")
    elif sys.stderr is not None and sys.stderr.isatty():
        complain("ctdb-event: there are more commands: ctdb-event help")


def _execute(arguments: list[str]) -> int:
    if arguments[:1] == ["complete"]:
        from ctdb_event.commands.complete import complete

        return complete(arguments[2:] if arguments[1:2] == ["--"] else arguments[1:], os.environ)
    if arguments == ["--version"]:
        from ctdb_eventd import __version__

        say(f"ctdb-event {__version__}\n")
        return 0
    if _is_new(arguments):
        from ctdb_event.cli_commands import carry_out

        return carry_out(arguments, os.environ)
    try:
        options = _Options(arguments)
    except _BadOption as error:
        complain(str(error))
        say(_USAGE * 2)
        return 1
    command = _find_command(options.words)
    if command is None:
        say(_USAGE * 2)
        _suggest(options.words)
        return 1
    operands = options.words[len(command.words) :]
    if options.help or not command.least <= len(operands) <= command.most:
        say(_COMMAND_USAGE.format(command.usage, command.purpose))
        say(_USAGE if options.help else "")
        return 1
    return _dispatch(options, command, operands)


def _abandon_stdout() -> None:
    """Prevents the interpreter from writing again, and failing, when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def main(argv: list[str] | None = None) -> int:
    """Executes one command.

    Args:
        argv: The arguments after the program's name; the process's own by default.

    Returns:
        The exit status: 0, an errno, or 1 for a usage error and for a daemon that doesn't answer.
    """
    try:
        try:
            code = _execute(sys.argv[1:] if argv is None else argv)
        except Failure as failure:
            complain(f"ctdb-event: {failure}")
            code = failure.code
        flush()
    except OutputLost as error:
        _abandon_stdout()
        if error.reader_gone:
            return _SIGPIPE_STATUS
        complain(f"ctdb-event: {error}")
        return 1
    except KeyboardInterrupt:
        return _SIGINT_STATUS
    return code
