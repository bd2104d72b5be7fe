"""Turns a rehearsal's observations into findings for the administrator, each with advice. No I/O."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from ctdb_node.rehearsal.comparison import BAD_STATES, Difference, differences
from ctdb_node.rehearsal.forecast import Forecast, forecast
from ctdb_node.rehearsal.observed import Event, Observations

__all__ = ["Finding", "Trial", "candidates", "findings", "is_of_system", "lock_name"]

_ENDS_CTDBD = frozenset({"init", "setup"})
_MAY_START_SERVICES = frozenset({"init", "setup", "startup"})
"""A process that one of these events leaves running may be a service."""
_SITE_DIRECTORIES = tuple(f"/{name}/" for name in "etc home mnt opt root run srv tmp var dev".split())
_SHORTEST_WAIT = 0.1
_LOOKS_AT_SERVICES = re.compile(
    r"\b(ctdb_check_\w+|nfs_check_\w+|service|systemctl|killall|pgrep|pidof|rpcinfo|wbinfo)\b"
)


@attrs.frozen(kw_only=True)
class Finding:
    """Something that the administrator should know before the node is used."""

    problem: bool
    """The node is not ready; otherwise the finding is information only."""
    kind: str
    """A stable word: `fails`, `differs`, `waits`, `leaves`, `elsewhere`, `lint`, `time`, `interface`, `unanswered`,
    `removes`."""
    script: str | None
    """The script that it is about; None if it is about no script, or if that isn't known."""
    text: str
    """What was found."""
    advice: str = ""
    """What to do."""
    details: tuple[str, ...] = ()
    """Lines of evidence, such as a script's output."""


@attrs.frozen(kw_only=True)
class Trial:
    """The result of a pass in which some scripts had an additional lock."""

    locks: Mapping[str, str]
    """Script → its additional lock."""
    remaining: tuple[Difference, ...]
    """The differences that remained."""


def lock_name(script: str, taken: Collection[str]) -> str:
    """Returns the name of a lock for a script: the script's name without the number, or with it if that is taken."""
    short = re.sub(r"^\d\d\.", "", script)
    return short if short and short not in taken else script


def candidates(seen: Observations, found: Sequence[Difference]) -> tuple[str, ...]:
    """Returns the scripts for which a lock might remove the differences, the likeliest first.

    Only scripts that run for address events are candidates. First come scripts whose result differs, then scripts that
    mention a file that differs, then the site's own scripts, then CTDB's.
    """
    run = {
        script.name
        for event in seen.events
        if event.address is not None
        for script in event.scripts
        if script.state not in ("not-handled", "disabled", "not-reached")
    }
    names = [each.what.rpartition("/")[2] for each in found if "/" in each.what]
    known = {each.script for each in found}

    def order(script: str) -> tuple[bool, bool, bool, str]:
        text = seen.texts.get(script, "")
        return script not in known, not any(name in text for name in names), script in seen.known, script

    return tuple(sorted(run, key=order))


def findings(
    seen: Observations, trials: Sequence[Trial], budget: float, absent: Sequence[str] = (), timeout: int = 30
) -> tuple[Finding, ...]:
    """Judges a rehearsal: problems first.

    Args:
        seen: What was observed.
        trials: The passes with additional locks.
        budget: Seconds that ctdbd gives a takeover run.
        absent: Interfaces that `public_addresses` names and that this machine doesn't have.
        timeout: Seconds that an event may take.
    """
    found = [
        *_failures(seen, timeout),
        *_differing(seen, trials),
        *_waits(seen),
        *_leftovers(seen),
        *_removed(seen),
        *_linted(seen.lint),
        *_time(forecast(seen.rounds, budget)),
        *(_absent(name) for name in absent),
        *_unanswered(seen),
    ]
    return tuple(sorted(found, key=lambda each: not each.problem))


