"""Where a command finds the daemon's socket and CTDB's files, and what it says if CTDB doesn't tell."""

from __future__ import annotations

import os

from ctdb_event.console import Failure, complain
from ctdb_eventd.paths import Paths, PathsError
from ctdb_eventd.places import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["find_socket", "no_daemon", "node_paths"]


def find_socket(given: str | None, environ: Mapping[str, str]) -> str:
    """Returns the daemon's socket.

    Args:
        given: What --socket names; None for this node's own.
        environ: May ask for the test layout, and may name the directory of helper programs.

    Raises:
        Failure: Neither the environment nor CTDB says where that is, and there is nothing in the built-in place.
    """
    if given is not None:
        return given
    paths = _find(environ)
    if paths.problem and not os.path.exists(paths.socket):
        advice = "or name the daemon's socket with --socket PATH"
        raise Failure(f"can't find out from CTDB where the event daemon listens: {paths.problem}; {advice}")
    return paths.socket


def no_daemon(path: str, error: OSError) -> Failure:
    """Explains that no daemon listens there, or that this user may not connect."""
    from ctdb_event.refusal import unreachable

    what, advice = unreachable("event daemon", path, error)
    usual = "start CTDB (or ctdb-eventd), or name the daemon's socket with --socket PATH"
    return Failure(f"{what}; {advice or usual}")


def node_paths(environ: Mapping[str, str]) -> Paths:
    """Returns where CTDB's files are; says on stderr if these are the built-in places for want of an answer.

    Raises:
        Failure: The environment asks for the test layout but doesn't say where.
    """
    paths = _find(environ)
    if paths.problem:
        goes_on = f"going on with the built-in places, {paths.config_file} and {paths.events_dir}"
        complain(f"ctdb-event: can't find out from CTDB where its files are: {paths.problem}; {goes_on}")
    return paths


def _find(environ: Mapping[str, str]) -> Paths:
    try:
        return find(environ)
    except PathsError as error:
        raise Failure(str(error)) from None
