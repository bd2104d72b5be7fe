"""Interpreter lines, and what real interpreters say of a script's syntax."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from ctdb_event.lint.interpreters import (
    SEARCH_PATH,
    Interpreter,
    SyntaxProblem,
    Unchecked,
    check_syntax,
    find_interpreter,
)

SH = Interpreter(program="/bin/sh")
BASH = Interpreter(program="/bin/bash")
needs_bash = pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="there is no bash")
python = shutil.which("python3", path=SEARCH_PATH)
needs_python = pytest.mark.skipif(python is None, reason="there is no python3 in the usual places")


def check(interpreter: Interpreter, text: str) -> list[SyntaxProblem]:
    return check_syntax(interpreter, text.encode())


def fake(tmp_path: Path, name: str, body: str) -> Interpreter:
    """Makes a shell of that name that behaves as `body` says."""
    tmp_path.chmod(0o755)
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return Interpreter(program=str(path))


# ---------------------------------------------------------------------- interpreter lines


@pytest.mark.parametrize(
    ("program", "option", "is_shell", "is_python"),
    [
        ("/bin/sh", "", True, False),
        ("/bin/dash", "-e", True, False),
        ("/usr/local/bin/bash5.2", "", True, False),
        ("/bin/ksh93", "", True, False),
        ("/bin/mksh-static", "", True, False),
        ("/bin/busybox", "sh", True, False),
        ("/bin/busybox", "awk", False, False),
        ("/bin/fish", "", False, False),
        ("/usr/bin/perl", "-w -T", False, False),
        ("/usr/bin/python3", "-s", False, True),
        ("/usr/bin/python3.13", "", False, True),
        ("/usr/bin/python2", "", False, False),
    ],
)
def test_what_is_a_shell(program: str, option: str, is_shell: bool, is_python: bool) -> None:
    interpreter = find_interpreter(program, option)
    assert (interpreter.is_shell, interpreter.is_python, interpreter.fault) == (is_shell, is_python, "")


@pytest.mark.parametrize(("program", "option"), [("/bin/sh", "-e -u"), ("/usr/bin/python3", "-s -E")])
def test_several_options_arrive_as_one(program: str, option: str) -> None:
    fault = find_interpreter(program, option).fault
    assert fault.startswith(f'"{option}" reaches {program} as one argument, which it does not understand; join')


@pytest.mark.parametrize(
    ("option", "program", "words"),
    [
        ("sh", shutil.which("sh", path=SEARCH_PATH), ()),
        ("-S sh -e", shutil.which("sh", path=SEARCH_PATH), ("-e",)),
        ("-Ssh -e", shutil.which("sh", path=SEARCH_PATH), ("-e",)),
        ("-vS A=b sh", shutil.which("sh", path=SEARCH_PATH), ()),
        ("--split-string=sh -u", shutil.which("sh", path=SEARCH_PATH), ("-u",)),
        ("no-such-shell", "no-such-shell", ()),
        ("-S -i sh", "", ()),
        ("-S", "", ()),
    ],
)
def test_env(option: str, program: str, words: tuple[str, ...]) -> None:
    assert find_interpreter("/usr/bin/env", option) == Interpreter(program=program, words=words)


def test_env_does_not_split_words() -> None:
    interpreter = find_interpreter("/usr/bin/env", "bash -e")
    assert not interpreter.is_shell
    assert interpreter.fault == (
        '/usr/bin/env looks for a program with the name "bash -e": the kernel passes all of it as one argument; '
        "expected #!/usr/bin/env -S bash -e"
    )
    assert "has no program to run" in find_interpreter("/usr/bin/env", "").fault


# ---------------------------------------------------------------------- shells


def test_a_good_script_has_no_problem() -> None:
    assert check(SH, "case $1 in a) ;; esac\n") == []


def test_the_shells_own_line_and_words() -> None:
    (problem,) = check(SH, "#!/bin/sh\n\nif true\nfi\n")
    assert problem.line == 4
    assert problem.is_error
    assert "fi" in problem.text
    assert "/dev/stdin" not in problem.text


def test_nothing_is_executed(tmp_path: Path) -> None:
    assert check(SH, f"touch {tmp_path}/done\n$(touch {tmp_path}/done)\nexit 3\n") == []
    assert not (tmp_path / "done").exists()


@needs_bash
def test_nothing_is_read_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = tmp_path / "profile"
    profile.write_text("if\n")
    monkeypatch.setenv("BASH_ENV", str(profile))
    assert check(BASH, "true\n") == []


@needs_bash
def test_bash_repeats_the_line_which_is_left_out() -> None:
    (problem,) = check(BASH, "echo\nif true; then\necho; }\n")
    assert problem == SyntaxProblem(line=3, text="syntax error near unexpected token `}'")


@needs_bash
def test_bash_warns_of_here_documents_without_an_end() -> None:
    (problem,) = check(BASH, "cat <<END\nx\n")
    assert not problem.is_error
    assert "here-document" in problem.text


@needs_bash
def test_extended_patterns_of_bash_are_no_mistakes() -> None:
    text = "shopt -s extglob\ncase $1 in @(a|b)) ;; esac\n"
    assert check(BASH, text) == []
    (problem,) = check(BASH, f"{text}fi\n")
    assert problem.line == 3
    assert check(BASH, text.replace("extglob", "dotglob")) != []


@pytest.mark.parametrize(
    ("said", "line", "text"),
    [
        ("$2: line 6: syntax error: unexpected fi", 6, "syntax error: unexpected fi"),
        ("$2: 6: Syntax error: fi unexpected", 6, "Syntax error: fi unexpected"),
        ("$2:6: parse error near fi", 6, "parse error near fi"),
        ("E: $2[6]: syntax error: unexpected fi", 6, "syntax error: unexpected fi"),
        ("$2: syntax error at line 6: fi unexpected", 6, "syntax error: fi unexpected"),
        ("$2: too deep", None, "too deep"),
        ("something else", None, "something else"),
    ],
)
def test_complaints_of_many_shells(tmp_path: Path, said: str, line: int | None, text: str) -> None:
    shell = fake(tmp_path, "ksh", f'echo "{said}" >&2; exit 1')
    assert check(shell, "x\n") == [SyntaxProblem(line=line, text=text)]


def test_only_the_first_complaints_are_told(tmp_path: Path) -> None:
    shell = fake(tmp_path, "ksh", 'for i in 1 2 3 4 5 6 7; do echo "$2: $i: wrong" >&2; done; exit 1')
    assert [problem.line for problem in check(shell, "x\n")] == [1, 2, 3, 4, 5]


def test_a_shell_may_refuse_without_a_word(tmp_path: Path) -> None:
    shell = fake(tmp_path, "ksh", "exit 3")
    assert check(shell, "x\n") == [SyntaxProblem(line=None, text=f"{shell.program} -n refuses it (exit status 3)")]


@pytest.mark.parametrize(
    ("name", "words", "called"),
    [("zsh", (), "-f -n"), ("busybox", ("ash",), "ash -n"), ("dash", ("-e",), "-n"), ("ksh", (), "-n")],
)
def test_how_shells_are_called(tmp_path: Path, name: str, words: tuple[str, ...], called: str) -> None:
    shell = fake(tmp_path, name, f'echo "$*" >{tmp_path}/called')
    assert check(Interpreter(program=shell.program, words=words), "x\n") == []
    assert (tmp_path / "called").read_text() == f"{called} /dev/stdin\n"


# ---------------------------------------------------------------------- Python


@needs_python
def test_python_is_compiled_by_its_own_interpreter() -> None:
    assert python is not None
    interpreter = Interpreter(program=python)
    assert check(interpreter, "import os\nos._exit(3)\n") == []
    assert check(interpreter, 'x = "\\d"\n') == []
    (problem,) = check(interpreter, "x = 1\nif x\n    pass\n")
    assert (problem.line, problem.is_error) == (2, True)
    (problem,) = check(interpreter, "return\n")
    assert "outside function" in problem.text
    (problem,) = check(interpreter, "x = 1\0\n")
    assert "null bytes" in problem.text


def test_a_python_that_breaks_says_nothing_of_the_script(tmp_path: Path) -> None:
    broken = fake(tmp_path, "python3", "exit 9")
    with pytest.raises(Unchecked, match="could not compile it"):
        check(broken, "x\n")


# ---------------------------------------------------------------------- not asked


def test_other_interpreters_are_not_asked() -> None:
    assert check(Interpreter(program=sys.executable.replace("python", "perl")), "if\n") == []


def test_a_shell_that_hangs_is_ended(tmp_path: Path) -> None:
    shell = fake(tmp_path, "ksh", "exec sleep 600")
    with pytest.raises(Unchecked, match=r"took longer than 0\.2 s"):
        check_syntax(shell, b"", seconds=0.2)


def test_a_shell_that_others_could_change_is_not_run(tmp_path: Path) -> None:
    shell = fake(tmp_path, "sh", f"touch {tmp_path}/ran")
    os.chmod(shell.program, 0o777)
    with pytest.raises(Unchecked, match=r"is not run: .* is writable by "):
        check(shell, "x\n")
    os.chmod(shell.program, 0o755)
    tmp_path.chmod(0o777)
    with pytest.raises(Unchecked, match="is not run"):
        check(shell, "x\n")
    assert not (tmp_path / "ran").exists()


def test_a_shell_that_is_not_there() -> None:
    with pytest.raises(Unchecked, match="is not in"):
        check(Interpreter(program="bash"), "x\n")
    with pytest.raises(Unchecked, match="can't be run: No such file"):
        check(Interpreter(program="/nonexistent/bash"), "x\n")
