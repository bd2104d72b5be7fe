"""Processes that a killed daemon has left running: finds them by the daemon's table, and ends them.

Imported by the daemon, and run as a program: the guardian (see `guardian`), which waits for the daemon's death. It
starts no process for that, so it works even if the limit of processes is reached. Standard library only.

The table is a file of lines. The first two have the daemon's session and the directory of its cgroups, which contain
only its scripts' processes (see `cgroups`). The other lines have a fixed length. A line is empty, or describes a script
that is about to be started (`starting TICKS`), or the process group of a running one (`running GROUP TICKS TICKS`).
TICKS are clock ticks since boot, the kernel's unit of a process's start time: before the start of the script and after
it. So a reused pid is recognised: its process was started at another time.

If the daemon is killed while it starts a script, the table doesn't have its pid. It is found by its session, which is
the daemon's own, as a process that was started later, and whose parent is not in the session or is the daemon itself.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "HEAD_SIZE",
    "LINE_SIZE",
    "ScriptTable",
    "Unended",
    "empty_line",
    "ending",
    "head",
    "remove_empty",
    "running_line",
    "starting_line",
    "ticks",
]

LINE_SIZE = 64
HEAD_SIZE = 8192
"""Bytes of the first two lines: a path has up to 4095."""
_PAUSE = 0.05
"""Seconds between two checks: one takes some milliseconds, with thousands of processes some dozens."""
_LOOKS = 2
"""Number of consecutive checks that must find no process."""
_TO_DIE = 2.0
"""Seconds after KILL: a process that still exists then is blocked in the kernel."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_TABLE_FD = 3


def ticks() -> int:
    """Returns the clock ticks since boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS_PER_SECOND // 1_000_000_000


def _line(text: str) -> bytes:
    return text.encode().ljust(LINE_SIZE - 1) + b"\n"


def head(session: int, cgroups: str) -> bytes:
    """Returns the first two lines.

    Args:
        session: The daemon's; 0 if it doesn't lead its session.
        cgroups: Directory of its cgroups; empty if there are none.
    """
    text = b"session %d\ncgroups %s" % (session, os.fsencode(cgroups))
    return text.ljust(HEAD_SIZE - 1) + b"\n"


def starting_line(since: int) -> bytes:
    """Returns the line of a script that is about to be started."""
    return _line(f"starting {since}")


def running_line(group: int, since: int) -> bytes:
    """Returns the line of a running script.

    Args:
        group: Its process group.
        since: The ticks before its start.
    """
    return _line(f"running {group} {since} {ticks()}")


def empty_line() -> bytes:
    """Returns an unused line."""
    return _line("")


class _Process:
    """A process, parsed from /proc/PID/stat."""

    __slots__ = ("group", "lives", "parent", "pid", "session", "start")

    def __init__(self, pid: int, stat: bytes) -> None:
        # the command's name, in parentheses, may contain any character
        fields = stat.rpartition(b")")[2].split()
        self.pid = pid
        self.lives = fields[0] not in (b"Z", b"X")
        self.parent, self.group, self.session = (int(field) for field in fields[1:4])
        self.start = int(fields[19])


def _processes() -> dict[int, _Process]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    found[int(entry)] = _Process(int(entry), file.read())
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended between the two calls
    return found


class ScriptTable:
    """The contents of a daemon's table."""

    def __init__(self, data: bytes) -> None:
        """Parses it; ignores invalid lines."""
        self.session = 0
        self.cgroups = ""
        self._starting: list[int] = []
        self._running: dict[int, tuple[int, int]] = {}
        for line in data.split(b"\n"):
            if line.startswith(b"cgroups "):
                self.cgroups = os.fsdecode(line.removeprefix(b"cgroups ").rstrip())
                continue
            word, *numbers = line.split() or [b""]
            if not all(number.isdigit() for number in numbers):
                continue
            match word, [int(number) for number in numbers]:
                case b"session", [session]:
                    self.session = session
                case b"starting", [since]:
                    self._starting.append(since)
                case b"running", [group, since, until] if group > 1:
                    self._running[group] = since, until

    @property
    def names_anybody(self) -> bool:
        """Whether a script ran, was about to be started, or has left a process in a cgroup."""
        return bool(self._starting or self._running or self._in_cgroups())

    def _in_cgroups(self) -> set[int]:
        found: set[int] = set()
        for directory in self.directories():
            try:
                with open(f"{directory}/cgroup.procs", "rb") as file:
                    found.update(map(int, file.read().split()))
            except OSError:
                pass  # removed meanwhile
        return found

    def directories(self) -> list[str]:
        """Returns the directories of the cgroups, nested ones before those around them."""
        return [directory for directory, _, _ in os.walk(self.cgroups, topdown=False)] if self.cgroups else []

    def left(self) -> dict[int, list[int]]:
        """Returns what to send signals to (a process group as a negative number), and the processes of each."""
        if not self.names_anybody:
            return {}
        processes = _processes()
        found: dict[int, list[int]] = {}
        strays = self._in_cgroups()
        for process in processes.values():
            if process.lives and process.pid not in (1, os.getpid(), self.session):
                for target in self._targets(process, processes):
                    found.setdefault(target, []).append(process.pid)
                    break
                else:
                    if process.pid in strays:
                        found[process.pid] = [process.pid]
        return found

    def _targets(self, process: _Process, processes: dict[int, _Process]) -> Iterator[int]:
        if self._is_ours(process.group, processes):
            yield -process.group
        elif self._is_ours(process.pid, processes):
            yield process.pid  # a leader that has moved to another group
        elif self._was_starting(process, processes):
            yield -process.pid if process.group == process.pid else process.pid

    def _is_ours(self, group: int, processes: dict[int, _Process]) -> bool:
        if group not in self._running:
            return False
        leader = processes.get(group)
        since, until = self._running[group]
        # a group's number is not reused while the group exists, even when its leader has ended
        return leader is None or since <= leader.start <= until

    def _was_starting(self, process: _Process, processes: dict[int, _Process]) -> bool:
        if not self._starting or not self.session or process.session != self.session:
            return False
        parent = processes.get(process.parent)
        # the daemon, which leads its session, may still be exiting: the kernel reparents its children at the very end
        orphaned = parent is None or parent.session != self.session or parent.pid == self.session
        return orphaned and process.start >= min(self._starting)


