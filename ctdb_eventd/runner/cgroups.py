"""Cgroups (version 2), one for each run, where they may be made: who is in one was started by that run's scripts.

A process can leave its process group and its session, but not its cgroup. So what an event that timed out or was
cancelled has left is found even if it called `setsid`, and a daemon that was killed leaves behind the list of what is
to be ended. What a script leaves on purpose, when it has exited by itself, is let go: it goes on where the daemon is.

A process begins in the cgroup of whoever starts it, and moving it later would be too late for what it has started by
then. So the daemon itself goes into a run's cgroup to start a script, and stays there until it starts something else or
that run is over: of an event with many scripts, most cost nothing.

Cgroups are made below the daemon's own. Under systemd that needs `Delegate=yes` in the unit, as others than systemd
must not make any elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import time
from itertools import count

import anyio

__all__ = ["Cgroup", "Cgroups", "NoCgroups", "base_for"]

_log = logging.getLogger(__name__)

_SYSTEMD = "/run/systemd/system"
_DELEGATED = ("user.delegate", "trusted.delegate")
_LOOK_AGAIN = 0.05
"""Seconds between two looks whether all have gone."""
_MOST_READ = 1 << 16
_MYSELF = 0
"""To the kernel, the process that writes it."""


class NoCgroups(Exception):
    """None can be made here; the text says why."""


class Cgroups:
    """Makes them."""

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
        if base is not None:
            self._home = os.path.dirname(base)
            try:
                os.mkdir(base, 0o755)
            except FileExistsError:
                pass
            except OSError as error:
                raise NoCgroups(f"can't make {base}: {error.strerror}") from error

    def enter(self, cgroup: Cgroup | None) -> None:
        """Goes where what is started next is to be; None is where this process was at first."""
        if cgroup is self._where:
            return
        try:
            if cgroup is not None:
                cgroup.add(_MYSELF)
            else:
                _move(_MYSELF, self._home)
        except OSError as error:
            _log.warning("can't change the cgroup: %s; what leaves a script's process group is not found", error)
        else:
            self._where = cgroup

    def leave(self, cgroup: Cgroup) -> None:
        """Goes out of one that is to be emptied."""
        if self._where is cgroup:
            self.enter(None)

    def make(self) -> Cgroup | None:
        """Makes one for a run; None if there are none, or no more."""
        if self.base is None:
            return None
        try:
            return Cgroup(self, f"{self.base}/{next(self._numbers)}", self._home)
        except OSError as error:
            _log.warning("no cgroup for a run: %s; what leaves its scripts' process groups is not found", error)
            return None

    def remove(self) -> None:
        """Removes the one below which all others were."""
        if self.base is not None:
            with contextlib.suppress(OSError):
                os.rmdir(self.base)


class Cgroup:
    """One run's."""

    __slots__ = ("_all", "_outside", "_path", "_procs")

    def __init__(self, all_of_them: Cgroups, path: str, outside: str) -> None:
        """Makes it.

        Args:
            all_of_them: Made it.
            path: Its directory.
            outside: The directory of the cgroup in which those go on that are let go.

        Raises:
            OSError: It can't be made.
        """
        os.mkdir(path, 0o755)
        self._all = all_of_them
        self._path = path
        self._outside = outside
        self._procs = os.open(f"{path}/cgroup.procs", os.O_RDWR | os.O_CLOEXEC)

    def add(self, pid: int) -> None:
        """Moves a process into it; 0 is this one.

        Raises:
            OSError: It can't be moved.
        """
        os.write(self._procs, b"%d" % pid)

    def members(self) -> list[int]:
        """Returns the processes that are in it, but for this one; zombies don't count."""
        own = os.getpid()
        return [pid for pid in map(int, os.pread(self._procs, _MOST_READ, 0).split()) if pid != own]

    def let_go(self) -> None:
        """Moves everybody out, to go on as if never started by us."""
        for pid in self.members():
            with contextlib.suppress(OSError):  # it has ended
                _move(pid, self._outside)

    def tell(self, number: signal.Signals, *, but_group: int) -> None:
        """Sends a signal to everybody but the members of a process group, which have got it already."""
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) != but_group:
                    os.kill(pid, number)

    async def end(self, deadline: float) -> None:
        """Waits until nobody is left, and kills who is at the deadline. Cancellation-safe."""
        while self.members():
            if time.monotonic() >= deadline:
                self._kill()
            await anyio.sleep(_LOOK_AGAIN)

    def _kill(self) -> None:
        # one by one, and not by cgroup.kill: that would end this process too, should it be there after all
        self.tell(signal.SIGKILL, but_group=0)

    def close(self, *, kill: bool = False) -> None:
        """Removes it; whoever is still there is let go, after SIGKILL if that is wanted."""
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
    with open(f"{directory}/cgroup.procs", "wb", buffering=0) as file:
        file.write(b"%d" % pid)


def base_for(pid: int) -> str:
    """Returns where a daemon may have its cgroups.

    Raises:
        NoCgroups: Nowhere.
    """
    own = _own_directory()
    if os.path.isdir(_SYSTEMD) and not _is_delegated(own):
        raise NoCgroups("the unit that starts this has no Delegate=yes")
    return os.path.join(own, f"ctdb-eventd.{pid}")


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
    while directory != "/":
        for name in _DELEGATED:
            with contextlib.suppress(OSError):
                if os.getxattr(directory, name) == b"1":
                    return True
        directory = os.path.dirname(directory)
    return False
