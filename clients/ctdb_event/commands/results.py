"""`ctdb-event results`: the latest results of events."""

from __future__ import annotations

from ctdb_event.commands.arguments import optional_text, text
from ctdb_event.commands.lists import event_shown, origin_shown, state_style, waited_shown
from ctdb_event.commands.times import at, lasting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ctdb_event.commands.screen import Screen
    from ctdb_event.commands.session import Session

__all__ = [
    "failed_scripts",
    "is_bad",
    "outcome_shown",
    "output_lines",
    "print_script",
    "print_scripts",
    "results",
    "script_ended",
    "script_outcome",
]

_HEADS = ("EVENT", "ADDRESS", "OUTCOME", "STARTED", "TOOK ", "WAITED ", "SCRIPTS THAT FAILED")
_DID_NOT_RUN = ("disabled", "not-reached", "not-handled", "not-started")
_BAD = ("failed", "killed", "timed-out", "not-started")


def results(session: Session) -> int:
    """Prints the latest results."""
    arguments = session.arguments
    component, event = arguments.operand(0), arguments.operand(1)
    address = arguments.values.get("--address")
    if component is not None and event is None:
        session.ask("scripts", component=text(component))  # fails if there is no such component; `status` doesn't
    found = session.ask(
        "status",
        component=optional_text(component),
        event=optional_text(event),
        address=optional_text(address),
        addresses="--addresses" in arguments.flags,
        output=event is not None,
    )["results"]
    if session.json:
        session.print_json(found)
    elif session.is_plain:
        session.print_plain(_script_lines(found) if event is not None else found)
    elif not found:
        session.screen.write(session.screen.safe(_nothing(component, event, address)) + "\n")
    elif event is not None:
        print_scripts(session.screen, found)
    else:
        session.screen.table(_HEADS, [_run(run) for run in found])
    return 0


def _nothing(component: str | None, event: str | None, address: str | None) -> str:
    what = "No event" if event is None else f"No {event}"
    where = "" if component is None else f" of {component}"
    whom = "" if address is None else f" for {address}"
    return f"{what}{where}{whom} has completed since the daemon started."


def _script_lines(runs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for run in runs:
        for script in run["scripts"] or [{}]:
            renamed = {"script": script.get("name"), "script_seconds": script.get("seconds")}
            yield {**script, **run, **renamed}


def _run(run: dict[str, Any]) -> list[str | tuple[str, str]]:
    return [
        *(event_shown(run), run["address"] or "", (_outcome(run), state_style(run["outcome"]))),
        *(at(run["queued"] + run["waited"]), lasting(run["seconds"]), waited_shown(run), failed_scripts(run)),
    ]


def failed_scripts(run: dict[str, Any]) -> str:
    """Lists the scripts that made a run fail, each with its result."""
    return ", ".join(f"{script['name']}: {script_outcome(script)}" for script in run["scripts"] if is_bad(script))


def _outcome(run: dict[str, Any]) -> str:
    return f"{run['outcome']}, by a former daemon" if run.get("former") else str(run["outcome"])


def is_bad(script: dict[str, Any]) -> bool:
    """Returns whether a script made its event fail."""
    return script["state"] in _BAD


def script_outcome(script: dict[str, Any]) -> str:
    """Returns a script's result as text."""
    if script["state"] == "failed":
        return f"exit status {script['result']}"
    if script["state"] == "not-handled":
        return "does not handle this event"
    if last := script.get("last"):
        return f"not reached; {last['state']} at {at(last['ended'])}"
    return str(script["state"])


def script_ended(script: dict[str, Any]) -> str:
    """Returns a script's result as text, and its duration if it ran."""
    took = "" if script["state"] in _DID_NOT_RUN else f" after {lasting(script['seconds'])}"
    return script_outcome(script) + took


def outcome_shown(run: dict[str, Any]) -> str:
    """Returns a run's result as text, and its duration."""
    former = ", by a former daemon" if run.get("former") else ""
    return f"{event_shown(run)}: {run['outcome']} after {lasting(run['seconds'])}{former}"


def print_scripts(screen: Screen, runs: list[dict[str, Any]]) -> None:
    """Prints runs with their scripts, and the scripts' output."""
    for position, run in enumerate(runs):
        if position:
            screen.write("\n")
        started = at(run["queued"] + run["waited"])
        head = f"{outcome_shown(run)}, started {started}, run {run['run']}"
        screen.write(screen.paint(screen.safe(head), state_style(run["outcome"])) + "\n")
        for script in run["scripts"]:
            print_script(screen, script)


def print_script(screen: Screen, script: dict[str, Any]) -> None:
    """Prints a script's result and output."""
    outcome = screen.paint(f"{script_outcome(script):18}", state_style(script["state"]))
    took = "" if script["state"] in _DID_NOT_RUN else f"{lasting(script['seconds'])}, started {at(script['started'])}"
    if known_from := script.get("known_from"):
        took = f"({origin_shown(known_from)})"
    screen.write(f"  {screen.safe(script['name']):20} {outcome} {took}".rstrip(" ") + "\n")
    if hung := script.get("hung"):
        screen.write(f"      {screen.paint(screen.safe('hung: ' + hung['summary']), 'head')}\n")
    for line in output_lines(script["output"]):
        screen.write(f"      {screen.safe(line, chr(9))}\n")


def output_lines(output: bytes) -> list[str]:
    """Splits a script's output into lines, without empty lines at its end."""
    return output.rstrip(b"\n").decode("utf-8", "surrogateescape").split("\n") if output.strip(b"\n") else []
