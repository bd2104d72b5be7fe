"""Cgroups (version 2), one for each run, where possible: all processes in one were started by that run's scripts.

A process can leave its process group and its session, but not its cgroup. So processes that a timed-out or cancelled
event left are found even if they called `setsid`, and if the daemon is killed, its cgroups list what has to be ended.
Processes that a script leaves after a normal exit are moved to the daemon's own cgroup and continue.

A process starts in the cgroup of its parent. Moving it later would be too late for the processes that it has started by
then. So the daemon itself moves into a run's cgroup to start a script.

A move is expensive: unless another one was just before it, the kernel waits for every processor first (about 10 ms,
more than the whole start of most scripts). So the daemon stays where it is, and a run's cgroup that is empty at its end
is used for the next run: runs one after another need no move at all.

Cgroups are created below the daemon's own, or, under systemd, below the directory that the unit has delegated
(`Delegate=`): only systemd may create cgroups elsewhere.

A component with limits has its own cgroup around those of its runs. The daemon doesn't stay in it, as its own memory is
not the component's: it moves for each script.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import time
from collections.abc import Mapping
from itertools import count

import anyio

from ctdb_eventd.config import Limits
from ctdb_eventd.runner.group import in_group
from ctdb_eventd.runner.leftovers import remove_empty

__all__ = ["Cgroup", "Cgroups", "NoCgroups", "base_for"]

_log = logging.getLogger(__name__)

_SYSTEMD = "/run/systemd/system"
_DELEGATED = ("user.delegate", "trusted.delegate")
_LOOK_AGAIN = 0.05
"""Seconds between two checks whether the cgroup is empty."""
_MOST_LOOKS = 10
"""Number of attempts to move all processes out of a cgroup: each may start another one before it is moved."""
_MOST_READ = 1 << 16
_MYSELF = 0
"""In a write to cgroup.procs: the writing process."""
_OF_ANOTHER_NAMESPACE = 0
"""In a read: a process without a pid in this namespace; signalling 0 would signal this process's own group."""


class NoCgroups(Exception):
    """No cgroups can be created; the text is the reason."""


class Cgroups:
    """Creates cgroups.

    Attributes:
        base: The directory of the cgroup that contains all others; None if there are none.
        home: The directory of the daemon's own cgroup; processes that leave a run's cgroup are moved there.
    """

    def __init__(self, base: str | None) -> None:
        """Creates the cgroup that contains all others.

        Args:
            base: Its path; None if there are none.

        Raises:
            NoCgroups: It can't be created.
        """
        self.base = base
        self._numbers = count(1)
        self._where: Cgroup | None = None
        self._is_free = False  # nothing but this process is in it, and no run has it
        self._limited: dict[str, _Limited] = {}
        if base is not None:
            self.home = _own_directory()
            remove_empty(base)  # left by a killed daemon with the same pid
            try:
                os.makedirs(base, 0o755, exist_ok=True)
            except OSError as error:
                raise NoCgroups(f"can't make {base}: {error.strerror}") from error

    def limit(self, limits: Mapping[str, Limits]) -> None:
        """Applies the components' limits, immediately and also to running processes.

        Args:
            limits: Limits by component; other components have none.
        """
        for component in sorted(limits.keys() | self._limited.keys()):
            try:
                self._limit(component, limits.get(component, Limits()))
            except (OSError, NoCgroups) as error:
                _log.error("[limits] of component %s are not applied: %s", component, error)

    def _limit(self, component: str, limits: Limits) -> None:
        if self.base is None:
            raise NoCgroups("there are no cgroups")
        if component not in self._limited:
            _allow_limits(os.path.dirname(self.base))
            _allow_limits(self.base)
            path = f"{self.base}/component.{component}"
            os.makedirs(path, 0o755, exist_ok=True)
            self._limited[component] = _Limited(path)
        self._limited[component].limit(limits)

    def enter(self, cgroup: Cgroup | None) -> None:
        """Moves this process to where the next process has to be started; None is its original cgroup."""
        if cgroup is self._where:
            return
        try:
            if cgroup is not None:
                cgroup.add(_MYSELF)
            else:
                _move(_MYSELF, self.home)
        except OSError as error:
            _log.warning("can't change the cgroup: %s; what leaves a script's process group is not found", error)
        else:
            former, self._where = self._where, cgroup
            if former is not None and self._is_free:
                self._is_free = False
                former.remove()

    def leave(self, cgroup: Cgroup) -> None:
        """Leaves a cgroup that is to be removed."""
        if self._where is cgroup:
            self.enter(None)

    def keep(self, cgroup: Cgroup) -> bool:
        """Returns whether a cgroup is kept for the next run: only this process is in it."""
        if self._where is not cgroup or cgroup.is_limited or cgroup.members():
            return False
        self._is_free = True
        return True

    def make(self, component: str) -> Cgroup | None:
        """Returns an empty cgroup for a run of a component; None if that is impossible."""
        if self.base is None:
            return None
        limited = self._limited.get(component)
        if limited is None and self._is_free:
            self._is_free = False
            return self._where
        above = self.base if limited is None else limited.path
        try:
            return Cgroup(self, f"{above}/{next(self._numbers)}", limited)
        except OSError as error:
            _log.warning("no cgroup for a run: %s; what leaves its scripts' process groups is not found", error)
            return None

    def remove(self) -> None:
        """Removes the cgroup that contained all others, after the last run."""
        if self.base is not None:
            self.enter(None)
            remove_empty(self.base)


