"""Notes as lines: `ctdb-event subscribe`, and `ctdb-event watch` without a screen."""

from __future__ import annotations

from ctdb_event.commands.arguments import optional_text, text
from ctdb_event.commands.lists import event_shown, state_style
from ctdb_event.commands.results import output_lines, print_script, script_ended
from ctdb_event.commands.times import clock, lasting
from ctdb_event.console import Failure, flush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ctdb_event.commands.connection import DaemonConnection
    from ctdb_event.commands.screen import Screen
    from ctdb_event.commands.session import Session
    from ctdb_event.core import Mailbox

__all__ = ["flat", "follow", "print_note", "sentence", "subscribe"]

_INVALID = 22
_ENDS = "finished"
_PAGE = 100
"""Number of runs in each request."""


def subscribe(session: Session) -> int:
    """Prints notes until the daemon exits or Ctrl-C is pressed; the caller handles the latter."""
    values, flags = session.arguments.values, session.arguments.flags
    with session.connect() as connection:
        params = {name: optional_text(values.get(f"--{name}")) for name in ("component", "event", "run", "address")}
        outcomes = values.get("--outcome")
        words = None if outcomes is None else [text(word) for word in outcomes.split(",") if word]
        wanted = {"kinds": _kinds(session), "outcomes": words, "report": "--report" in flags or None, **params}
        since = values.get("--since")
        if since is None:
            return follow(session, connection, connection.start("subscribe", wanted))
        return _follow_since(session, connection, text(since), wanted)


def _follow_since(session: Session, connection: DaemonConnection, run: str, wanted: dict[str, Any]) -> int:
    """Prints the runs that ended after a given run, and then further ends: all from the history, so none is missing.

    Notes only wake this loop, since a slow reader may lose some of them.
    """
    if wanted["kinds"] not in (None, [_ENDS]) or wanted["run"] is not None:
        raise Failure("--since prints only the ends of runs: leave out --run, --output and other --kinds", _INVALID)
    which = {name: wanted[name] for name in ("component", "event", "address")}
    subscription = connection.start("subscribe", {**which, "kinds": [_ENDS]})
    while True:
        while page := connection.call("history", view="ended", run=run, limit=_PAGE, **which):
            for past in page:
                if wanted["outcomes"] is None or past["outcome"] in wanted["outcomes"]:
                    print_note(session, _ENDS, None, _of_the_past(past, wanted["report"]))
            run = page[-1]["run"]
            flush()
        if connection.next_note(subscription) is None:
            return 0
        while subscription.take() is not None:
            pass


def _of_the_past(run: dict[str, Any], report: bool) -> dict[str, Any]:
    """Returns the data that a note of a run's end would have had."""
    # the end of a run whose daemon was killed isn't known
    times = {name: run[name] or 0.0 for name in ("waited", "seconds")}
    names = ("run", "component", "event", "args", "address", "outcome", "summary")
    data = {"time": run["queued"] + sum(times.values()), **{name: run[name] for name in names}, **times}
    return {**data, "report": run} if report else data


def _kinds(session: Session) -> list[str] | None:
    given = session.arguments.values.get("--kinds")
    with_output = "--output" in session.arguments.flags
    if given is not None:
        kinds = [text(kind) for kind in given.split(",") if kind]
        return [*kinds, "output"] if with_output and "output" not in kinds else kinds
    if not with_output:
        return None
    option = next(option for option in session.arguments.command.options if option.name == "--kinds")
    return list(option.words)


def follow(session: Session, connection: DaemonConnection, subscription: Mailbox) -> int:
    """Prints the notes of a subscription as they come, until the broker ends it.

    Args:
        session: Selects the form.
        connection: The subscription's connection.
        subscription: The subscription's mailbox.

    Raises:
        ConnectionLost: The daemon has exited.
    """
    while (note := connection.next_note(subscription)) is not None:
        print_note(session, *note)
        flush()  # a reader of a pipe needs each line at once
    return 0


def print_note(session: Session, kind: str, number: int | None, data: dict[str, Any]) -> None:
    """Prints one note in the requested form; a note from the history has no number."""
    if session.json:
        from ctdb_event.commands.jsonic import line

        session.screen.write(line(flat(kind, number, data)))
    elif session.is_plain:
        session.print_plain([_columns(kind, data)])
    else:
        _print_for_people(session.screen, kind, data)


def flat(kind: str, number: int | None, data: dict[str, Any]) -> dict[str, Any]:
    """Returns a note as one map."""
    return {"note": kind, "number": number, **data}


def _columns(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    result = data.get("summary") if kind == "finished" else data.get("result")
    return {**data, "note": kind, "result": result}


def _print_for_people(screen: Screen, kind: str, data: dict[str, Any]) -> None:
    stamp = screen.paint(clock(data.get("time")), "dim")
    words, style = sentence(kind, data)
    if kind != "output":
        screen.write(f"{stamp} {screen.paint(screen.safe(words), style)}\n")
        for script in (data.get("report") or {}).get("scripts", ()):
            print_script(screen, script)
        return
    for line in output_lines(data["output"]):
        screen.write(f"{stamp} {screen.safe(words)}: {screen.safe(line, chr(9))}\n")


def sentence(kind: str, data: dict[str, Any]) -> tuple[str, str]:
    """Returns a note's text and its style. Unknown kinds (of later versions) are shown by name."""
    event = event_shown(data) if data.get("event") else ""
    script = f"{event}: {data['script']}" if data.get("script") else event
    if kind == "started":
        waited = f" after waiting {lasting(data['waited'])}" if data["waited"] >= 0.05 else ""
        return f"{event}: started{waited} ({data['run']})", "busy"
    if kind == "queued":
        return f"{event}: waits{_behind(data)} ({data['run']})", "dim"
    if kind == "script-started":
        return f"{script}: started as process {data['pid']}", ""
    if kind == "script-finished":
        return f"{script}: {script_ended(data)}", state_style(data["state"])
    if kind == "finished":
        return f"{event}: {data['outcome']} after {lasting(data['seconds'])} ({data['run']})", state_style(
            data["outcome"]
        )
    if kind == "output":
        return script, ""
    return _of_the_node(kind, data)


def _behind(data: dict[str, Any]) -> str:
    return f" behind {data['holder']}" if data.get("holder") else ""


def _of_the_node(kind: str, data: dict[str, Any]) -> tuple[str, str]:
    if kind == "lock-waiting":
        return f"{data['text']}: waits for {', '.join(data['locks'])}{_behind(data)}", "dim"
    if kind == "lock-acquired":
        return f"{data['text']}: has {', '.join(data['locks'])} after {lasting(data['seconds'])}", ""
    if kind == "health":
        if data["healthy"]:
            return f"{data['component']}: healthy", "good"
        return f"{data['component']}: not healthy: {data['script'] or 'monitor'} failed", "bad"
    if kind == "upgraded":
        return f"upgraded to version {data['version']} from {data['former']}", ""
    if kind == "gap":
        return f"{data['lost']} notes were lost here: this reader is too slow", "bad"
    return kind, "dim"
