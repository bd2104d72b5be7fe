"""Finds the program that interprets a script, and checks the script's syntax with it.

Runs shells with `-n` and Python's compiler, with a timeout and an empty environment; a script's own code is never
executed. An interpreter that other users than root could have replaced isn't run either.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import attrs

from ctdb_eventd.safety import Ways

__all__ = ["SEARCH_PATH", "Interpreter", "SyntaxProblem", "Unchecked", "check_syntax", "find_interpreter"]

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of `env` in a script's environment."""
_ENVIRONMENT = {"PATH": SEARCH_PATH, "LC_ALL": "C", "HOME": "/nonexistent"}
_SECONDS = 10.0
_MOST_PROBLEMS = 5
_STDIN = "/dev/stdin"
"""With this name, shells report line numbers, unlike without a name; it is the content that was read before."""
_SHELL = re.compile(r"(?:|ba|da|a|z|ya|k|mk|lk)sh(?:[0-9][0-9.]*|-static)?")
_PYTHON = re.compile(r"python3(?:\.[0-9]+)?")
_COMPILE = """\
import sys
try:
    compile(sys.stdin.buffer.read(), "script", "exec", dont_inherit=True)
except SyntaxError as error:
    print(error.lineno or 0, error.msg)
except ValueError as error:
    print(0, error)
"""
# `FILE: line 3: …` (bash, busybox), `FILE: 3: …` (dash), `FILE:3: …` (zsh, yash), `FILE[3]: …` (mksh)
_NUMBERED = re.compile(r"(?:\[([0-9]+)\]:|: ?(?:line )?([0-9]+):) ?(.*)")
# `FILE: syntax error at line 3: …` (ksh93)
_NUMBER_INSIDE = re.compile(r": (.*?) at line ([0-9]+): ?(.*)")


@attrs.frozen(kw_only=True)
class Interpreter:
    """The interpreter that a script's first line selects."""

    program: str
    """Its path; a bare name if `env` doesn't find it; empty if it is unknown."""
    words: tuple[str, ...] = ()
    """Words before the script's name, if the program contains several interpreters (busybox sh)."""
    fault: str = ""
    """Why the first line doesn't work; empty if it does."""

    @property
    def is_shell(self) -> bool:
        """Whether it is a shell of the Bourne family."""
        name = os.path.basename(self.program)
        return (name == "busybox" and self.words[:1] in (("sh",), ("ash",))) or _SHELL.fullmatch(name) is not None

    @property
    def is_python(self) -> bool:
        """Whether it is Python 3."""
        return _PYTHON.fullmatch(os.path.basename(self.program)) is not None


@attrs.frozen(kw_only=True)
class SyntaxProblem:
    """A syntax error or warning of an interpreter."""

    line: int | None
    """Line number of the interpreter; None if it reports none."""
    text: str
    """The interpreter's message."""
    is_error: bool = True
    """Whether the interpreter would refuse to run the script."""


class Unchecked(Exception):
    """The interpreter can't be run; the text is the reason."""


def find_interpreter(path: str, option: str) -> Interpreter:
    """Parses an interpreter line.

    Args:
        path: The interpreter in it.
        option: The rest of the line, which the kernel passes as one argument.
    """
    if os.path.basename(path) == "env":
        return _behind_env(path, option)
    plain = Interpreter(program=path, words=tuple(option.split()))
    if (plain.is_shell or plain.is_python) and len(plain.words) > 1 and plain.words[0].startswith("-"):
        advice = "join the options (-eu), or set them in the script (set -eu)"
        fault = f'"{option}" reaches {path} as one argument, which it does not understand; {advice}'
        return attrs.evolve(plain, fault=fault)
    return plain


def _behind_env(env: str, option: str) -> Interpreter:
    words = option.split()
    if not words:
        return Interpreter(program="", fault=f"{env} has no program to run; expected #!{env} PROGRAM")
    splits = re.fullmatch(r"(?:-v?S|--split-string=?)(.*)", words[0])
    if splits:
        words = [*splits[1].split(), *words[1:]]
        while words and "=" in words[0]:
            del words[0]
        if not words or words[0].startswith("-"):
            return Interpreter(program="")  # other options of env, which are rare and not checked
    elif len(words) > 1:
        fault = f'{env} looks for a program with the name "{option}": the kernel passes all of it as one argument'
        return Interpreter(program="", fault=f"{fault}; expected #!{env} -S {option}")
    name = words[0]
    return Interpreter(program=shutil.which(name, path=SEARCH_PATH) or name, words=tuple(words[1:]))


