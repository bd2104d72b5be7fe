"""Checks the declaration of handled events in a script's head for `ctdb-event lint`. Works on text only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from ctdb_event.lint.report import Check, Finding, Severity
from ctdb_eventd.handled import ALL, EVENTS_MARK, bad_event

__all__ = ["check_handled_events", "check_handled_lines", "differences"]

_HEAD = 4096
"""Bytes that `scripts.head_words` reads."""
_MEANT = re.compile(r"\s*#+\s*ctdb[-_ ]?event[-_ ]?d?[-_ ]?events?\s*[:=]", re.IGNORECASE)


def check_handled_lines(text: str) -> Iterator[Finding]:
    """Finds declarations that are not read, and those that are ignored."""
    declared = _declared(text)
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(EVENTS_MARK):
            yield from _check_line(number, line[len(EVENTS_MARK) :].split(), dict(declared))
        elif _MEANT.match(line):
            message = f'this declares no events; expected "{EVENTS_MARK} EVENT" at the line\'s start'
            yield Finding(Severity.WARNING, Check.EVENT_LINE, message, number)


def _check_line(number: int, words: list[str], declared: dict[str, int]) -> Iterator[Finding]:
    every = "so the script is started for every event"
    if not words:
        yield Finding(Severity.ERROR, Check.EVENT_LINE, f"this declares no event, {every}", number)
    for word in words:
        if word not in declared:
            message = f'"{word}" is not declared: only the first {_HEAD} bytes of a script are looked at'
            yield Finding(Severity.WARNING, Check.EVENT_LINE, message, number)
        elif bad_event([word]) is not None:
            message = (
                f'"{word}" is not a valid name of an event, {every}; expected names of events, separated by blanks'
            )
            yield Finding(Severity.ERROR, Check.EVENT_LINE, message, number)


def check_handled_events(text: str, labels: Sequence[tuple[int, str]]) -> Iterator[Finding]:
    """Compares the events that a shell script's head declares with the labels of its `case "$1" in`.

    Args:
        text: The script.
        labels: Each alternative with its line, as a pattern of the shell.
    """
    declared = _declared(text)
    words = [word for word, _ in declared]
    if not declared or ALL in words or bad_event(words) is not None:
        return
    for_nothing, never = differences(words, labels)
    for word in for_nothing:
        message = f'"{word}" is declared, but no case label matches it: the script is started for it needlessly'
        yield Finding(Severity.WARNING, Check.EVENT_DECLARED, message, dict(declared)[word])
    for number, label in never:
        message = f'"{label}" is not declared in line {declared[0][1]}, so this never runs'
        yield Finding(Severity.WARNING, Check.EVENT_DECLARED, message, number)


def differences(events: Iterable[str], labels: Sequence[tuple[int, str]]) -> tuple[list[str], list[tuple[int, str]]]:
    """Compares the events for which a script is started with the labels of its `case "$1" in`.

    Args:
        events: Their names.
        labels: Each alternative with its line, as a pattern of the shell. If there are none, there is no difference:
            the script examines its event in another way.

    Returns:
        The events without a label, and the labels without an event.
    """
    if not labels:
        return [], []
    names = list(dict.fromkeys(events))
    for_nothing = [name for name in names if not any(fnmatchcase(name, label) for _, label in labels)]
    never = [
        (number, label)
        for number, label in labels
        if not label.startswith("-") and not any(fnmatchcase(name, label) for name in names)
    ]
    return for_nothing, never


def _declared(text: str) -> list[tuple[str, int]]:
    """Returns the words of the declarations in the head, with their lines."""
    head = text.encode("utf-8", "surrogateescape")[:_HEAD].decode("utf-8", "replace")
    return [
        (word, number)
        for number, line in enumerate(head.split("\n"), 1)
        if line.startswith(EVENTS_MARK)
        for word in line[len(EVENTS_MARK) :].split()
    ]
