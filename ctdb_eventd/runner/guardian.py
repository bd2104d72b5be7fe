"""Makes sure that no script survives a killed daemon: by a process that waits for the daemon's death, and by a file.

A daemon that gets SIGKILL can't end its scripts, and ctdbd, which exits with it, may be started again at once: then two
generations of scripts would work on the same addresses. The running scripts are listed in a file that only root may
read (see `leftovers`). The guardian, a separate process, holds the read end of a pipe whose write end only the daemon
has. At the daemon's death the pipe ends, and the guardian ends the listed processes. The next daemon does the same
before it
listens: it waits for the end of the last script of the previous one, even if the guardian was killed.

The guardian is in a session of its own and blocks TERM, INT, HUP and similar signals. Its command line doesn't contain
the daemon's name, so commands for the daemon (`pkill -f`) don't end it.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
import time

import anyio

from ctdb_eventd.runner import leftovers
from ctdb_eventd.runner.cgroups import Cgroups
from ctdb_eventd.runner.group import exited

__all__ = ["Guardian", "own_session"]

_log = logging.getLogger(__name__)

_MOST_LINES = 1024
"""More than the number of scripts that can run at the same time."""
_FIRST_FREE = 10
"""The spawn actions overwrite lower descriptors, so their sources must not be below this number."""
_EXIT_TIMEOUT = 1.0
_SHORT_LIFE = 1.0
_RESTART_PAUSE = 1.0
"""Seconds before a restart if the last process lived no longer than `_SHORT_LIFE`; otherwise it restarts at once."""
_RETRY_PAUSE = 60.0
_BLOCKED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def own_session() -> int:
    """Moves this process into a session of its own, if that is allowed; returns the session's id, or 0.

    It is not allowed for a process group leader, as in an interactive shell with job control.
    """
    if os.getsid(0) != os.getpid():
        try:
            os.setsid()
        except PermissionError:
            return 0
    return os.getpid()


class Guardian:
    """The table of running scripts, and the guardian process."""

    def __init__(self, table: int, session: int, cgroups: Cgroups) -> None:
        """Creates an empty table; `startup` starts the process.

        Args:
            table: Descriptor of the file, which is overwritten.
            session: The daemon's own session, or 0.
            cgroups: The daemon's.

        Raises:
            OSError: There is no space for the table.
        """
        self._table = fcntl.fcntl(table, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
        os.ftruncate(self._table, 0)
        # later writes must not fail because the file system is full
        os.posix_fallocate(self._table, 0, leftovers.HEAD_SIZE + _MOST_LINES * leftovers.LINE_SIZE)
        os.pwrite(self._table, leftovers.head(session, cgroups.base or ""), 0)
        self._cgroups = cgroups
        self._since: list[int] = []
        """Ticks before the start of each line's script."""
        self._free: list[int] = []
        self._pid = 0
        self._pidfd = self._pipe = -1
        self._began = 0.0
        self._restart: asyncio.TimerHandle | None = None

    def startup(self, grace: float) -> None:
        """Starts the process; if that fails (no memory), logs it and retries later: the daemon works without it.

        Args:
            grace: Seconds between TERM and KILL.
        """
        try:
            self._start(grace)
        except OSError as error:
            _log.error(
                "no guardian (%s): if this daemon is killed, its scripts continue until the next one starts", error
            )
            self._close_pipe()
            self._restart = asyncio.get_running_loop().call_later(_RETRY_PAUSE, self.startup, grace)
            return
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_death, grace)

    def _start(self, grace: float) -> None:
        read_end, self._pipe = os.pipe2(os.O_CLOEXEC)
        program = -1
        try:
            # executed by its descriptor: a path may contain the daemon's name
            opened = os.open(leftovers.__file__, os.O_RDONLY | os.O_CLOEXEC)
            program = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
            os.close(opened)
            actions = [
                (os.POSIX_SPAWN_DUP2, read_end, 0),
                (os.POSIX_SPAWN_DUP2, self._table, 3),
                (os.POSIX_SPAWN_DUP2, program, 4),
                (os.POSIX_SPAWN_CLOSE, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ]
            python = os.path.realpath(sys.executable)
            argv = (python, "-IS", "/proc/self/fd/4", "script-guardian", f"{grace:g}")
            self._began = time.monotonic()
            self._cgroups.enter(None)
            self._pid = os.posix_spawn(python, argv, {}, file_actions=actions, setsid=True, setsigmask=_BLOCKED)
            self._pidfd = os.pidfd_open(self._pid)
        finally:
            os.close(read_end)
            if program >= 0:
                os.close(program)

    def protect(self) -> int:
        """Reserves a line of the table for a script that is about to be started; returns the line."""
        if self._free:
            line = self._free.pop()
        else:
            line = len(self._since)
            self._since.append(0)
        since = self._since[line] = leftovers.ticks()
        self._write(line, leftovers.starting_line(since))
        return line

    def _write(self, line: int, text: bytes) -> None:
        os.pwrite(self._table, text, leftovers.HEAD_SIZE + line * leftovers.LINE_SIZE)

    def started(self, line: int, group: int) -> None:
        """Stores the process group of a started script."""
        self._write(line, leftovers.running_line(group, self._since[line]))

    def release(self, line: int) -> None:
        """Removes a script from the table. To be called before its leader is reaped, whose pid may be reused then."""
        self._write(line, leftovers.empty_line())
        self._free.append(line)

    async def rest(self) -> None:
        """Stops the process and waits for its end; `startup` starts another one."""
        if self._restart is not None:
            self._restart.cancel()
        self._cgroups.enter(None)  # what is in another one is ended now
        self._close_pipe()
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            with anyio.move_on_after(_EXIT_TIMEOUT, shield=True) as scope:
                await exited(self._pidfd)
            if scope.cancelled_caught:  # it must not end scripts that are started later
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                await exited(self._pidfd)
            self._reap()

    async def shutdown(self) -> None:
        """Stops the process and waits for its end."""
        await self.rest()
        os.close(self._table)

    def _on_death(self, grace: float) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._reap()
        self._close_pipe()
        _log.warning("the guardian process %d was killed, another one is started", self._pid)
        # at once, but not in an endless loop if it can't run
        pause = 0 if time.monotonic() - self._began > _SHORT_LIFE else _RESTART_PAUSE
        self._restart = asyncio.get_running_loop().call_later(pause, self.startup, grace)

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _reap(self) -> None:
        os.close(self._pidfd)
        self._pidfd = -1
        os.waitpid(self._pid, os.WNOHANG)