def _failures(seen: Observations, timeout: int) -> Iterator[Finding]:
    """Scripts that fail though nothing runs beside them."""
    failed: dict[tuple[str, str], list[tuple[Event, str, str]]] = {}
    for event in seen.events:
        if event.kind in ("", "alone"):
            for script in event.scripts:
                if script.state in BAD_STATES:
                    how = f"exit status {script.result}" if script.state == "failed" else script.state
                    failed.setdefault((script.name, event.event), []).append((event, how, script.output))
            if not event.scripts and event.outcome != "success":
                failed.setdefault(("", event.event), []).append((event, event.outcome, ""))
    for (name, event_name), runs in failed.items():
        event, how, output = runs[0]
        words = " ".join((event.event, *event.args))
        times = f", {len(runs)} times" if len(runs) > 1 else ""
        advice = {"timed-out": f"it took more than {timeout} s (EventScriptTimeout): see what it waits for"}.get(
            how, "correct the script, or what it needs: see its output"
        )
        if event_name in _ENDS_CTDBD:
            advice += f"; ctdbd would end, as {event_name} must succeed"
        subject = f"{name} fails" if name else "no script can run"
        stubbed = event_name == "monitor" and _LOOKS_AT_SERVICES.search(seen.texts.get(name, "")) is not None
        if stubbed:
            advice = "it looks at services, which are not running in a rehearsal: check whether that is the only reason"
        yield Finding(
            problem=not stubbed,
            kind="fails",
            script=name or None,
            text=f"{subject} in `{words}`: {how}{times}",
            advice=advice,
            details=tuple(output.splitlines()[:5]),
        )


def _differing(seen: Observations, trials: Sequence[Trial]) -> Iterator[Finding]:
    for each in differences(seen.rounds, seen.events):
        mended = [trial for trial in trials if each.key not in {left.key for left in trial.remaining}]
        helps = min(mended, key=lambda trial: len(trial.locks)) if mended else None
        script = each.script or (next(iter(helps.locks)) if helps is not None and len(helps.locks) == 1 else None)
        yield Finding(
            # scripts that print something else but have the same result do no harm
            problem=each.what != "output",
            kind="differs",
            script=script,
            text=_what_differs(each),
            advice=_what_helps(each, helps, trials, seen),
            details=(
                *(f"missing: {line}" for line in each.missing),
                *(f"only side by side: {line}" for line in each.added),
            ),
        )


def _what_differs(each: Difference) -> str:
    often = f"in {each.rounds} of {each.of} rounds" if each.rounds < each.of or each.of == 1 else "in every round"
    if each.what in ("exit status", "output"):
        return f"{each.script} has another {each.what} side by side than one after another, {often}: {each.text}"
    text = f": {each.text}" if each.text else ""
    return f"{each.what} differs after `{each.when}` side by side from one after another, {often}{text}"


def _what_helps(each: Difference, helps: Trial | None, trials: Sequence[Trial], seen: Observations) -> str:
    if helps is not None:
        lines = "; ".join(_line(script, lock, seen) for script, lock in helps.locks.items())
        return f"{lines}. Tried: then it is the same in every round"
    if trials:
        tried = ", ".join(sorted({script for trial in trials for script in trial.locks}))
        return (
            f"a lock doesn't help, tried for {tried}: another process has a part in it, or the script depends on the "
            "order of addresses"
        )
    return "no lock was tried"


def _line(script: str, lock: str, seen: Observations) -> str:
    if script in seen.known:
        return f"add `{lock} = {script}` to `[locks]` in ctdb.conf, as the script is CTDB's own"
    return f"add the line `# ctdb-eventd-locks: {lock}` to the beginning of {script}"


