"""What side by side comes out otherwise than one after another. No I/O.

What isn't the same in every round of addresses alone (process ids, times) can't be compared, and is counted instead.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import attrs

from ctdb_node.rehearsal.observed import ALONE, TOGETHER, EndState, Event, FileState, Round, ScriptRun

__all__ = ["VARYING", "Difference", "differences", "masked"]

_BAD = frozenset({"failed", "killed", "timed-out", "not-started"})
VARYING = re.compile(r"\d{9,}|\d\d:\d\d(:\d\d)?|\d{4}-\d\d-\d\d")
"""Points in time."""
_DIGITS = re.compile(r"\d+")
_MOST_LINES = 5
_FIRST_MAY_DIFFER = 2
"""If there are more rounds than that, the first one needs not be like the others."""


@attrs.frozen(kw_only=True)
class Difference:
    """Something that came out otherwise."""

    what: str
    """A file's path; `addresses`, `routes` and the like; `exit status` or `output`."""
    when: str
    """After which of `takeip` and `releaseip`; for `exit status` and `output` the event."""
    script: str | None
    """Whose it is, if that is known."""
    rounds: int
    """In so many rounds."""
    of: int
    """Of so many."""
    missing: tuple[str, ...] = ()
    """Lines that are there after one another, and not side by side; some of them."""
    added: tuple[str, ...] = ()
    """The reverse."""
    text: str = ""
    """What there is to say besides."""

    @property
    def key(self) -> tuple[str, str, str | None]:
        """The same for the same difference of another pass."""
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
        if differs := [each for each in got if not _agrees(each, expected)]:
            yield _difference(what, when, expected[-1], differs, len(together))


def _steady(values: Sequence[object]) -> bool:
    """Tells whether it was the same in every round, but perhaps the first, which finds less than it leaves."""
    return len(set(values)) == 1 or (len(values) > _FIRST_MAY_DIFFER and len(set(values[1:])) == 1)


def _agrees(lines: Sequence[str], expected: Sequence[Sequence[str]]) -> bool:
    if _steady(expected):
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
        elif bad := [each for each in got if each is not None and not _file_agrees(each, expected)]:
            yield _difference(path, when, lines, [each.lines or () for each in bad], of)
    known = {_DIGITS.sub("#", path) for state in alone for path in state.files}
    new = Counter(path for state in together for path in state.files if _DIGITS.sub("#", path) not in known)
    for path, rounds in sorted(new.items()):
        text = "the file is there only if events run side by side"
        yield Difference(what=path, when=when, script=None, rounds=rounds, of=of, text=text)


def _file_agrees(state: FileState, expected: Sequence[FileState]) -> bool:
    if _steady([(each.kind, each.digest) for each in expected]):
        return (state.kind, state.digest) == (expected[-1].kind, expected[-1].digest)
    if any(each.kind != "file" or each.lines is None for each in expected):
        return True
    numbers = {each.count for each in expected}
    return len(numbers) > 1 or state.count in numbers


def _difference(what: str, when: str, expected: Sequence[str], got: Sequence[Sequence[str]], of: int) -> Difference:
    missing, added = _lost(expected, got[0]), _lost(got[0], expected)
    return Difference(what=what, when=when, script=None, rounds=len(got), of=of, missing=missing, added=added)


def _lost(from_these: Iterable[str], to_those: Iterable[str]) -> tuple[str, ...]:
    return tuple((Counter(from_these) - Counter(to_those)).elements())[:_MOST_LINES]


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
        if script.state in _BAD and not any(each.state in _BAD for each in expected):
            failed.setdefault(place, []).append((event, script))
        elif script.state == "ok" and not _prints_alike(script, expected):
            printed.setdefault(place, []).append((event, script))
    for what, found in (("exit status", failed), ("output", printed)):
        for (name, when), runs in sorted(found.items()):
            event, script = runs[0]
            rounds = len({each.round for each, _ in runs})
            text = _says(what, len(runs), event, script)
            yield Difference(what=what, when=when, script=name, rounds=rounds, of=of, text=text)


def _runs(events: Sequence[Event], kind: str) -> Iterator[tuple[Event, ScriptRun]]:
    return ((event, script) for event in events if event.kind == kind for script in event.scripts)


def _prints_alike(script: ScriptRun, expected: Sequence[ScriptRun]) -> bool:
    before = {masked(each.output) for each in expected if each.state == "ok"}
    return len(before) != 1 or masked(script.output) in before


def masked(text: str) -> str:
    """Returns a text in which points in time are all the same, and the order of lines doesn't count."""
    return "\n".join(sorted(VARYING.sub("#", text).split("\n")))


def _says(what: str, times: int, event: Event, script: ScriptRun) -> str:
    words = " ".join((event.event, *event.args))
    output = " ".join(script.output.split())[:200] or "nothing"
    if what == "output":
        return f"{times} times, for instance `{words}` printed: {output}"
    how = f"exit status {script.result}" if script.state == "failed" else script.state
    return f"{times} times, for instance `{words}`: {how}; it printed: {output}"
