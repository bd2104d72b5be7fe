"""The shell file in the helper's place: making it, recognising it, and trying what it starts."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from ctdb_eventd_install.fallback import Daemon, find_daemon, is_ours, program_in, render, why_it_does_not_run
from ctdb_eventd_install.problems import NotAPythonProgram

from .helper_place import Place


def test_the_installer_makes_the_same_check(place: Place) -> None:
    good = place.program(
        "good", f"#!{sys.executable}\nimport sys\nfrom ctdb_eventd.cli import main\nsys.exit(main())\n"
    )
    assert why_it_does_not_run(find_daemon(good, good), str(place.directory)) is None
    bad = place.program("bad", f"#!{sys.executable}\nimport no_such_module\n")
    assert (
        why_it_does_not_run(find_daemon(bad, bad), str(place.directory))
        == "ModuleNotFoundError: No module named 'no_such_module'"
    )
    silent = place.program("silent", f"#!{sys.executable}\nraise SystemExit(3)\n")
    assert (
        why_it_does_not_run(find_daemon(silent, silent), str(place.directory)) == "trying it ended with exit status 3"
    )
    gone = Daemon(program=good, python="/nonexistent/python", python_option="-I")
    assert why_it_does_not_run(gone, str(place.directory)) == "/nonexistent/python: No such file or directory"


def test_a_check_without_an_end_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same patience as the shell file, which gets it from there."""
    assert "elif try 5;" in render(Daemon(program="/p", python="/q"), place.places, "").decode()
    monkeypatch.setattr("ctdb_eventd_install.fallback._CHECK_SECONDS", 0.01)
    assert "elif try 0.01;" in render(Daemon(program="/p", python="/q"), place.places, "").decode()
    program = place.program("slow", f"#!{sys.executable}\n")
    assert (
        why_it_does_not_run(find_daemon(program, program), str(place.directory))
        == "trying it took more than 0.01 seconds"
    )


@pytest.mark.parametrize(
    ("first_line", "python", "option"),
    [
        ("#!/opt/venv/bin/python3", "/opt/venv/bin/python3", "-I"),
        ("#!/usr/bin/python3 -IS", "/usr/bin/python3", "-IS"),
        ("#!/usr/bin/python3 -s", "/usr/bin/python3", "-Is"),
        ("#!/usr/bin/python3 -X dev-I", "/usr/bin/python3", "-IX dev-I"),
        ("#!/bin/sh", sys.executable, "-I"),
    ],
)
def test_the_first_line_names_the_python_which_is_always_isolated(
    place: Place, first_line: str, python: str, option: str
) -> None:
    program = place.program("program", f"{first_line}\n")
    assert find_daemon("/shown", program) == Daemon(program="/shown", python=python, python_option=option)


def test_what_is_no_python_program_is_refused(place: Place) -> None:
    for text in ("", "#!/usr/bin/perl\n", "#!\n", "\x7fELF"):
        with pytest.raises(NotAPythonProgram, match=r"/shown can't be used .* does not name a Python interpreter"):
            find_daemon("/shown", place.program("program", text))
    with pytest.raises(NotAPythonProgram, match="No such file"):
        find_daemon("/shown", "/nonexistent")
    plain = place.program("plain", f"#!{sys.executable}\n")
    os.chmod(plain, 0o644)
    with pytest.raises(NotAPythonProgram, match="not executable"):
        find_daemon("/shown", plain)


def test_paths_are_quoted(place: Place) -> None:
    awkward = "/opt/it's $HOME `here` \\n/ctdb-eventd"
    place.install(awkward)
    assert is_ours(place.places.helper)
    assert program_in(place.places.helper) == awkward
    assert awkward in place.run().stderr


def test_other_files_are_not_ours(place: Place) -> None:
    other = place.program("other", "#!/bin/sh\n")
    assert not is_ours(other)
    assert program_in(other) is None
    assert program_in(place.program("damaged", "program='/opt/ctdb\n")) is None
    assert not is_ours("/nonexistent")


def test_what_it_says_is_in_the_manual() -> None:
    top = Path(__file__).resolve().parents[2]
    manual = (top / "docs/installation.md").read_text()
    text = (top / "contrib/install/ctdb_eventd_install/ctdb-eventd.sh").read_text()
    said = re.findall(r'(?:reason=|say )"((?!\$[({])[^"]+)"', text)
    assert len(said) == 7
    words = {"$program": "PROGRAM", "$python": "PATH", "$reason": "REASON", "$kept": "KEPT", "$status": "N", "$1": "5"}
    for message in said:
        for variable, shown in words.items():
            message = message.replace(variable, shown)
        assert f"`{message}`" in manual
