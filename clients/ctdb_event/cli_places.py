"""Finds the daemon's socket and CTDB's files for a command, and reports if CTDB doesn't know them."""

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
        given: The value of --socket; None for this node's own socket.
        environ: May select the test layout, and may name the directory of helper programs.

    Raises:
        Failure: Neither the environment nor CTDB has the path, and the built-in path doesn't exist.
    """
    if given is not None:
        return given
    paths = _find(environ)
    if paths.problem and not os.path.exists(paths.socket):
        advice = "or name the daemon's socket with --socket PATH"
        raise Failure(f"can't get the path of the event daemon's socket from CTDB: {paths.problem}; {advice}")
    return paths.socket


def no_daemon(path: str, error: OSError) -> Failure:
    """Returns the failure that no daemon listens there, or that this user may not connect."""
    from ctdb_event.refusal import unreachable

    what, advice = unreachable("event daemon", path, error)
    usual = "start CTDB (or ctdb-eventd), or name the daemon's socket with --socket PATH"
    return Failure(f"{what}; {advice or usual}")


def node_paths(environ: Mapping[str, str]) -> Paths:
    """Returns CTDB's paths; warns on stderr if these are the built-in ones because CTDB doesn't answer.

    Raises:
        Failure: The environment selects the test layout but doesn't say where it is.
    """
    paths = _find(environ)
    if paths.problem:
        goes_on = f"using the built-in paths, {paths.config_file} and {paths.events_dir}"
        complain(f"ctdb-event: can't get CTDB's paths: {paths.problem}; {goes_on}")
    return paths


def _find(environ: Mapping[str, str]) -> Paths:
    try:
        return find(environ)
    except PathsError as error:
        raise Failure(str(error)) from None
