"""The small shell file that stands in the helper's place: its text, and recognising it.

The same check that it makes at each start is made before it is put there, so it is defined here once.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import attrs

from ctdb_eventd.files import shebang
from ctdb_eventd_install.places import NodePlaces
from ctdb_eventd_install.problems import NotAPythonProgram

__all__ = ["CHECK", "Daemon", "find_daemon", "is_ours", "program_in", "render", "why_it_does_not_run"]

_MARK = b"# ctdb-eventd-install put this file here"
_TEMPLATE = os.path.join(os.path.dirname(__file__), "ctdb-eventd.sh")
_CHECK_SECONDS = 60

# Runs the program's own file to its --version, which loads all of the daemon's modules, and then an event loop, since
# anyio loads most of itself only then. Merely asking whether the files exist would miss a Python of another version
# and an interrupted upgrade; starting the daemon and looking whether it lives would need a parent that stays.
CHECK = """
import runpy, sys
sys.argv = [sys.argv[1], "--version"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    if end.code:
        raise
import anyio
anyio.run(anyio.sleep, 0)
"""
"""Python that ends with 0 if the event daemon that its one argument names can run."""


@attrs.frozen(kw_only=True)
class Daemon:
    """Our event daemon, as it shall be started."""

    program: str
    """Its executable file."""
    python: str
    """The interpreter that the file's first line names."""
    python_option: str = ""
    """What that line gives the interpreter; empty if nothing."""


def find_daemon(program: str, below: str) -> Daemon:
    """Looks at the daemon's executable: `program` as the node sees it, `below` where it is for us.

    Raises:
        NotAPythonProgram: There is none, or it does not look like one.
    """
    try:
        with open(below, "rb") as file:
            interpreter, option = shebang(file.readline(4096))
    except OSError as error:
        raise NotAPythonProgram(program, f"it can't be read: {error.strerror}") from error
    if not os.access(below, os.X_OK):
        raise NotAPythonProgram(program, "it is not executable")
    if interpreter == "/bin/sh":
        # pip writes a detour through the shell if the interpreter's path is too long for a first line
        interpreter, option = sys.executable, ""
    if "python" not in os.path.basename(interpreter):
        raise NotAPythonProgram(program, "its first line names no Python")
    return Daemon(program=program, python=interpreter, python_option=option)


def why_it_does_not_run(daemon: Daemon) -> str | None:
    """Tries the daemon as the shell file will; None if it runs, else the reason."""
    options = [daemon.python_option] if daemon.python_option else []
    command = [daemon.python, *options, "-c", CHECK, daemon.program]
    try:
        tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_CHECK_SECONDS)
    except OSError as error:
        return f"{daemon.python}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"trying it took more than {_CHECK_SECONDS} seconds"
    if tried.returncode == 0:
        return None
    said = tried.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return said or f"trying it ended with exit status {tried.returncode}"


def render(daemon: Daemon, places: NodePlaces, forget: str) -> bytes:
    """Returns the file's text; `forget` is the shell command that undoes the record of the installation."""
    values = {
        "PROGRAM": daemon.program,
        "PYTHON": daemon.python,
        "PYTHON_OPTION": daemon.python_option,
        "KEPT": places.kept,
        "NEW": places.new,
        "HELPER": places.helper,
        "CHECK": CHECK,
    }
    quoted = {name: shlex.quote(value) for name, value in values.items()} | {"FORGET": forget}
    with open(_TEMPLATE, encoding="utf-8") as file:
        text = file.read()
    return re.sub("@([A-Z_]+)@", lambda found: quoted[found[1]], text).encode("utf-8", "surrogateescape")


def is_ours(path: str) -> bool:
    """Tells whether a file is one of these, of whatever version."""
    return _MARK in _head(path)


def program_in(path: str) -> str | None:
    """Returns the program that such a file starts; None if it doesn't say."""
    found = re.search(rb"^program=(.*)$", _head(path), flags=re.MULTILINE)
    words = shlex.split(os.fsdecode(found[1])) if found else []
    return words[0] if words else None


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(8192)
    except OSError:
        return b""
