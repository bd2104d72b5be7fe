"""Checks the content of a script for `ctdb-event lint`: interpreter line, line ends, syntax, declarations, events.

Reads a script's bytes; starts only the script's interpreter, to check the syntax.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import attrs

from ctdb_event.lint.declared_events import check_handled_events, check_handled_lines
from ctdb_event.lint.interpreters import Interpreter, Unchecked, check_syntax, find_interpreter
from ctdb_event.lint.outdated import check_outdated, code_lines
from ctdb_event.lint.report import Check, Finding, Severity
from ctdb_event.lint.shell_cases import event_labels
from ctdb_eventd.events import CATALOGUE
from ctdb_eventd.files import Concern, Remark, shebang
from ctdb_eventd.scripts import LOCKS_MARK, is_lock_name
from ctdb_eventd.text import nearest

__all__ = ["Declaration", "check_content", "declarations"]

_MACHINE_CODE = b"\x7fELF"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_FIRST_LINE = 255
"""Bytes that the kernel reads, minus the line end."""
_HEAD = 4096
"""Bytes that `scripts.declared_locks` reads."""
_TEST_AND = re.compile(r"(?:\[ .* \]|\[\[ .* \]\]|test [^&|;]+)\s*&&")
_GOES_ON = re.compile(r"[\s})]")
"""The beginning of a line that continues the previous one."""
_LOCKS_MEANT = re.compile(r"\s*#+\s*ctdb[-_ ]?(?:event[-_ ]?d?[-_ ]?)?locks?\s*[:=]", re.IGNORECASE)


@attrs.frozen
class Declaration:
    """A lock that a script's head declares."""

    name: str
    """As written, valid or not."""
    line: int
    """Its line, counted from 1."""


def check_content(
    content: bytes, fault: Remark | None, functions: frozenset[str] | None = None, *, is_whole: bool = True
) -> Iterator[Finding]:
    """Checks the content of a script.

    Args:
        content: Its bytes.
        fault: Why the kernel can't execute it, if so.
        functions: The shell functions of CTDB on the script's node; None if unknown.
        is_whole: Whether these are all of its bytes; otherwise checks of the whole script are skipped.
    """
    if content.startswith(_MACHINE_CODE):
        return
    first = content.partition(b"\n")[0]
    program, option = shebang(first.rstrip(b"\r"))
    if not program:
        yield Finding(Severity.ERROR, Check.SHEBANG, _why_no_interpreter(content), 1)
    else:
        yield from _check_first_line(first, fault)
    interpreter = find_interpreter(program, option)
    if interpreter.fault:
        yield Finding(Severity.ERROR, Check.INTERPRETER, interpreter.fault, 1)
    elif os.path.basename(program) == "env" and interpreter.program and not interpreter.program.startswith("/"):
        text = f"{program} finds no program {interpreter.program!r} in the PATH of event scripts"
        yield Finding(Severity.WARNING, Check.INTERPRETER, text, 1)
    text = content.decode("utf-8", "surrogateescape")
    yield from _check_declarations(text, [declaration.name for declaration in declarations(content)])
    yield from check_handled_lines(text)
    if not is_whole:
        return
    if interpreter.is_shell:
        yield from _check_shell(content, text, interpreter, functions)
    elif interpreter.is_python:
        yield from _check_syntax(content, interpreter)


def _why_no_interpreter(content: bytes) -> str:
    text = "no interpreter in the first line (such as #!/bin/sh), so the kernel can't run it"
    if not content:
        return f"{text}: it is empty"
    if content.startswith(_BYTE_ORDER_MARK):
        return f"{text}: a byte order mark precedes the #!; save it without one"
    if content.lstrip().startswith(b"#!"):
        return f"{text}: blanks or empty lines precede the #!"
    return text


def _check_first_line(first: bytes, fault: Remark | None) -> Iterator[Finding]:
    if first.endswith(b"\r"):
        program, option = shebang(first)
        text = f"the interpreter line ends in a carriage return, which becomes part of {(option or program)!r}"
        yield Finding(Severity.ERROR, Check.LINE_ENDS, f"{text}; convert the file's line ends (sed -i 's/\\r$//')", 1)
    elif fault is not None and fault.concern is Concern.NO_SUCH_INTERPRETER:
        yield Finding(Severity.ERROR, Check.INTERPRETER, fault.text, 1)
    if len(first) > _LONGEST_FIRST_LINE:
        text = f"the interpreter line has {len(first)} bytes, and the kernel looks at {_LONGEST_FIRST_LINE}"
        yield Finding(Severity.ERROR, Check.SHEBANG, text, 1)


