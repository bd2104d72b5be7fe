"""`ctdb-event timeline`: selects the runs, and the output format."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

from ctdb_event.commands.past import node_name, one_run, reads_history, whole_runs
from ctdb_event.commands.session import Session
from ctdb_event.console import Failure
from ctdb_event.past import PastRun
from ctdb_event.timeline.exported import read_exported, whole_run
from ctdb_event.timeline.model import Chart, draw
from ctdb_event.timeline.perfetto import trace
from ctdb_event.timeline.svg import page, picture
from ctdb_event.timeline.terminal import lines

__all__ = ["timeline"]

_INVALID = 22
_UNKNOWN = 2
_USUAL = "10m"
"""Default period that the chart shows."""
_FILES: dict[str, Callable[[Chart], str]] = {"--html": page, "--svg": picture, "--perfetto": trace}


@reads_history
def timeline(session: Session) -> int:
    """Draws runs as a chart."""
    values = session.arguments.values
    runs = list(_named(session) if session.arguments.operands else _found(session))
    if not runs:
        raise Failure("there is no such run to draw; `ctdb-event history` lists those that there are", _UNKNOWN)
    chart = draw(runs)
    wanted = [(values[option], render) for option, render in _FILES.items() if option in values]
    for path, render in wanted:
        _write(path, render(chart))
    if not wanted:
        _print(session, chart)
    return 0


def _named(session: Session) -> Iterator[tuple[str, PastRun]]:
    """Yields the runs whose ids are operands, and those of the files."""
    arguments = session.arguments
    which = [option.name for option in arguments.command.options if option.name not in _FILES]
    for option in which:
        if option in arguments.values or option in arguments.flags:
            said = f"{option} can't be combined with runs or files: give it to `ctdb-event history --export`"
            raise Failure(said, _INVALID)
    for given in arguments.operands:
        if "." in given or "/" in given:  # which are not part of run ids
            yield from read_exported(given)
        else:
            yield node_name(), whole_run(one_run(session, given))


def _found(session: Session) -> Iterator[tuple[str, PastRun]]:
    """Yields the runs of the history that match the options."""
    if "--until" not in session.arguments.values:
        session.arguments.values.setdefault("--since", _USUAL)
    node = node_name()
    for run in whole_runs(session):
        yield node, whole_run(run)


def _write(path: str, content: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        raise Failure(f"can't write {path}: {error.strerror}") from None


def _print(session: Session, chart: Chart) -> None:
    screen = session.screen
    for pieces in lines(chart, shutil.get_terminal_size().columns, screen.only_ascii):
        screen.write("".join(screen.paint(text, style) for text, style in pieces).rstrip(" ") + "\n")
