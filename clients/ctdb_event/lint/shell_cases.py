"""Finds the labels of `case "$1" in` in a shell script, with their lines. Works on text only.

Parses lines and a few words, not the shell's whole grammar. After a label that it can't parse it stops: no result is
better than a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ctdb_event.lint.outdated import code_lines

__all__ = ["event_labels"]

_STEP = re.compile(
    r"""\\.|'[^']*'|(?<!<)<<-?\s*["'\\]?(?P<here>[A-Za-z_]\w*)|"""
    r"""(?<![^\s;&|(){}`])(?:(?P<case>case)\s+(?P<subject>"[^"]*"|\S+)\s+in|(?P<end>esac))(?![^\s;&|)`])|"""
    r""""(?:\\.|[^"\\])*"|(?P<next>;;&?|;&)"""
)
_LABEL = re.compile(
    r"""\s*(?:(?P<end>esac(?![^\s;&|)`]))|(?:\(\s*)?(?P<text>"[^"]*"|'[^']*'|[^\s()|;&]+)\s*(?P<after>[|)]))"""
)
_NAME = re.compile(r"""(["']?)([\w.*?-]+)\1""")
_FUNCTION = re.compile(r"([ \t]*)(?:(?:function\s+)?[\w-]+\s*\(\s*\)|function\s)")
_FIRST_ARGUMENT = re.compile(r'"?\$(?:1|\{1(?::?-[^}"]*)?\})"?')
_VARIABLE = re.compile(r'"?\$\{?(\w+)(?::?-[^}"]*)?\}?"?')
_ASSIGNMENT = re.compile(r"\b([A-Za-z_]\w*)=([^\s;]*)")
_CHANGES_ARGUMENTS = re.compile(
    r"(?:^|[;&|(){}]|\b(?:then|else|do)\s)\s*(?:shift\b|set\s+(?:[-+]\w+\s+)*?(?:--?(?![^\s;])|(?<=set\s)[^-+\s;&|]))"
)


def event_labels(text: str) -> Iterator[tuple[int, str]]:
    """Yields the labels in which a shell script compares its first argument, with their lines, without quotes.

    `case "$event" in` counts too if `event="$1"` came before. In a function, $1 is something else.
    """
    in_function, here, label_next = False, "", False
    ends_function: tuple[str, ...] = ()
    events = {"1"}  # variables that hold the event
    open_cases: list[bool] = []  # for each: whether it compares the event
    for number, line in code_lines(text):
        if here:
            here = "" if line.lstrip("\t") == here else here
            continue
        head = None if in_function else _FUNCTION.match(line)
        if head:
            in_function, ends_function = True, (head[1] + "}", head[1] + ")")
        elif in_function and line.startswith(ends_function):
            in_function = False
        _follow_variables(line, events, in_function)
        at = 0
        while at < len(line):
            if label_next:
                label = _LABEL.match(line, at)
                if label is None:
                    if line[at:].strip() in ("", "\\"):
                        break
                    return
                at = label.end()
                if label["end"]:
                    open_cases.pop()
                elif open_cases[-1] and (name := _NAME.fullmatch(label["text"])):
                    yield number, name[2]
                label_next = label["after"] == "|"
                continue
            step = _STEP.search(line, at)
            if step is None:
                break
            at = step.end()
            here = step["here"] or here
            if step["case"]:
                variable = _VARIABLE.fullmatch(step["subject"])
                open_cases.append(variable is not None and variable[1] in events - ({"1"} if in_function else set()))
                label_next = True
            elif open_cases and step["end"]:
                open_cases.pop()
            elif open_cases and step["next"]:
                label_next = True
        if head and line[head.end() :] and line[-1] in "})":  # a function on one line
            in_function = False


def _follow_variables(line: str, events: set[str], in_function: bool) -> None:
    """Updates the variables that hold the event after one line."""
    if not in_function and _CHANGES_ARGUMENTS.search(line):
        events.discard("1")
    for name, value in _ASSIGNMENT.findall(line):
        if not in_function and "1" in events and _FIRST_ARGUMENT.fullmatch(value):
            events.add(name)
        else:
            events.discard(name)
