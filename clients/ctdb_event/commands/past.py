"""`ctdb-event history`, `show` and `slow`: read the history's file, or ask the daemon if this user may not read it."""

from __future__ import annotations

import os
import re
import time

import attrs

from ctdb_event.cli_places import node_paths
from ctdb_event.commands.arguments import optional_text, text
from ctdb_event.commands.lists import event_shown, print_list, state_style, waited_shown
from ctdb_event.commands.results import print_scripts
from ctdb_event.commands.times import at, lasting
from ctdb_event.console import Failure, complain
from ctdb_eventd.history.reader import Unreadable, read, read_whole_runs
from ctdb_eventd.history.records import Wanted, history_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ctdb_event.commands.screen import Screen
    from ctdb_event.commands.session import Session

__all__ = ["HANDLERS", "last_good_before", "moment", "node_name", "one_run", "reads_history", "whole_runs"]

_INVALID = 22
_UNKNOWN = 2
_MAX_LIMIT = 1_000_000
_MAX_RUNS = 1000
"""The daemon's maximum number of runs in one reply."""
_DAY = 24 * 3600
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": _DAY}
_WHEN = "expected a time of day (02:30), a date (2026-11-27), both (2026-11-27T02:30), or how long ago (20m, 3h, 2d)"


def moment(given: str, now: float) -> float:
    """Parses a time on the command line, and returns seconds since the epoch.

    Args:
        given: A time of day, which means the latest in the past; a date; both; or how long ago, such as `20m`.
        now: The current time, in seconds since the epoch.

    Raises:
        Failure: It has none of these forms.
    """
    if ago := re.fullmatch(r"([0-9]{1,6})([smhd])", given):
        return now - int(ago[1]) * _UNITS[ago[2]]
    for form in ("%H:%M", "%H:%M:%S"):
        try:
            clock = time.strptime(given, form)
        except ValueError:
            continue
        today = time.localtime(now)
        at_clock = (clock.tm_hour, clock.tm_min, clock.tm_sec, 0, 0, -1)
        then = time.mktime((today.tm_year, today.tm_mon, today.tm_mday, *at_clock))
        # don't subtract 24 hours: a day may be an hour longer or shorter
        return then if then <= now else time.mktime((today.tm_year, today.tm_mon, today.tm_mday - 1, *at_clock))
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return time.mktime(time.strptime(given, form))
        except (ValueError, OverflowError):
            continue
    raise Failure(f'"{given}" is not a time: {_WHEN}', _INVALID)


def _wanted(session: Session, limit: int) -> Wanted:
    values, now = session.arguments.values, time.time()
    by = values.get("--by")
    if by is not None and by != "ctdbd" and not by.isdecimal():
        raise Failure(f'--by "{by}": expected ctdbd, or a user\'s number', _INVALID)
    since, until = (values.get(name) for name in ("--since", "--until"))
    return Wanted(
        component=optional_text(values.get("--component")),
        event=optional_text(values.get("--event")),
        address=optional_text(values.get("--address")),
        failed="--failed" in session.arguments.flags,
        since=None if since is None else moment(since, now),
        until=None if until is None else moment(until, now),
        slower=_number(values, "--slower"),
        uid=int(by) if by is not None and by.isdecimal() else None,
        by_ctdbd=True if by == "ctdbd" else None,
        limit=_limit(values, limit),
    )


def _number(values: dict[str, str], name: str) -> float | None:
    value = values.get(name)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        raise Failure(f'{name} "{value}": expected seconds, such as 2 or 0.5', _INVALID)
    return float(value)


def _limit(values: dict[str, str], otherwise: int) -> int:
    value = values.get("--limit")
    if value is None:
        return otherwise
    if not re.fullmatch("[0-9]{1,7}", value) or not 1 <= int(value) <= _MAX_LIMIT:
        raise Failure(f'--limit "{value}": expected a number from 1 to {_MAX_LIMIT}', _INVALID)
    return int(value)