def _check_shell(
    content: bytes, text: str, interpreter: Interpreter, functions: frozenset[str] | None
) -> Iterator[Finding]:
    lines = content.split(b"\n")
    windows = [number for number, line in enumerate(lines, 1) if number > 1 and line.endswith(b"\r")]
    if windows:
        severity = Severity.ERROR if 2 * len(windows) >= len(lines) - 2 else Severity.WARNING
        message = f"{len(windows)} lines end in a carriage return, which a shell takes for a part of the last word"
        yield Finding(severity, Check.LINE_ENDS, f"{message}; convert them (sed -i 's/\\r$//')", windows[0])
        if severity is Severity.ERROR:
            return  # the shell's complaints are consequences of these
    wrong = False
    for finding in _check_syntax(content, interpreter):
        wrong = wrong or finding.severity is Severity.ERROR
        yield finding
    if not wrong:
        yield from _check_events(text)
        yield from check_handled_events(text, list(event_labels(text)))
        yield from _check_last_line(text)
        yield from check_outdated(text, functions)


def _check_syntax(content: bytes, interpreter: Interpreter) -> Iterator[Finding]:
    if not interpreter.program.startswith("/") or not os.path.exists(interpreter.program):
        return  # already reported
    try:
        problems = check_syntax(interpreter, content)
    except Unchecked as error:
        yield Finding(Severity.NOTE, Check.SYNTAX_UNCHECKED, f"the syntax was not checked: {error}")
        return
    for problem in problems:
        severity = Severity.ERROR if problem.is_error else Severity.WARNING
        text = f"{os.path.basename(interpreter.program)} says: {problem.text}"
        yield Finding(severity, Check.SYNTAX, text, problem.line)


def _check_events(text: str) -> Iterator[Finding]:
    for number, label in event_labels(text):
        if label.startswith("-") or any(fnmatchcase(event, label) for event in CATALOGUE):
            continue
        near = nearest(label, CATALOGUE, similarity=0.8)
        message = f'"{label}" is not one of CTDB\'s events'
        if near:
            yield Finding(
                Severity.WARNING, Check.EVENT, f'{message}, so this never runs; did you mean "{near}"?', number
            )
        else:
            advice = "CTDB never requests it, only `ctdb-event run` or the script itself can"
            yield Finding(Severity.NOTE, Check.EVENT, f"{message}: {advice}", number)


def _check_last_line(text: str) -> Iterator[Finding]:
    """Finds a test as the last command, whose exit status becomes the script's if it is false."""
    lines = list(code_lines(text))
    begin = next((at for at in reversed(range(len(lines))) if not _GOES_ON.match(lines[at][1])), len(lines))
    statement = "\n".join(line for _, line in lines[begin:])
    if _TEST_AND.match(statement) and "||" not in statement and ";" not in re.sub(r"\{[^}]*\}", "", statement):
        message = "the script ends with this test: when it doesn't hold, the exit status is 1 and the event fails"
        yield Finding(Severity.WARNING, Check.LAST_LINE, f"{message}; add a last line: exit 0", lines[begin][0])


# ---------------------------------------------------------------------- locks


def declarations(content: bytes) -> list[Declaration]:
    """Returns the locks that a script's head declares, valid or not, with their lines: see `declared_locks`."""
    lines = content[:_HEAD].decode("utf-8", "replace").split("\n")
    return [
        Declaration(name, number)
        for number, line in enumerate(lines, 1)
        if line.startswith(LOCKS_MARK)
        for name in line[len(LOCKS_MARK) :].split()
    ]


def _check_declarations(text: str, declared: list[str]) -> Iterator[Finding]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(LOCKS_MARK):
            yield from _check_declaration(number, line[len(LOCKS_MARK) :].split(), declared)
        elif _LOCKS_MEANT.match(line):
            message = f'this is not read as a declaration of locks; expected "{LOCKS_MARK} NAME" at the line\'s start'
            yield Finding(Severity.WARNING, Check.LOCK_LINE, message, number)


def _check_declaration(number: int, names: list[str], declared: list[str]) -> Iterator[Finding]:
    if not names:
        yield Finding(Severity.WARNING, Check.LOCK_LINE, "this declares no lock: no name follows the colon", number)
    for name in names:
        if name not in declared:
            message = f'"{name}" is not declared: only the first {_HEAD} bytes of a script are looked at'
            yield Finding(Severity.WARNING, Check.LOCK_LINE, message, number)
        elif not is_lock_name(name):
            expected = "expected letters, digits, dots, dashes and underscores, and blanks between names"
            yield Finding(
                Severity.ERROR, Check.LOCK_NAME, f'"{name}" is not a valid name of a lock; {expected}', number
            )
