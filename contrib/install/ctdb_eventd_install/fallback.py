"""The launcher, a small shell file that replaces CTDB's helper program: renders it, and recognises it.

The check that it makes at each start is made before the installation too, so it is defined here once.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile

import attrs

from ctdb_eventd.files import shebang
from ctdb_eventd_install.places import NodePlaces
from ctdb_eventd_install.problems import NotAPythonProgram

__all__ = ["CHECK", "Daemon", "find_daemon", "is_ours", "program_in", "render", "why_it_does_not_run"]

_MARK = b"# ctdb-eventd-install put this file here"
_TEMPLATE = os.path.join(os.path.dirname(__file__), "ctdb-eventd.sh")
# ctdbd's limit for the start is ten seconds. The installer uses the launcher's limit, so that both decide alike.
_CHECK_SECONDS = 5

# Runs the program with --version, imports all of the daemon's modules, and runs an event loop, since anyio imports most
# of its modules only then. To check only that the files exist would not detect another version of Python or an
# interrupted upgrade; to start the daemon would need a parent process that stays. The requirements on the machine are
# checked as well: pidfds, CTDB's paths (ctdbd must find the daemon's socket), and the command wrappers' directory.
# The first lines come before all other imports, since `python -c` searches the current directory for modules first.
CHECK = """
import sys
sys.path[:] = [place for place in sys.path if place]
import os, runpy
program, helper_dir = sys.argv[1:]
sys.argv = [program, "--version"]
try:
    runpy.run_path(program, run_name="__main__")
except SystemExit as end:
    if end.code:
        raise
try:
    os.close(os.pidfd_open(os.getpid()))
except (AttributeError, OSError) as error:
    sys.exit(f"Linux 5.3 or later is needed: pidfd_open: {error}")
import anyio, ctdb_eventd.daemon
anyio.run(anyio.sleep, 0)
from ctdb_eventd.places import ask
paths = ask(os.environ, helper_dir)
if paths.problem:
    sys.exit(f"it can't get the path of its socket from CTDB: {paths.problem}")
place = state = os.path.abspath(paths.state_dir)
while not os.path.exists(place):
    place = os.path.dirname(place)
flags = os.statvfs(place).f_flag
if flags & os.ST_RDONLY:
    sys.exit(f"{state} is on a file system that is mounted read-only")
if flags & os.ST_NOEXEC:
    sys.exit(f"{state} is on a file system that is mounted noexec, and it runs programs that it writes there")
"""
"""A Python program. Arguments: the event daemon, and CTDB's directory of helper programs. Exit status 0: the daemon can
run.
"""


@attrs.frozen(kw_only=True)
class Daemon:
    """How our event daemon is started."""

    program: str
    """Its executable file."""
    python: str
    """The interpreter in the file's first line."""
    python_option: str = ""
    """The interpreter's option: that of the first line, and always -I."""


def find_daemon(program: str, below: str) -> Daemon:
    """Reads the first line of the daemon's executable.

    Args:
        program: Its path, as the node sees it.
        below: Its path on this system.

    Raises:
        NotAPythonProgram: There is no such file, or it is no Python program.
    """
    try:
        with open(below, "rb") as file:
            interpreter, option = shebang(file.readline(4096))
    except OSError as error:
        raise NotAPythonProgram(program, f"it can't be read: {error.strerror}") from error
    if not os.access(below, os.X_OK):
        raise NotAPythonProgram(program, "it is not executable")
    if interpreter == "/bin/sh":
        # pip writes a shell script if the interpreter's path is too long for a first line
        interpreter, option = sys.executable, ""
    if "python" not in os.path.basename(interpreter):
        raise NotAPythonProgram(program, "its first line does not name a Python interpreter")
    return Daemon(program=program, python=interpreter, python_option=_isolated(option))


def _isolated(option: str) -> str:
    """Adds -I: environment variables and the user's site-packages must not affect a program that root runs."""
    return option if "I" in option.partition(" ")[0] else f"-I{option.removeprefix('-')}"


def why_it_does_not_run(daemon: Daemon, helper_dir: str) -> str | None:
    """Makes the check that the launcher in `helper_dir` will make; None if the daemon can run, else the reason."""
    options = [daemon.python_option] if daemon.python_option else []
    command = [daemon.python, *options, "-c", CHECK, daemon.program, helper_dir]
    # a file, not a pipe: `run` would wait until every process that inherited the pipe has closed it
    with tempfile.TemporaryFile() as said:
        try:
            tried = subprocess.run(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except OSError as error:
            return f"{daemon.python}: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"trying it took more than {_CHECK_SECONDS:g} seconds"
        if tried.returncode == 0:
            return None
        said.seek(0)
        reason = _error_line(said.read().decode(errors="replace"))
    return reason or f"trying it ended with exit status {_shell_status(tried.returncode)}"


def _error_line(said: str) -> str:
    """Returns the line that names the error: the last one that isn't part of a traceback."""
    lines = [line for line in said.splitlines() if line and not line[0].isspace()]
    return next((line for line in reversed(lines) if not line.endswith("(most recent call first):")), "")


def _shell_status(status: int) -> int:
    return 128 - status if status < 0 else status


def render(daemon: Daemon, places: NodePlaces, forget: str) -> bytes:
    """Returns the launcher's text; `forget` is the shell command that removes the record of the installation."""
    values = {
        "PROGRAM": daemon.program,
        "PYTHON": daemon.python,
        "PYTHON_OPTION": daemon.python_option,
        "KEPT": places.kept,
        "NEW": places.new,
        "HELPER": places.helper,
        "HELPER_DIR": places.helper_dir,
        "CHECK": CHECK,
        "SECONDS": f"{_CHECK_SECONDS:g}",
    }
    quoted = {name: shlex.quote(value) for name, value in values.items()} | {"FORGET": forget}
    with open(_TEMPLATE, encoding="utf-8") as file:
        text = file.read()
    return re.sub("@([A-Z_]+)@", lambda found: quoted[found[1]], text).encode("utf-8", "surrogateescape")


def is_ours(path: str) -> bool:
    """Returns whether a file is a launcher, of any version."""
    return _MARK in _head(path)


def program_in(path: str) -> str | None:
    """Returns the program that a launcher starts; None if it names none."""
    found = re.search(rb"^program=(.*)$", _head(path), flags=re.MULTILINE)
    try:
        words = shlex.split(os.fsdecode(found[1])) if found else []
    except ValueError:  # damaged: a quotation without its end
        return None
    return words[0] if words else None


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(8192)
    except OSError:
        return b""