def _found(session: Session, view: str, wanted: Wanted, run: str | None = None) -> Any:
    """Reads the file, or asks the daemon if this user may not read it or another daemon's history is requested."""
    if path := _own_file(session):
        return read(path, view, wanted, run)
    return session.ask("history", view=view, run=run, **attrs.asdict(wanted))


def _own_file(session: Session) -> str | None:
    """Returns this node's file; None if this user may not read it, or another daemon's history is requested."""
    if "--socket" in session.arguments.values:
        return None
    path = history_file(node_paths(session.environ).state_dir)
    return path if _may_read(path) else None


def _may_read(path: str) -> bool:
    """Returns whether this user may read a file, or may at least see that it doesn't exist."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return os.access(path, os.R_OK)


def whole_runs(session: Session) -> Iterator[dict[str, Any]]:
    """Yields the runs that match the options, the oldest first, each with its scripts and waits.

    Args:
        session: The command's session.

    Raises:
        Failure: An option's value is invalid.
        Unreadable: The history can't be read.
    """
    wanted = _wanted(session, _MAX_RUNS)
    count = 0
    for run in _each_whole_run(session, wanted):
        count += 1
        yield run
    if count == wanted.limit and "--limit" not in session.arguments.values:
        advice = "for more use --limit, for others --since and --until"
        complain(f"ctdb-event: only the latest {count} runs are included; {advice}")


def _each_whole_run(session: Session, wanted: Wanted) -> Iterator[dict[str, Any]]:
    if path := _own_file(session):
        yield from read_whole_runs(path, wanted)
        return
    with session.connect() as daemon:
        for run in daemon.call("history", view="runs", **attrs.asdict(wanted)):
            whole = daemon.call("history", view="run", run=run["run"])
            if whole is not None:
                yield whole


def node_name() -> str:
    """Returns the name of this node for exported runs and pictures."""
    return os.uname().nodename


def _history(session: Session) -> int:
    """Lists runs, or exports them with scripts and waits."""
    if "--export" in session.arguments.flags:
        return _export(session)
    found = _found(session, "runs", _wanted(session, 50))
    heads = ("RUN", "REQUESTED", "EVENT", "OUTCOME", "TOOK ", "WAITED ", "BY", "SCRIPTS THAT FAILED")
    return print_list(session, found, found, heads, _row, "The history has no such run.")


def _export(session: Session) -> int:
    from ctdb_event.commands.jsonic import line

    node = node_name()
    for run in whole_runs(session):
        session.screen.write(line({"node": node, **run}))
    return 0


def _row(run: dict[str, Any]) -> list[str | tuple[str, str]]:
    outcome = _outcome(run)
    return [
        *(run["run"], at(run["queued"]), event_shown(run), (outcome, state_style(outcome))),
        *(lasting(run["seconds"]), waited_shown(run), _asked_by(run), ", ".join(run["bad_scripts"])),
    ]


def _outcome(run: dict[str, Any]) -> str:
    return str(run["outcome"] or "running")


def _asked_by(run: dict[str, Any]) -> str:
    if run["program"] == "ctdbd":
        return "ctdbd"
    return "" if run["uid"] is None else f"{run['program'] or '?'} (uid {run['uid']})"


def _show(session: Session) -> int:
    """Shows one run."""
    run = one_run(session, session.arguments.operands[0])
    if session.json:
        session.print_json(run)
        return 0
    screen = session.screen
    if run["outcome"] is None or run["waited"] is None:
        head = f"{event_shown(run)}: {_outcome(run)}, requested {at(run['queued'])}, run {run['run']}"
        screen.write(screen.paint(screen.safe(head), state_style(run["outcome"] or "running")) + "\n")
    else:
        print_scripts(screen, [run])
    asked = f"requested at {at(run['queued'])} by {_asked_by(run) or 'an unknown client'}"
    if run["pid"] is not None:
        asked += f", process {run['pid']}"
    screen.write(f"  {screen.safe(asked)}\n")
    if run["ended_by"]:
        screen.write(f"  {screen.safe('ended: ' + run['ended_by'])}\n")
    for wait in run["waits"]:
        whose = f"{wait['script']} waited" if wait["script"] else "waited"
        behind = f", held by {wait['holder']}" if wait["holder"] else ""
        line = f"{whose} {lasting(wait['seconds'])} for {wait['what']}{behind}, from {at(wait['began'])}"
        screen.write(f"  {screen.safe(line)}\n")
    if "--processes" in session.arguments.flags:
        for script in run["scripts"]:
            if script.get("hung"):
                _print_processes(screen, script)
    return 0


def _print_processes(screen: Screen, script: dict[str, Any]) -> None:
    hung = script["hung"]
    screen.write(f"\n  {screen.safe(script['name'])} when it timed out:\n")
    for process in hung["processes"]:
        head = f"{process['pid']}, child of {process['parent']}, state {process['state']}: {process['command']}"
        screen.write(f"    {screen.safe(head)}\n      {screen.safe(process['doing'])}\n")
        for what, lines in (("has locked", process["locks"]), ("has open", process["files"])):
            for line in lines:
                screen.write(f"      {what} {screen.safe(line)}\n")
        for frame in process["stack"]:
            screen.write(f"      in {screen.safe(frame)}\n")
    if hung["left_out"]:
        screen.write(f"    and {hung['left_out']} more\n")


def one_run(session: Session, given: str) -> dict[str, Any]:
    """Returns a run with scripts and waits.

    Args:
        session: The command's session.
        given: Its id, `last` or `failed`.

    Raises:
        Failure: There is no such run.
        Unreadable: The history can't be read.
    """
    wanted = Wanted(failed=given == "failed")
    run: dict[str, Any] | None = _found(session, "run", wanted, None if given in ("last", "failed") else text(given))
    if run is None:
        what = {"last": "no run that is over", "failed": "no run that failed"}.get(given, f"no run {given}")
        raise Failure(f"the history has {what}; `ctdb-event history` lists them", _UNKNOWN)
    return run


def last_good_before(session: Session, run: dict[str, Any]) -> dict[str, Any]:
    """Returns the latest successful run of the same event, for the same address, that was requested earlier.

    Args:
        session: The command's session.
        run: A run in the history.

    Raises:
        Failure: There is no such run.
        Unreadable: The history can't be read.
    """
    same = {name: run[name] for name in ("component", "event", "address")}
    found = _found(session, "runs", Wanted(**same, until=run["queued"], limit=_MAX_RUNS))
    good = [one["run"] for one in found if one["outcome"] == "success"]
    if not good:
        which = f"of {event_shown(run)} before {run['run']}"
        is_all = len(found) < _MAX_RUNS
        said = f"no run {which} succeeded" if is_all else f"none of the latest {_MAX_RUNS} runs {which} succeeded"
        raise Failure(said, _UNKNOWN)
    return one_run(session, good[-1])


def _slow(session: Session) -> int:
    """Lists statistics of durations."""
    found = _found(session, "slow", _wanted(session, 20))
    heads = ("", "NAME", "EVENT", "COUNT ", "IN ALL ", "MEDIAN ", "95 % ", "LONGEST ")
    return print_list(session, found, found, heads, _slow_row, "The history has no runs of that time.")


def _slow_row(one: dict[str, Any]) -> list[str]:
    times = (f"{one[name]:.3f}s" for name in ("total", "median", "most95", "longest"))
    return [one["kind"], one["name"], one["event"] or "", str(one["count"]), *times]


def reads_history(handler: Callable[[Session], int]) -> Callable[[Session], int]:
    """Decorates a command: a history that can't be read becomes a Failure."""

    def read(session: Session) -> int:
        try:
            return handler(session)
        except Unreadable as error:
            raise Failure(f"can't read the history {error}") from None

    return read


HANDLERS = {"history": reads_history(_history), "show": reads_history(_show), "slow": reads_history(_slow)}
"""The functions that execute the commands, by the commands' words."""
