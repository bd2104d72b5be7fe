"""Processes of a lab, seen from the machine: found by their namespace, killed only while they are in it.

Pids are the machine's. Pid files of a node contain pids of the node's own namespace, see `Process.inner`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

__all__ = [
    "HOLDERS",
    "Process",
    "catches",
    "executable",
    "find_holder",
    "kill_member",
    "members",
    "wait_for_end",
    "watched_children",
]

HOLDERS = ("hold-lab.sh", "hold-node.sh")
"""The shell scripts that are process 1 of a namespace. They are found by their arguments: directory and name."""

_GONE = (FileNotFoundError, ProcessLookupError)


@attrs.frozen(kw_only=True)
class Process:
    """A living process of a lab."""

    pid: int
    """Its pid on the machine."""
    inner: int
    """Its pid in the innermost namespace."""
    parent: int
    """The pid of its parent on the machine."""
    command: str

    def __str__(self) -> str:
        return f"{self.pid} (child of {self.parent}): {self.command}"


def find_holder(directory: Path, name: str) -> int | None:
    """Returns the process that keeps the namespaces of a node, or of the whole lab (`lab`); None if there is none."""
    for pid in _pids():
        argv = _argv(pid)
        if (
            argv[-2:] == [str(directory), name]
            and os.path.basename(argv[-3]) in HOLDERS
            and _sees_same_directory(pid, directory)
        ):
            status = _status(pid)
            # unshare itself has the same arguments; it is not in the namespace
            if status is not None and len(status.numbers) > 1 and status.numbers[-1] == 1:
                return pid
    return None


def _sees_same_directory(pid: int, directory: Path) -> bool:
    """Returns whether a path is the same directory for a process, which may have another root directory."""
    seen = directory if directory.exists() else Path("/")
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/root{seen}"), os.stat(seen))
    except OSError:
        return False


def members(holder: int) -> list[Process]:
    """Returns all living processes of the holder's namespace, without the holder."""
    namespace = _namespace(holder)
    found = []
    for pid in _pids():
        if namespace is not None and pid != holder and _namespace(pid) == namespace:
            status = _status(pid)
            if status is not None:
                command = " ".join(_argv(pid)) or f"[{status.name}]"
                found.append(Process(pid=pid, inner=status.numbers[-1], parent=status.parent, command=command))
    return found


def executable(pid: int) -> str:
    """Returns the program that a process runs, for a script its interpreter; empty if the process has ended."""
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def catches(pid: int, number: int) -> bool:
    """Returns whether a process has a handler for a signal; without one, the signal may end it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except _GONE:
        return False
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), 0)
    return bool(caught >> (number - 1) & 1)


def kill_member(holder: int, pid: int, number: int = signal.SIGKILL) -> bool:
    """Sends a signal to a process if it is a member of the holder's namespace; returns whether it was."""
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            # checked after pidfd_open: from then on, the pidfd can't refer to another process with the same id
            if _namespace(pid) == _namespace(holder) is not None:
                signal.pidfd_send_signal(pidfd, number)
                return True
        finally:
            os.close(pidfd)
    return False


def wait_for_end(pid: int, number: int, seconds: float) -> bool:
    """Sends a signal to a process and waits until it has ended or is a zombie; returns whether it did in time."""
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(pidfd, number)
            return bool(select.select([pidfd], [], [], seconds)[0])
        finally:
            os.close(pidfd)
    return True


@contextlib.contextmanager
def watched_children(pid: int) -> Iterator[Callable[[float], bool]]:
    """Watches the present children of a process during the block.

    Yields:
        A function that waits until all of them have ended, up to a number of seconds, and returns whether they have.
    """
    with contextlib.ExitStack() as stack:
        pidfds = []
        with contextlib.suppress(*_GONE):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    pidfds.append(os.pidfd_open(int(child)))
                    stack.callback(os.close, pidfds[-1])

        def have_ended(seconds: float) -> bool:
            deadline = time.monotonic() + seconds
            return all(select.select([pidfd], [], [], max(0, deadline - time.monotonic()))[0] for pidfd in pidfds)

        yield have_ended


@attrs.frozen(kw_only=True)
class _Status:
    name: str
    parent: int
    numbers: list[int]


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdecimal())


def _argv(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").removesuffix("\0").split("\0")
    except _GONE:
        return []


def _status(pid: int) -> _Status | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except _GONE:
        return None
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    if fields["State"][0] in "ZX":
        return None
    numbers = [int(number) for number in fields["NSpid"].split()]
    return _Status(name=fields["Name"], parent=int(fields["PPid"]), numbers=numbers)


def _namespace(pid: int) -> tuple[int, int] | None:
    try:
        found = os.stat(f"/proc/{pid}/ns/pid")
    except (*_GONE, PermissionError):
        return None
    return found.st_dev, found.st_ino
