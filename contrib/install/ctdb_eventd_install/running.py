"""Finds the event daemon that is running, asks it, and finds the process that holds the installer's lock."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

__all__ = [
    "ANSWER_TIMEOUT",
    "OURS",
    "PID_FILES",
    "ask",
    "cli_of",
    "lock_holder",
    "output_of",
    "running_daemon",
    "version_of",
]

PID_FILES = ("/run/ctdb/eventd.pid", "/run/samba/ctdb/eventd.pid")
"""Where versions of CTDB have it: up to 4.24, and from 4.25 on."""
OURS = "our daemon"
"""How the result of `running_daemon` begins if it is ours."""
ANSWER_TIMEOUT = 5.0
"""Seconds for the running daemon, or for a program's --version."""
_NOT_RUNNING = "no event daemon"
_NEEDS_ROOT = "only root can see it (sudo)"


def running_daemon(pid_file: str, elsewhere: Iterable[str] = ()) -> str:
    """Describes the running event daemon, found by its pid file, which both daemons write and remove.

    The daemon that is installed for the next start may be another one.

    Args:
        pid_file: The pid file of the CTDB that is installed.
        elsewhere: The pid files of other versions, whose ctdbd may still be running after an upgrade.
    """
    found = _describe(pid_file)
    if found != _NOT_RUNNING:
        return found
    for other in elsewhere:
        found = _NOT_RUNNING if other == pid_file else _describe(other)
        if found == _NEEDS_ROOT:
            return found
        if found != _NOT_RUNNING:
            before = f"started before an upgrade of CTDB moved its pid file from {other}"
            return f"{found}, {before}: `ctdb event` doesn't find it until CTDB is restarted"
    return _NOT_RUNNING


def _describe(pid_file: str) -> str:
    try:
        with open(pid_file, encoding="ascii", errors="replace") as file:
            pid = int(file.read())
    except PermissionError:
        return _NEEDS_ROOT
    except (OSError, ValueError):
        return _NOT_RUNNING
    try:
        program = os.readlink(f"/proc/{pid}/exe")
    except PermissionError:
        return f"an event daemon, process {pid}; only root can see which (sudo)"
    except OSError:
        return _NOT_RUNNING
    # the link shows a file that was replaced while it ran as deleted, and a renamed one by its new name
    name = os.path.basename(program).removesuffix(" (deleted)")
    if name.startswith("python"):
        return f"{OURS}, process {pid}"
    if name.startswith("ctdb-eventd"):
        return f"CTDB's own event daemon, process {pid}"
    return f"{program}, process {pid}"


def cli_of(program: str) -> str:
    """Returns the path of the `ctdb-event` that belongs to a daemon's program: in its directory, or in PATH."""
    beside = os.path.join(os.path.dirname(program), "ctdb-event")
    return beside if os.access(beside, os.X_OK) else shutil.which("ctdb-event") or beside


def ask(program: str, *words: str, timeout: float | None) -> subprocess.CompletedProcess[str] | None:
    """Asks the running daemon with that `ctdb-event`; None if that can't be run or takes longer than `timeout`."""
    return output_of(timeout, cli_of(program), *words)


def version_of(program: str) -> str:
    """Returns the version of a daemon's program; empty if it is unknown."""
    done = output_of(ANSWER_TIMEOUT, program, "--version")
    return "" if done is None or done.returncode else done.stdout.strip().rpartition(" ")[2]


def output_of(timeout: float | None, *command: str) -> subprocess.CompletedProcess[str] | None:
    """Runs a command and returns its status and output; None if it can't be run or takes longer than `timeout`."""
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def lock_holder(descriptor: int) -> str | None:
    """Describes the process that holds an flock on an open file; None if it is unknown."""
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
        return "which is not visible here"
