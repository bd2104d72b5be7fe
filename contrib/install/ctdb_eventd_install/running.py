"""Tells which processes matter at this moment: the event daemon that runs, and who keeps the installer waiting."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

__all__ = ["OURS", "PATIENCE", "PID_FILES", "ask", "cli_of", "lock_holder", "running_daemon", "version_of"]

PID_FILES = ("/run/ctdb/eventd.pid", "/run/samba/ctdb/eventd.pid")
"""Where versions of CTDB have it: up to 4.24, and from 4.25 on."""
OURS = "our daemon"
"""`running_daemon` begins so if it is ours."""
PATIENCE = 5.0
"""Seconds that a question may take."""
_NOBODY = "no event daemon"
_HIDDEN = "only root can tell (sudo)"


def running_daemon(pid_file: str, elsewhere: Iterable[str] = ()) -> str:
    """Says who runs, from the daemon's pid file; either daemon writes it and removes it at its end.

    What is in place for the next start may be another one.

    Args:
        pid_file: Where the CTDB that is installed has it.
        elsewhere: Where another version has it, whose ctdbd may still run after an upgrade.
    """
    found = _who(pid_file)
    if found != _NOBODY:
        return found
    for other in elsewhere:
        found = _NOBODY if other == pid_file else _who(other)
        if found == _HIDDEN:
            return found
        if found != _NOBODY:
            before = f"started before an upgrade of CTDB moved its pid file from {other}"
            return f"{found}, {before}: `ctdb event` doesn't find it until CTDB is restarted"
    return _NOBODY


def _who(pid_file: str) -> str:
    try:
        with open(pid_file, encoding="ascii", errors="replace") as file:
            pid = int(file.read())
    except PermissionError:
        return _HIDDEN
    except (OSError, ValueError):
        return _NOBODY
    try:
        program = os.readlink(f"/proc/{pid}/exe")
    except PermissionError:
        return f"an event daemon, process {pid}; only root can tell which (sudo)"
    except OSError:
        return _NOBODY
    # A file that was replaced while it ran is shown as deleted, and one that moved by its new name.
    name = os.path.basename(program).removesuffix(" (deleted)")
    if name.startswith("python"):
        return f"{OURS}, process {pid}"
    if name.startswith("ctdb-eventd"):
        return f"CTDB's own event daemon, process {pid}"
    return f"{program}, process {pid}"


def cli_of(program: str) -> str:
    """Returns the command line that belongs to a daemon's program: beside it, or where a package has it."""
    beside = os.path.join(os.path.dirname(program), "ctdb-event")
    return beside if os.access(beside, os.X_OK) else shutil.which("ctdb-event") or beside


def ask(program: str, *words: str, patience: float | None) -> subprocess.CompletedProcess[str] | None:
    """Asks the daemon that runs by that command line; None if it can't be run, or doesn't answer in so many seconds."""
    return _output(patience, cli_of(program), *words)


def version_of(program: str) -> str:
    """Returns the version of a daemon's program; empty if it doesn't say."""
    done = _output(PATIENCE, program, "--version")
    return "" if done is None or done.returncode else done.stdout.strip().rpartition(" ")[2]


def _output(patience: float | None, *command: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def lock_holder(descriptor: int) -> str | None:
    """Says which process holds an flock on an open file, for whoever can't have it; None if that can't be told."""
    inode = str(os.fstat(descriptor).st_ino)
    try:
        with open("/proc/locks", encoding="ascii") as file:
            locks = [line.split() for line in file]
    except OSError:
        return None
    # the device is left out: some file systems show another one here than stat does
    for fields in locks:
        if fields[1:2] == ["FLOCK"] and fields[5].rpartition(":")[2] == inode:
            return f"process {fields[4]}, {_name(fields[4])}"
    return None


def _name(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return f"`{file.read().strip()}` of user {os.stat(f'/proc/{pid}').st_uid}"
    except OSError:
        return "which is out of sight"
