"""The short commands: lists and single requests. `ps --plain` is here, so it imports no other module."""

from __future__ import annotations

import time

from ctdb_event.commands.screen import arguments_shown
from ctdb_event.commands.times import at, lasting
from ctdb_event.console import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from ctdb_event.commands.session import Session

__all__ = [
    "HANDLERS",
    "event_shown",
    "left_out_lines",
    "lock_lines",
    "origin_shown",
    "state_style",
    "waited_shown",
    "waits_shown",
]

_STYLES = {
    **{"success": "good", "ok": "good", "enabled": "good", "running": "busy", "ending": "busy"},
    **{"failed": "bad", "timed-out": "bad", "cancelled": "dim", "disabled": "dim", "queued": "dim", "refused": "dim"},
    **{"killed": "bad", "not-started": "bad", "not-reached": "dim", "not-handled": "dim"},
}


_KNOWN_FROM = {
    "head": "declared in its head",
    "configuration": "set by [events] in ctdb.conf",
    "table": "a script of CTDB, recognised by its content",
}


def origin_shown(known_from: str) -> str:
    """Returns how it is known that a script doesn't handle an event."""
    return _KNOWN_FROM.get(known_from, known_from)


def state_style(state: str) -> str:
    """Returns the style of a state or an outcome."""
    return _STYLES.get(state, "")


def event_shown(run: dict[str, Any]) -> str:
    """Returns component, event and arguments of a run or job."""
    return arguments_shown([run["component"], run["event"], *run["args"]])


def waits_shown(job: dict[str, Any]) -> str:
    """Returns what a job waits for."""
    more: int = job.get("waits_for_more", 0)
    return " ".join((*job["waits_for"], f"and {more} more")) if more else " ".join(job["waits_for"])


def waited_shown(run: dict[str, Any]) -> str:
    """Returns how long a run or job waited, before its start and in its scripts."""
    waited: float | None = run.get("waited")
    return "" if waited is None else lasting(waited + run.get("script_waits", 0.0))


def left_out_lines(status: dict[str, Any]) -> Iterator[str]:
    """Yields a line for each component with more jobs than the reply to `status` lists."""
    for left in status.get("more", ()):
        counts = [f"{left[state]} {state}" for state in ("running", "queued") if left[state]]
        yield f"and {' and '.join(counts)} more in {left['component']}, the oldest since {at(left['oldest'])}"


def print_list(
    session: Session,
    value: Any,
    items: Sequence[dict[str, Any]],
    heads: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[str | tuple[str, str]]],
    nothing: str,
) -> int:
    """Prints a list in the requested form; if it is empty, prints `nothing` for users."""
    if session.json:
        session.print_json(value)
    elif session.is_plain:
        session.print_plain(items)
    elif items:
        session.screen.table(heads, [row(item) for item in items])
    else:
        session.screen.write(nothing + "\n")
    return 0


def _ps(session: Session) -> int:
    status = session.ask("status")
    jobs = status["jobs"]
    heads = ("RUN", "STATE", "EVENT", "AGE ", "WAITED ", "LEFT ", "SCRIPT", "SINCE ", "PID ", "WAITS FOR")
    print_list(session, jobs, jobs, heads, _job, "Nothing runs or waits.")
    for line in left_out_lines(status):
        if session.json or session.is_plain:
            complain(f"ctdb-event: {line}")
        else:
            session.screen.write(session.screen.safe(line) + "\n")
    return 0


def _job(job: dict[str, Any]) -> list[str | tuple[str, str]]:
    left = lasting(job["left"]) if job["timeout"] else "no limit"
    return [
        *(job["run"], (job["state"], state_style(job["state"])), event_shown(job), lasting(job["age"])),
        *(waited_shown(job), left),
        *(job["script"] or "", lasting(job["script_seconds"]), str(job["pid"] or ""), waits_shown(job)),
    ]


def _components(session: Session) -> int:
    found = session.ask("components")
    heads = ("COMPONENT", "SCRIPTS ", "ENABLED ", "DIRECTORY", "")
    return print_list(session, found, found, heads, _component, "There are no components.")


def _component(item: dict[str, Any]) -> list[str | tuple[str, str]]:
    error = (item["error"] or "", "bad")
    return [item["name"], str(item["scripts"]), str(item["enabled"]), item["directory"], error]