class _Limited:
    """A component's cgroup, around those of its runs."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._hits: dict[str, int] = {}

    def limit(self, limits: Limits) -> None:
        for name, value in ("memory.max", limits.memory), ("pids.max", limits.pids):
            _write(f"{self.path}/{name}", b"max" if value is None else b"%d" % value)

    def new_hits(self) -> list[str]:
        """Returns how often the limits were reached since the last call, as texts."""
        found = []
        for file, counter, words in _COUNTERS:
            with contextlib.suppress(OSError), open(f"{self.path}/{file}", encoding="ascii") as lines:
                number = int(dict(line.split() for line in lines).get(counter, 0))
                new = number - self._hits.get(file, 0)
                self._hits[file] = number
                if new:
                    found.append(words.format(new))
        return found


_COUNTERS = (
    ("memory.events", "oom_kill", "memory: the kernel killed {} processes"),
    ("pids.events", "max", "pids: {} times no process could be started"),
)


class Cgroup:
    """The cgroup of one run."""

    __slots__ = ("_all", "_limited", "_path", "_procs")

    def __init__(self, all_of_them: Cgroups, path: str, limited: _Limited | None) -> None:
        """Creates it.

        Args:
            all_of_them: Its creator.
            path: Its directory.
            limited: The cgroup around it, if its component has limits.

        Raises:
            OSError: It can't be created.
        """
        os.mkdir(path, 0o755)
        self._all = all_of_them
        self._path = path
        self._limited = limited
        self._procs = os.open(f"{path}/cgroup.procs", os.O_RDWR | os.O_CLOEXEC)

    @property
    def is_limited(self) -> bool:
        """Whether its component has limits."""
        return self._limited is not None

    def new_hits(self) -> list[str]:
        """Returns how often its component's limits were reached since the last call, as texts."""
        return [] if self._limited is None else self._limited.new_hits()

    def add(self, pid: int) -> None:
        """Moves a process into it; 0 is this process.

        Raises:
            OSError: It can't be moved.
        """
        os.write(self._procs, b"%d" % pid)

    def members(self) -> list[int]:
        """Returns the processes in it except this one; zombies don't count."""
        not_meant = (_OF_ANOTHER_NAMESPACE, os.getpid())
        return [pid for pid in map(int, os.pread(self._procs, _MOST_READ, 0).split()) if pid not in not_meant]

    def let_go(self) -> None:
        """Moves all its processes out; they continue in the daemon's own cgroup."""
        for _ in range(_MOST_LOOKS):
            members = self.members()
            if not members:
                return
            for pid in members:  # its children that are started before this remain, for the next look
                with contextlib.suppress(OSError):  # it has ended
                    _move(pid, self._all.home)

    def send_signal(self, number: signal.Signals, *, except_group: int) -> None:
        """Sends a signal to all processes except the members of a process group, which have already received it."""
        for pid in self.members():
            if not in_group(pid, except_group):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    async def end(self, deadline: float) -> None:
        """Waits until it is empty; kills the remaining processes at the deadline. Cancellation-safe."""
        while self.members():
            if time.monotonic() >= deadline:
                self.kill()
            await anyio.sleep(_LOOK_AGAIN)

    def kill(self) -> None:
        """Sends SIGKILL to all processes in this cgroup."""
        # one by one, and not by cgroup.kill: that would end this process too, if it were in the cgroup
        self.send_signal(signal.SIGKILL, except_group=0)

    def close(self, *, kill: bool = False) -> None:
        """Ends its use for this run; moves remaining processes out, after SIGKILL if `kill`."""
        if kill:
            self.kill()
        self.let_go()
        if not self._all.keep(self):
            self._all.leave(self)
            self.remove()

    def remove(self) -> None:
        """Removes it, unless a process is in it."""
        with contextlib.suppress(OSError):
            os.rmdir(self._path)
        os.close(self._procs)


def _move(pid: int, directory: str) -> None:
    _write(f"{directory}/cgroup.procs", b"%d" % pid)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def _allow_limits(directory: str) -> None:
    """Enables limits for cgroups in a directory.

    Raises:
        NoCgroups: That is impossible.
    """
    with open(f"{directory}/cgroup.controllers", encoding="ascii") as file:
        missing = {"memory", "pids"}.difference(file.read().split())
    if missing:
        raise NoCgroups(f"{directory} doesn't have {' and '.join(sorted(missing))} (cgroup.controllers)")
    try:
        _write(f"{directory}/cgroup.subtree_control", b"+memory +pids")
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        raise NoCgroups(f"processes are in {directory} itself: the unit needs DelegateSubgroup=") from error


def base_for(pid: int) -> str:
    """Returns the directory in which a daemon may create its cgroups.

    Containers may see the same cgroups, and each may have a process with the same pid: the name contains the pid
    namespace too.

    Args:
        pid: The daemon's pid, in this process's namespace.

    Raises:
        NoCgroups: There is none.
    """
    place = _own_directory()
    if os.path.isdir(_SYSTEMD):
        while not _is_delegated(place):
            if place == "/":
                raise NoCgroups("the unit that starts this has no Delegate=yes")
            place = os.path.dirname(place)
    return os.path.join(place, f"ctdb-eventd.{os.stat('/proc/self/ns/pid').st_ino}.{pid}")


def _own_directory() -> str:
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        own = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), None)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, kind = line.partition(" - ")
            if kind.startswith("cgroup2 ") and own is not None:
                root, place = fields.split()[3:5]
                below = os.path.relpath(own, root)
                if not below.startswith(".."):
                    return os.path.normpath(os.path.join(place, below))
    raise NoCgroups("no cgroup2 file system is mounted")


def _is_delegated(directory: str) -> bool:
    for name in _DELEGATED:
        with contextlib.suppress(OSError):
            if os.getxattr(directory, name) == b"1":
                return True
    return False