def check_syntax(interpreter: Interpreter, content: bytes, *, seconds: float = _SECONDS) -> list[SyntaxProblem]:
    """Returns the interpreter's complaints about a script; none if it is neither a shell nor Python.

    Args:
        interpreter: The script's interpreter.
        content: The whole script.
        seconds: Timeout.

    Raises:
        Unchecked: It doesn't exist, isn't safe to run, or timed out.
    """
    if interpreter.is_python:
        return _ask_python(interpreter, content, seconds)
    if not interpreter.is_shell:
        return []
    name = os.path.basename(interpreter.program)
    options = ("-f",) if name.startswith("zsh") else ()
    applet = interpreter.words[:1] if name == "busybox" else ()
    problems = _ask_shell([interpreter.program, *applet, *options], content, seconds)
    if problems and b"extglob" in content and name.startswith("bash"):
        # `shopt -s extglob` in the script has no effect when nothing is executed
        problems = _ask_shell([interpreter.program, "-O", "extglob"], content, seconds)
    return problems


def _ask_python(interpreter: Interpreter, content: bytes, seconds: float) -> list[SyntaxProblem]:
    done = _run([interpreter.program, "-I", "-S", "-W", "ignore", "-c", _COMPILE], seconds, content)
    if done.returncode != 0:
        raise Unchecked(f"{interpreter.program} could not compile it (exit status {done.returncode})")
    found = re.fullmatch(r"([0-9]+) (.*)\n", done.stdout.decode(errors="replace"))
    return [SyntaxProblem(line=int(found[1]) or None, text=found[2])] if found else []


def _ask_shell(shell: list[str], content: bytes, seconds: float) -> list[SyntaxProblem]:
    done = _run([*shell, "-n", _STDIN], seconds, content)
    is_error = done.returncode != 0
    said = done.stderr.decode(errors="surrogateescape").splitlines()
    problems = [_read_complaint(line, is_error) for line in said]
    # bash repeats the line of the script in backquotes
    problems = [problem for problem in problems if problem.text and not problem.text.startswith("`")]
    if is_error and not problems:
        return [SyntaxProblem(line=None, text=f"{' '.join(shell)} -n refuses it (exit status {done.returncode})")]
    return problems[:_MOST_PROBLEMS]


def _read_complaint(said: str, is_error: bool) -> SyntaxProblem:
    _, found, rest = said.partition(_STDIN)
    numbered = _NUMBERED.match(rest)
    if found and numbered:
        return SyntaxProblem(line=int(numbered[1] or numbered[2]), text=numbered[3], is_error=is_error)
    inside = _NUMBER_INSIDE.match(rest)
    if found and inside:
        return SyntaxProblem(line=int(inside[2]), text=f"{inside[1]}: {inside[3]}", is_error=is_error)
    return SyntaxProblem(line=None, text=rest.lstrip(": ") if found else said, is_error=is_error)


def _run(command: list[str], seconds: float, content: bytes) -> subprocess.CompletedProcess[bytes]:
    program = command[0]
    _refuse_unsafe(program)
    try:
        return subprocess.run(
            command, input=content, capture_output=True, timeout=seconds, env=_ENVIRONMENT, cwd="/", check=False
        )
    except subprocess.TimeoutExpired:
        raise Unchecked(f"{program} took longer than {seconds:g} s") from None
    except OSError as error:
        raise Unchecked(f"{program} can't be run: {error.strerror}") from None


def _refuse_unsafe(program: str) -> None:
    if not program.startswith("/"):
        raise Unchecked(f"{program} is not in {SEARCH_PATH}")
    flaw = Ways().flaw(program)
    if flaw is not None:
        raise Unchecked(f"{program} is not run: {flaw.sentence}")
