"""Compares rounds whose events ran side by side with rounds whose events ran one after another. No I/O.

Lines that vary between the rounds with one event at a time (process ids, times) can't be compared; only their number
is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import attrs

from ctdb_node.rehearsal.observed import ALONE, TOGETHER, EndState, Event, FileState, Round, ScriptRun

__all__ = ["BAD_STATES", "VARYING", "Difference", "differences", "masked"]

BAD_STATES = frozenset({"failed", "killed", "timed-out", "not-started"})
VARYING = re.compile(r"\d{9,}|\d\d:\d\d(:\d\d)?|\d{4}-\d\d-\d\d")
"""Points in time, which are not compared."""
_DIGITS = re.compile(r"\d+")
_MAX_LINES = 5
_FIRST_MAY_DIFFER = 2
"""If there are more rounds than that, the first one may differ from the others."""


@attrs.frozen(kw_only=True)
class Difference:
    """A result that differs."""

    what: str
    """A file's path; `addresses`, `routes` and the like; `exit status` or `output`."""
    when: str
    """After which of `takeip` and `releaseip`; for `exit status` and `output` the event."""
    script: str | None
    """The script that caused it, if that is known."""
    rounds: int
    """The number of rounds in which it differs."""
    of: int
    """The number of rounds that were compared."""
    missing: tuple[str, ...] = ()
    """The first lines that are there one after another, but not side by side."""
    added: tuple[str, ...] = ()
    """The first lines that are there side by side, but not one after another."""
    text: str = ""
    """Further explanation."""

    @property
    def key(self) -> tuple[str, str, str | None]:
        """Identifies the difference, so that it is found again in another pass."""
        return self.what, self.when, self.script


def differences(rounds: Sequence[Round], events: Sequence[Event]) -> tuple[Difference, ...]:
    """Compares the rounds of each kind.

    Args:
        rounds: All rounds, of every kind.
        events: All events.
    """
    alone = [each for each in rounds if each.kind == ALONE]
    together = [each for each in rounds if each.kind == TOGETHER]
    if not alone or not together:
        return ()
    found: list[Difference] = []
    for when in ("takeip", "releaseip"):
        before, after = [_state(each, when) for each in alone], [_state(each, when) for each in together]
        found += _network(before, after, when)
        found += _files(before, after, when)
    return (*found, *_scripts(events, len(together)))


def _state(of: Round, when: str) -> EndState:
    return of.taken if when == "takeip" else of.released


def _network(alone: Sequence[EndState], together: Sequence[EndState], when: str) -> Iterator[Difference]:
    for what in sorted({each for state in (*alone, *together) for each in state.network}):
        expected = [state.network.get(what, ()) for state in alone]
        got = [state.network.get(what, ()) for state in together]
        if differs := [each for each in got if not _matches(each, expected)]:
            yield _difference(what, when, expected[-1], differs, len(together))


def _is_stable(values: Sequence[object]) -> bool:
    """Returns whether all rounds had the same value; the first may differ, as it starts from a clean system."""
    return len(set(values)) == 1 or (len(values) > _FIRST_MAY_DIFFER and len(set(values[1:])) == 1)


def _matches(lines: Sequence[str], expected: Sequence[Sequence[str]]) -> bool:
    if _is_stable(expected):
        return lines == expected[-1]
    numbers = {len(each) for each in expected}
    return len(numbers) > 1 or len(lines) in numbers


def _files(alone: Sequence[EndState], together: Sequence[EndState], when: str) -> Iterator[Difference]:
    of = len(together)
    steady = set.intersection(*(set(state.files) for state in alone))
    for path in sorted(steady):
        expected = [state.files[path] for state in alone]
        got = [state.files.get(path) for state in together]
        lines = expected[-1].lines or ()
        missing = sum(each is None for each in got)
        if missing:
            text = "the file isn't there"
            yield Difference(what=path, when=when, script=None, rounds=missing, of=of, missing=lines[:5], text=text)
        elif bad := [each for each in got if each is not None and not _file_matches(each, expected)]:
            yield _difference(path, when, lines, [each.lines or () for each in bad], of)
    known = {_DIGITS.sub("#", path) for state in alone for path in state.files}
    new = Counter(path for state in together for path in state.files if _DIGITS.sub("#", path) not in known)
    for path, rounds in sorted(new.items()):
        text = "the file is there only if events run side by side"
        yield Difference(what=path, when=when, script=None, rounds=rounds, of=of, text=text)


def _file_matches(state: FileState, expected: Sequence[FileState]) -> bool:
    if _is_stable([(each.kind, each.digest) for each in expected]):
        return (state.kind, state.digest) == (expected[-1].kind, expected[-1].digest)
    if any(each.kind != "file" or each.lines is None for each in expected):
        return True
    numbers = {each.count for each in expected}
    return len(numbers) > 1 or state.count in numbers


def _difference(what: str, when: str, expected: Sequence[str], got: Sequence[Sequence[str]], of: int) -> Difference:
    missing, added = _missing_lines(expected, got[0]), _missing_lines(got[0], expected)
    return Difference(what=what, when=when, script=None, rounds=len(got), of=of, missing=missing, added=added)


def _missing_lines(lines: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    return tuple((Counter(lines) - Counter(others)).elements())[:_MAX_LINES]


def _scripts(events: Sequence[Event], of: int) -> Iterator[Difference]:
    alone: dict[tuple[str, tuple[str, ...], str], list[ScriptRun]] = {}
    for event, script in _runs(events, ALONE):
        alone.setdefault((event.event, event.args, script.name), []).append(script)
    failed: dict[tuple[str, str], list[tuple[Event, ScriptRun]]] = {}
    printed: dict[tuple[str, str], list[tuple[Event, ScriptRun]]] = {}
    for event, script in _runs(events, TOGETHER):
        expected = alone.get((event.event, event.args, script.name), [])
        if not expected or script.state in ("not-reached", "disabled"):
            continue
        place = script.name, event.event
        if script.state in BAD_STATES and not any(each.state in BAD_STATES for each in expected):
            failed.setdefault(place, []).append((event, script))
        elif script.state == "ok" and not _same_output(script, expected):
            printed.setdefault(place, []).append((event, script))
    for what, found in (("exit status", failed), ("output", printed)):
        for (name, when), runs in sorted(found.items()):
            event, script = runs[0]
            rounds = len({each.round for each, _ in runs})
            text = _describe(what, len(runs), event, script)
            yield Difference(what=what, when=when, script=name, rounds=rounds, of=of, text=text)


def _runs(events: Sequence[Event], kind: str) -> Iterator[tuple[Event, ScriptRun]]:
    return ((event, script) for event in events if event.kind == kind for script in event.scripts)


def _same_output(script: ScriptRun, expected: Sequence[ScriptRun]) -> bool:
    before = {masked(each.output) for each in expected if each.state == "ok"}
    return len(before) != 1 or masked(script.output) in before


def masked(text: str) -> str:
    """Returns a text for comparison: points in time are replaced by `#`, and lines are sorted."""
    return "\n".join(sorted(VARYING.sub("#", text).split("\n")))


def _describe(what: str, times: int, event: Event, script: ScriptRun) -> str:
    words = " ".join((event.event, *event.args))
    output = " ".join(script.output.split())[:200] or "nothing"
    if what == "output":
        return f"{times} times, for instance `{words}` printed: {output}"
    how = f"exit status {script.result}" if script.state == "failed" else script.state
    return f"{times} times, for instance `{words}`: {how}; it printed: {output}"
