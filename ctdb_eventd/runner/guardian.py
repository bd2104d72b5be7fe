"""Ends the scripts of a daemon that was killed: a tiny process that waits for the daemon's death and does nothing else.

A daemon that gets SIGKILL can't end its scripts any more, and ctdbd, which ends with it, may be started again at once:
then two generations of scripts would work on the same addresses. The guardian holds the read end of a pipe whose
write end only the daemon has, so the kernel tells it. What it has to end stands in memory that both share.

Both also hold a lock (flock) on the run directory. The next daemon waits for that before it runs anything, so it starts
when the last script of the former one is gone.

That order is safe: each holds a reference to one and the same lock, so it is free when both have ended. The guardian
ends only when the kernel finds no process of a group any more, and by then all their files are closed and what they had
locked is free; neither it nor the daemon has locks that the next daemon could still find held. No script inherits the
lock. A daemon that is killed before it has started a guardian has not run any script: it serves nobody before that. The
lock is free too early in two cases: the guardian is killed, and within the second until it is replaced the daemon too;
and the daemon is killed after it has started a script and before it has entered it in the table. That script goes on.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import math
import os

import anyio

from ctdb_eventd.runner.group import exited

__all__ = ["Guardian", "lock_run_directory"]

_log = logging.getLogger(__name__)

_SHELL = "/bin/sh"
# Reads the pipe (0) to its end, then the table (3), one process group a line; $1 is the grace period, $2 the time
# to die after KILL, in tenths of a second. The leader of each group is told apart from it, as it may have moved to
# another one. 4 has the lock.
_SCRIPT = """
while read -r _; do :; done
all=
while read -r group; do [ -z "$group" ] || all="$all -$group $group"; done <&3
left() {
    those=$all all=
    for one in $those; do ! kill -s 0 -- "$one" || all="$all $one"; done
    [ -n "$all" ]
}
tell() { for one in $all; do kill -s "$1" -- "$one"; done; }
await() {
    tenths=$1
    while left && [ "$tenths" -gt 0 ]; do sleep 0.1; tenths=$((tenths - 1)); done
    [ -n "$all" ]
}
left || exit 0
tell TERM
tell CONT
await "$1" || exit 0
tell KILL
await "$2"
"""
_FIRST_FREE = 10
"""What becomes a descriptor of the process must not lie where another one is put before."""
_KILL_WAIT = 20
"""Tenths of a second: what doesn't end by then is held by the kernel."""
_LINE = b"%11d\n"
_EMPTY_LINE = b" " * 11 + b"\n"
_LINE_SIZE = len(_EMPTY_LINE)
_EXIT_PATIENCE = 1.0
_RESTART_PAUSE = 1.0
_RETRY_PAUSE = 60.0


def lock_run_directory(fd: int) -> bool:
    """Takes the lock, if no guardian of a former daemon has it.

    Args:
        fd: Descriptor of the directory; the lock lasts until it, and every copy of it, is closed.

    Returns:
        False if a guardian is still at work.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without such locks: nothing to be told by them
    return True


class Guardian:
    """The table of running process groups, and the process that guards it."""

    def __init__(self, lock: int | None = None) -> None:
        """Makes the table; `startup` starts the process.

        Args:
            lock: Descriptor that has the lock which both hold, from `lock_run_directory`.
        """
        self._lock = None if lock is None else fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
        table = os.memfd_create("ctdb-eventd-groups", os.MFD_CLOEXEC)
        self._table = fcntl.fcntl(table, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
        os.close(table)
        self._lines = 0
        self._free: list[int] = []
        self._pid = 0
        self._pidfd = self._pipe = -1
        self._restart: asyncio.TimerHandle | None = None

    def startup(self, grace: float) -> None:
        """Starts the process; without it (no shell, no memory) the daemon works too, and says so in the log.

        Args:
            grace: Seconds between TERM and KILL.
        """
        try:
            self._start(grace)
        except OSError as error:
            _log.error("no guardian (%s): should this daemon be killed, its scripts go on running", error)
            self._close_pipe()
            self._restart = asyncio.get_running_loop().call_later(_RETRY_PAUSE, self.startup, grace)
            return
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_death, grace)

    def _start(self, grace: float) -> None:
        read_end, self._pipe = os.pipe2(os.O_CLOEXEC)
        actions = [
            (os.POSIX_SPAWN_DUP2, read_end, 0),
            (os.POSIX_SPAWN_DUP2, self._table, 3),
            (os.POSIX_SPAWN_CLOSE, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        if self._lock is not None:
            actions.append((os.POSIX_SPAWN_DUP2, self._lock, 4))
        try:
            name = "ctdb-eventd-guardian"
            argv = (name, "-c", _SCRIPT, name, str(math.ceil(10 * grace)), str(_KILL_WAIT))
            self._pid = os.posix_spawn(_SHELL, argv, {b"PATH": b"/usr/bin:/bin"}, file_actions=actions, setpgroup=0)
            self._pidfd = os.pidfd_open(self._pid)
        finally:
            os.close(read_end)

    def protect(self, group: int) -> int:
        """Enters a process group; returns the line it stands in."""
        if self._free:
            line = self._free.pop()
        else:
            line, self._lines = self._lines, self._lines + 1
        os.pwrite(self._table, _LINE % group, line * _LINE_SIZE)
        return line

    def release(self, line: int) -> None:
        """Takes a process group off the table. To be called before its leader is reaped: then its number is free."""
        os.pwrite(self._table, _EMPTY_LINE, line * _LINE_SIZE)
        self._free.append(line)

    async def shutdown(self) -> None:
        """Lets the process go, and waits for it."""
        if self._restart is not None:
            self._restart.cancel()
        self._close_pipe()
        if self._pidfd >= 0:
            with anyio.move_on_after(_EXIT_PATIENCE, shield=True):
                await exited(self._pidfd)
            self._reap()
        os.close(self._table)
        if self._lock is not None:
            os.close(self._lock)

    def _on_death(self, grace: float) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._reap()
        self._close_pipe()
        _log.warning("the guardian process %d was killed, another one is started", self._pid)
        # not at once, or a shell that can't run would be started for ever
        self._restart = asyncio.get_running_loop().call_later(_RESTART_PAUSE, self.startup, grace)

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _reap(self) -> None:
        os.close(self._pidfd)
        self._pidfd = -1
        os.waitpid(self._pid, os.WNOHANG)