def _events(session: Session) -> int:
    found = session.ask("events")
    heads = ("EVENT", "MODE", "ARGUMENTS")
    return print_list(session, found, found, heads, _event, "There are no events.")


def _event(item: dict[str, Any]) -> list[str | tuple[str, str]]:
    return [item["name"], item["mode"], " ".join(f"<{name}>" for name in item["args"])]


def _locks(session: Session) -> int:
    found = session.ask("locks")
    heads = ("LOCK", "ROLE", "SINCE ", "OWNER", "RUN", "PID ")
    return print_list(session, found, list(lock_lines(found)), heads, _lock_line, "No lock is held.")


def lock_lines(locks: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields a line for each owner of each lock: its holder first, then its waiters, in order."""
    for lock in locks:
        named = {"name": lock["name"], "kind": lock["kind"]}
        if lock["holder"] is not None:
            yield {**lock["holder"], **named, "role": "holder"}
        for owner in lock["waiting"]:
            yield {**owner, **named, "role": "waiting"}
        if lock.get("waiting_more"):
            nobody = {"run": None, "lock": None, "pid": None, "since": None, "seconds": None}
            yield {**nobody, "text": f"and {lock['waiting_more']} more", **named, "role": "more"}


def _lock_line(line: dict[str, Any]) -> list[str | tuple[str, str]]:
    style = "busy" if line["role"] == "holder" else "dim"
    pid = str(line["pid"]) if line["pid"] is not None else ""
    return [line["name"], (line["role"], style), lasting(line["seconds"]), line["text"], line["run"] or "", pid]


def _stats(session: Session) -> int:
    found = session.ask("stats")
    items = list(_figures(found))
    return print_list(session, found, items, ("FIGURE", "VALUE"), _figure, "")


def _figures(stats: dict[str, Any], prefix: str = "") -> Iterator[dict[str, Any]]:
    for name, value in stats.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{prefix}{name}.")
        else:
            yield {"name": prefix + name, "value": value}


def _figure(item: dict[str, Any]) -> list[str | tuple[str, str]]:
    name, value = item["name"], item["value"]
    if name == "started":
        shown = at(value)
    elif name == "uptime":
        shown = lasting(value)
    elif name == "memory":
        shown = f"{value / (1 << 20):.1f} MiB"
    else:
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
    return [name, shown]


def _ping(session: Session) -> int:
    with session.connect() as wire:
        hello = wire.call("hello", client="ctdb-event")
        begin = time.monotonic()
        wire.call("ping")
    item = {"server": hello["server"], "pid": hello["pid"], "seconds": time.monotonic() - begin}
    if session.json:
        session.print_json(item)
    elif session.is_plain:
        session.print_plain([item])
    else:
        shown = session.screen.safe(item["server"])
        session.screen.write(f"{shown}, process {item['pid']}, answers in {item['seconds'] * 1000:.2f} ms\n")
    return 0


def _reload(session: Session) -> int:
    found = session.ask("reload")
    if session.json:
        session.print_json(found)
        return 0
    for warning in found["warnings"]:
        session.screen.write(f"warning: {session.screen.safe(warning)}\n")
    session.screen.write("The configuration was reloaded.\n")
    return 0


def _upgrade(session: Session) -> int:
    cancel = "--cancel" in session.arguments.flags
    found = session.ask("upgrade", cancel=cancel)
    if session.json:
        session.print_json(found)
    elif cancel:
        session.screen.write("The upgrade was cancelled; the daemon continues as before.\n")
    else:
        version, former = session.screen.safe(found["version"]), session.screen.safe(found["former"])
        session.screen.write(
            f"Upgraded to version {version} from {former}: waited {found['waited']:.1f} s for running events, "
            f"then did not answer for {found['seconds']:.3f} s.\n"
        )
    return 0


HANDLERS: dict[str, Callable[[Session], int]] = {
    "ps": _ps,
    "components": _components,
    "events": _events,
    "locks": _locks,
    "stats": _stats,
    "ping": _ping,
    "reload": _reload,
    "upgrade": _upgrade,
}
"""The functions that execute these commands; they return the exit status."""