def _waits(seen: Observations) -> Iterator[Finding]:
    """Waits for file locks inside of scripts. Waits for the daemon's locks are no finding: they use no event time."""
    spent: dict[tuple[str, str], list[float]] = {}
    for event in seen.events:
        for wait in event.waits:
            if wait.what.startswith("/"):
                spent.setdefault((wait.script, wait.what), []).append(wait.seconds)
    for (script, what), seconds in sorted(spent.items()):
        if max(seconds) < _SHORTEST_WAIT:
            continue
        if script in seen.known:
            advice = "nothing to do: the script is CTDB's own; such waiting uses the event's time"
        else:
            advice = (
                "such waiting uses the event's time. If most of the script needs the lock, "
                f"{_line(script, lock_name(script, seen.locks), seen)}: then the event daemon waits, which doesn't"
            )
        times = f"at most {max(seconds):.1f} s, {sum(seconds):.1f} s in all"
        yield Finding(
            problem=False,
            kind="waits",
            script=script,
            text=f"{script} waits for its own lock on {what}: {times}",
            advice=advice,
        )


def _leftovers(seen: Observations) -> Iterator[Finding]:
    for each in seen.leftovers:
        times = f" ({each.count} of them)" if each.count > 1 else ""
        if not each.lasting:
            advice = "nothing to do if that is meant: it ended by itself, but later than its event"
        elif each.event in _MAY_START_SERVICES:
            advice = "nothing to do if that is a service"
        else:
            advice = "have the script wait for it, or end it"
        yield Finding(
            problem=each.lasting and each.event not in _MAY_START_SERVICES,
            kind="leaves",
            script=each.script,
            text=f"{each.script or 'a script'} leaves a process running in `{each.event}`: {each.command}{times}",
            advice=advice,
        )


def is_of_system(path: str) -> bool:
    """Returns whether a file is part of the system, so that no event script should remove it."""
    return not path.startswith(_SITE_DIRECTORIES)


def _removed(seen: Observations) -> Iterator[Finding]:
    states = [state for each in seen.rounds for state in (each.taken, each.released)]
    paths = {path for state in states for path, file in state.files.items() if file.kind == "removed"}
    for path in sorted(paths):
        if is_of_system(path):
            yield Finding(
                problem=True,
                kind="removes",
                script=None,
                text=f"a script removes {path}",
                advice="look for an `rm` with a variable that is empty here, and may be on the node",
            )


def _linted(lint: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for each in lint:
        if each["check"] == "name-bare":
            yield Finding(
                problem=False,
                kind="elsewhere",
                script=each["script"],
                text=f"{each['file']} runs here, but not with CTDB's own daemon, which wants names in .script",
                advice="rename it if you may go back to CTDB's daemon",
            )
        elif each["severity"] in ("error", "warning"):
            place = f"{each['file']}:{each['line']}" if each["line"] else each["file"]
            yield Finding(
                problem=each["severity"] == "error",
                kind="lint",
                script=each["script"],
                text=f"{place}: {each['message']}",
                advice=f"see `ctdb-event lint`, [{each['check']}]",
            )


def _time(found: Forecast | None) -> Iterator[Finding]:
    if found is not None and not found.fits:
        yield Finding(
            problem=True,
            kind="time",
            script=None,
            text=f"to release and take {found.addresses} addresses takes {found.total:.1f} s; ctdbd gives "
            f"{found.budget:g} s (3 times TakeoverTimeout)",
            advice="make the most expensive script faster, have fewer addresses on a node, or raise TakeoverTimeout",
        )


def _absent(name: str) -> Finding:
    return Finding(
        problem=True,
        kind="interface",
        script=None,
        text=f"public_addresses names the interface {name}, which this machine doesn't have; the rehearsal gave it one",
        advice="correct the file, or rehearse on the node itself: ctdbd doesn't start with it",
    )


def _unanswered(seen: Observations) -> Iterator[Finding]:
    for asked, _ in Counter(seen.unanswered).items():
        yield Finding(
            problem=False,
            kind="unanswered",
            script=None,
            text=f"a script called `ctdb {asked}`, which a rehearsal can't answer; it got exit status 1",
            advice="if a script fails for that alone, try it in a test cluster",
        )
