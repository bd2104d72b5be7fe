"""`ctdb-node complete`: candidates for the last word of a command line, for shell completion.

Prints lines in the format of `ctdb-event complete`: the word, a tab, and its description; or a tab and `files`. All of
them come from the option parser, so new commands and options are completed without changes here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from ctdb_node.tunables import DEFAULTS

__all__ = ["candidates"]

_FILES = ("PATH", "FILE", "DIR", "DIRECTORY", "DAEMON")
"""Metavars of options whose values are files."""
_TUNABLES = "NAME=VALUE"


def candidates(parser: argparse.ArgumentParser, words: Sequence[str]) -> Iterator[str]:
    """Yields the candidates for the last of the words behind the program's name."""
    # bash makes three words of --socket=PATH
    joined = [word for before, word in zip(["", *words], words, strict=False) if word != "=" or before[:1] != "-"]
    *before, word = joined or [""]
    pending: argparse.Action | None = None
    operands = 0
    for each in before:
        if pending is not None:
            pending = None
        elif each.startswith("-"):
            option, equals, _ = each.partition("=")
            found = parser._option_string_actions.get(option)
            pending = found if found is not None and found.nargs != 0 and not equals else None
        else:
            chosen = _subparsers(parser).get(each)
            parser, operands = (chosen, 0) if chosen is not None else (parser, operands + 1)
    if pending is not None:
        yield from _values(pending, "")
    elif word.startswith("-"):
        option, equals, _ = word.partition("=")
        if not equals:
            yield from (f"{action.option_strings[-1]}\t{action.help}" for action in _options(parser))
        elif action := parser._option_string_actions.get(option):
            yield from _values(action, f"{option}=")
    else:
        positional = [action for action in parser._actions if not action.option_strings]
        if positional:
            last = positional[-1]
            # one that takes several words takes all that follow
            if operands < len(positional) or last.nargs in ("*", "+"):
                yield from _values(positional[min(operands, len(positional) - 1)], "")


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.option_strings]


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0]) if found else {}


def _values(action: argparse.Action, prefix: str) -> Iterator[str]:
    if isinstance(action, argparse._SubParsersAction):
        yield from (f"{command.dest}\t{command.help}" for command in action._choices_actions)
    elif action.choices:
        yield from (f"{prefix}{choice}\t" for choice in action.choices)
    elif action.metavar in _FILES:
        yield "\tfiles"
    elif action.metavar == _TUNABLES:
        yield from (f"{name}=\t{value} by default" for name, value in DEFAULTS.items())
