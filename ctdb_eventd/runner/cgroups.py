"""Cgroups (version 2), one for each run, where they may be made: who is in one was started by that run's scripts.

A process can leave its process group and its session, but not its cgroup. So what an event that timed out or was
cancelled has left is found even if it called `setsid`, and a daemon that was killed leaves behind the list of what is
to be ended. What a script leaves on purpose, when it has exited by itself, is let go: it goes on where the daemon is.

A process begins in the cgroup of whoever starts it, and moving it later would be too late for what it has started by
then. So the daemon itself goes into a run's cgroup to start a script, and stays there until it starts something else or
that run is over: of an event with many scripts, most cost nothing.

Cgroups are made below the daemon's own, or, under systemd, below the directory that the unit has delegated
(`Delegate=`): nobody but systemd may make any elsewhere.

A component that has limits has a cgroup of its own around those of its runs. The daemon doesn't stay in there: its
own memory isn't the component's.
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
from ctdb_eventd.runner.leftovers import remove_empty

__all__ = ["Cgroup", "Cgroups", "NoCgroups", "base_for"]

_log = logging.getLogger(__name__)

_SYSTEMD = "/run/systemd/system"
_DELEGATED = ("user.delegate", "trusted.delegate")
_LOOK_AGAIN = 0.05
"""Seconds between two looks whether all have gone."""
_MOST_READ = 1 << 16
_MYSELF = 0
"""To the kernel, the process that writes it."""
_OF_ANOTHER_NAMESPACE = 0
"""From the kernel, a process that has no number here; a signal to 0 would go to this process's own group."""


class NoCgroups(Exception):
    """None can be made here; the text says why."""


class Cgroups:
    """Makes them.

    Attributes:
        base: The directory of the one below which all others are; None if there are none.
        home: The directory of the daemon's own, in which processes go on that are moved out of a run's.
    """

    def __init__(self, base: str | None) -> None:
        """Makes the one below which all others are.

        Args:
            base: Its path; None if there are none.

        Raises:
            NoCgroups: It can't be made.
        """
        self.base = base
        self._numbers = count(1)
        self._where: Cgroup | None = None
        self._limited: dict[str, _Limited] = {}
        if base is not None:
            self.home = _own_directory()
            remove_empty(base)  # of a daemon that had this process's number and was killed
            try:
                os.makedirs(base, 0o755, exist_ok=True)
            except OSError as error:
                raise NoCgroups(f"can't make {base}: {error.strerror}") from error

    def limit(self, limits: Mapping[str, Limits]) -> None:
        """Puts the components' limits in force, at once and for what runs already too.

        Args:
            limits: For each component its limits; others have none.
        """
        for component in sorted(limits.keys() | self._limited.keys()):
            try:
                self._limit(component, limits.get(component, Limits()))
            except (OSError, NoCgroups) as error:
                _log.error("[limits] of component %s are not in force: %s", component, error)

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
        """Goes where what is started next is to be; None is where this process was at first."""
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
            self._where = cgroup

    def leave(self, cgroup: Cgroup) -> None:
        """Goes out of one that is to be emptied."""
        if self._where is cgroup:
            self.enter(None)

    def make(self, component: str) -> Cgroup | None:
        """Makes one for a run of a component; None if there are none, or no more."""
        if self.base is None:
            return None
        limited = self._limited.get(component)
        above = self.base if limited is None else limited.path
        try:
            return Cgroup(self, f"{above}/{next(self._numbers)}", limited)
        except OSError as error:
            _log.warning("no cgroup for a run: %s; what leaves its scripts' process groups is not found", error)
            return None

    def remove(self) -> None:
        """Removes the one below which all others were."""
        if self.base is not None:
            remove_empty(self.base)


class _Limited:
    """A component's, around those of its runs."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._hits: dict[str, int] = {}

    def limit(self, limits: Limits) -> None:
        for name, value in ("memory.max", limits.memory), ("pids.max", limits.pids):
            _write(f"{self.path}/{name}", b"max" if value is None else b"%d" % value)

    def new_hits(self) -> list[str]:
        """Returns what the limits have done since the last call, in words."""
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
    """One run's."""

    __slots__ = ("_all", "_limited", "_path", "_procs")

    def __init__(self, all_of_them: Cgroups, path: str, limited: _Limited | None) -> None:
        """Makes it.

        Args:
            all_of_them: Made it.
            path: Its directory.
            limited: It is in that.

        Raises:
            OSError: It can't be made.
        """
        os.mkdir(path, 0o755)
        self._all = all_of_them
        self._path = path
        self._limited = limited
        self._procs = os.open(f"{path}/cgroup.procs", os.O_RDWR | os.O_CLOEXEC)

    @property
    def is_limited(self) -> bool:
        """Tells whether its component has limits."""
        return self._limited is not None

    def new_hits(self) -> list[str]:
        """Returns what its component's limits have done since anybody asked last, in words."""
        return [] if self._limited is None else self._limited.new_hits()

    def add(self, pid: int) -> None:
        """Moves a process into it; 0 is this one.

        Raises:
            OSError: It can't be moved.
        """
        os.write(self._procs, b"%d" % pid)

    def members(self) -> list[int]:
        """Returns the processes that are in it, but for this one; zombies don't count."""
        not_meant = (_OF_ANOTHER_NAMESPACE, os.getpid())
        return [pid for pid in map(int, os.pread(self._procs, _MOST_READ, 0).split()) if pid not in not_meant]

    def let_go(self) -> None:
        """Moves all its processes out; they go on in the daemon's own cgroup."""
        for pid in self.members():
            with contextlib.suppress(OSError):  # it has ended
                _move(pid, self._all.home)

    def send_signal(self, number: signal.Signals, *, except_group: int) -> None:
        """Sends a signal to all processes but the members of a process group, which have got it already."""
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) != except_group:
                    os.kill(pid, number)

    async def end(self, deadline: float) -> None:
        """Waits until it is empty; kills what is left at the deadline. Cancellation-safe."""
        while self.members():
            if time.monotonic() >= deadline:
                self._kill()
            await anyio.sleep(_LOOK_AGAIN)

    def _kill(self) -> None:
        # one by one, and not by cgroup.kill: that would end this process too, should it be there after all
        self.send_signal(signal.SIGKILL, except_group=0)

    def close(self, *, kill: bool = False) -> None:
        """Removes it; processes that are left are moved out, after SIGKILL if `kill`."""
        self._all.leave(self)
        if kill:
            self._kill()
        try:
            os.rmdir(self._path)
        except OSError as error:
            if error.errno == errno.EBUSY:
                self.let_go()
                with contextlib.suppress(OSError):
                    os.rmdir(self._path)
        os.close(self._procs)


def _move(pid: int, directory: str) -> None:
    _write(f"{directory}/cgroup.procs", b"%d" % pid)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def _allow_limits(directory: str) -> None:
    """Lets cgroups in a directory have limits.

    Raises:
        NoCgroups: They can't.
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
    """Returns where a daemon may have its cgroups.

    Containers can have the same cgroups in sight, and each of them a process of the same number: the name has the
    namespace of the number too.

    Args:
        pid: The daemon's number, in this process's namespace.

    Raises:
        NoCgroups: Nowhere.
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
