"""Executes a command that CTDB doesn't have: finds it in the table, parses its arguments, and explains errors."""

from __future__ import annotations

from ctdb_event.commands.arguments import command_of, parse
from ctdb_event.commands.connection import CallFailed, ConnectionLost, NotNative
from ctdb_event.commands.session import Session
from ctdb_event.console import Failure
from ctdb_event.errors import InvalidRequest
from ctdb_eventd.errors import RemoteProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["carry_out"]

# The exit status of an error of `lock` itself must differ from those of its command; timeout and env do the same.
_LOCK_FAILED = 125
_LOCK_OWN = (124, 126, 127)
_LINT_FAILED = 2
"""Exit status of `lint`, whose status 1 means that there are errors."""


def carry_out(words: list[str], environ: Mapping[str, str]) -> int:
    """Executes a command that CTDB's own program doesn't have.

    Args:
        words: All words after the program's name.
        environ: Selects the daemon, and whether colours are used.

    Returns:
        The exit status.

    Raises:
        Failure: It can't be executed; the text says what to do.
    """
    command = command_of(words)
    assert command is not None  # the caller has checked the words
    try:
        arguments = parse(words, command)
        if command.words == "help" or "--help" in arguments.flags:
            from ctdb_event.commands.explain import show_help

            return show_help(arguments, environ)
        if command.words == "lint":
            from ctdb_event.lint.command import look

            return look(arguments, environ)
        return _call_handler(Session(arguments, environ), _handler(command.words))
    except Failure as failure:
        if command.words == "lock" and failure.code not in _LOCK_OWN:
            raise Failure(failure.text, _LOCK_FAILED) from None
        if command.words == "lint":
            raise Failure(failure.text, _LINT_FAILED) from None
        if command.words == "health":
            from ctdb_event.commands.health import NOT_ASKED

            raise Failure(failure.text, NOT_ASKED) from None
        raise


def _call_handler(session: Session, handler: Callable[[Session], int]) -> int:
    try:
        return handler(session)
    except (CallFailed, NotNative, ConnectionLost, InvalidRequest, RemoteProtocolError) as error:
        from ctdb_event.commands.problems import explained

        raise explained(session.path, error) from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        from ctdb_event.commands.problems import unreadable

        raise unreadable(session.path, error) from None


def _handler(words: str) -> Callable[[Session], int]:
    """Returns the function that executes a command; imports only its module."""
    if words in ("run", "cancel"):
        from ctdb_event.commands import runs

        return runs.run if words == "run" else runs.cancel
    if words == "results":
        from ctdb_event.commands.results import results

        return results
    if words == "scripts":
        from ctdb_event.commands.scripts import scripts

        return scripts
    if words == "health":
        from ctdb_event.commands.health import health

        return health
    if words == "subscribe":
        from ctdb_event.commands.notes import subscribe

        return subscribe
    if words == "watch":
        from ctdb_event.commands.watch import watch

        return watch
    if words == "lock":
        from ctdb_event.commands.locking import lock

        return lock
    if words == "diff":
        from ctdb_event.commands.comparing import diff

        return diff
    if words == "exporter":
        from ctdb_event.exporter.command import export

        return export
    if words == "timeline":
        from ctdb_event.timeline.command import timeline

        return timeline
    if words in ("history", "show", "slow"):
        from ctdb_event.commands import past

        return past.HANDLERS[words]
    from ctdb_event.commands.lists import HANDLERS

    return HANDLERS[words]