class Unended(Exception):
    """Processes don't end; `args` are their pids."""


def ending(table: ScriptTable, grace: float) -> Iterator[float]:
    """Ends the remaining processes: TERM, a grace period, KILL. Yields seconds to wait before it continues.

    Args:
        table: The previous daemon's.
        grace: Seconds between TERM and KILL.

    Raises:
        Unended: The kernel doesn't let a process die.
    """
    told: set[int] = set()
    deadline = time.monotonic() + grace
    looks = _LOOKS if table.names_anybody else 0
    while looks:
        left = table.left()
        # a process that forks and exits during a check is missed by it, and so may be its child
        looks = _LOOKS if left else looks - 1
        now = time.monotonic()
        if left and now >= deadline + _TO_DIE:
            raise Unended(*sorted({pid for pids in left.values() for pid in pids}))
        for target in left:
            if now >= deadline:
                _tell(target, signal.SIGKILL)
            elif target not in told:
                _tell(target, signal.SIGTERM)
                _tell(target, signal.SIGCONT)
        told.update(left)
        if looks:
            yield _PAUSE


def remove_empty(cgroup: str) -> None:
    """Removes a cgroup and those in it, except those with processes; does nothing if it doesn't exist.

    Args:
        cgroup: Its directory; may be empty.
    """
    for directory, _, _ in os.walk(cgroup, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            pass


def _tell(target: int, number: signal.Signals) -> None:
    try:
        os.kill(target, number)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, or it must not be signalled: the next check shows that


def _guard(grace: float) -> None:
    while os.read(0, 1):
        pass
    table = ScriptTable(os.pread(_TABLE_FD, os.fstat(_TABLE_FD).st_size, 0))
    try:
        for pause in ending(table, grace):
            time.sleep(pause)
    except Unended:
        sys.exit(1)
    remove_empty(table.cgroups)


if __name__ == "__main__":
    _guard(float(sys.argv[2]))
