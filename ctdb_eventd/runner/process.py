"""One child process: started by posix_spawn, watched by its pidfd, its output captured, its group killed if necessary.

No thread, no waiting for pipes: a script has ended when its process has, even if others still hold its output open.
Asyncio's own process helpers are several times slower, and wait for the pipe, which a script's daemons hold open.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable, Mapping

import anyio
import attrs

from ctdb_eventd.descriptors import raise_limit
from ctdb_eventd.names import HELD_LOCKS
from ctdb_eventd.runner import group
from ctdb_eventd.runner.capture import Capture
from ctdb_eventd.runner.cgroups import Cgroup, Cgroups
from ctdb_eventd.runner.guardian import Guardian

__all__ = ["KILL_TIMEOUT", "Child", "SpawnContext"]

_READ_SIZE = 1 << 16
_DRAIN_LIMIT = 1 << 20
"""Bytes that are read from the pipe after the exit: the maximum that a pipe can hold (fcntl F_SETPIPE_SZ for
unprivileged users). Without a limit a surviving process that keeps printing could block the daemon for ever."""
_LISTEN_AFTER = 0.01
"""Seconds after which the pipe is watched by the event loop. Most scripts have ended by then, and reading the pipe once
at the end is faster."""
KILL_TIMEOUT = 2.0
"""Seconds after KILL for which a process is waited for; in state D it doesn't end."""
_TRACER_INTERVAL = 0.01
"""Seconds between two checks whether a tracer has released an exited script."""
Printed = Callable[[bytes], None]
# Python ignores SIGPIPE, and the daemon's parent may have ignored others; a script starts as from a shell
_DEFAULT_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SpawnContext:
    """Environment and descriptors of every child."""

    environ: Mapping[bytes, bytes]
    """Its whole environment."""
    stdin: int
    """Descriptor that becomes its standard input."""
    guardian: Guardian
    """Ends it if the daemon is killed."""
    cgroups: Cgroups
    """Makes one for each run."""
    oom_score_adj: bytes | None = None
    """Is written to /proc/PID/oom_score_adj; None if the inherited value stays."""

    def holding(self, locks: str) -> SpawnContext:
        """Returns the same for a child that holds command locks; see `names.HELD_LOCKS`."""
        if not locks:
            return self
        return attrs.evolve(self, environ={**self.environ, os.fsencode(HELD_LOCKS): os.fsencode(locks)})

    def settle(self, pid: int) -> None:
        """Undoes in a new process what the daemon has set for itself only."""
        if self.oom_score_adj is not None:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "wb", buffering=0) as file:
                file.write(self.oom_score_adj)


def _output_pipe() -> tuple[int, int]:
    try:
        return os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.EMFILE or not raise_limit():
            raise
        return os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)


class Child:
    """A running process in a process group of its own. The caller of `spawn` must `close` it in every case.

    Attributes:
        pid: Its process id, which is its group's too.
    """

    __slots__ = (
        "_capture",
        "_exit_waiter",
        "_exited",
        "_guardian",
        "_line",
        "_listen_timer",
        "_loop",
        "_pidfd",
        "_pipe",
        "_printed",
        "_retry",
        "pid",
    )

    def __init__(
        self, pid: int, pidfd: int, pipe: int, guardian: Guardian, line: int, capture: Capture, printed: Printed | None
    ) -> None:
        self.pid = pid
        self._guardian = guardian
        self._line = line
        self._pidfd = pidfd
        self._pipe = pipe
        self._capture = capture
        self._printed = printed
        self._exited = False
        self._exit_waiter: asyncio.Future[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pidfd, self._on_exit)
        self._listen_timer: asyncio.TimerHandle | None = self._loop.call_later(_LISTEN_AFTER, self._listen)

    @classmethod
    def spawn(
        cls,
        path: str,
        argv: tuple[str, ...],
        context: SpawnContext,
        max_output: int,
        *,
        printed: Printed | None = None,
        cgroup: Cgroup | None = None,
    ) -> Child:
        """Starts a program; returns when the kernel has accepted it.

        Args:
            path: The program.
            argv: Its arguments, its name first.
            context: Environment and descriptors.
            max_output: Bytes of its output that are kept.
            printed: Called with all of its output as it arrives.
            cgroup: The one in which it is started.

        Raises:
            OSError: It could not be started; nothing is left behind.
            ValueError: An argument contains a NUL.
        """
        pipe, its_end = _output_pipe()
        line = -1
        try:
            # before the start: if the daemon is killed during it, a script is left
            line = context.guardian.protect()
            os.set_blocking(its_end, True)
            context.cgroups.enter(cgroup)
            actions = [
                (os.POSIX_SPAWN_DUP2, context.stdin, 0),
                (os.POSIX_SPAWN_DUP2, its_end, 1),
                (os.POSIX_SPAWN_DUP2, its_end, 2),
            ]
            pid = os.posix_spawn(
                path,
                argv,
                context.environ,
                file_actions=actions,
                setpgroup=0,
                setsigmask=(),
                setsigdef=_DEFAULT_SIGNALS,
            )
        except BaseException:
            os.close(pipe)
            if line >= 0:
                context.guardian.release(line)
            raise
        finally:
            os.close(its_end)
            if cgroup is not None and cgroup.is_limited:
                context.cgroups.leave(cgroup)
        context.settle(pid)
        return cls._watch(pid, pipe, context.guardian, line, Capture(max_output), printed)

    @classmethod
    def _watch(
        cls, pid: int, pipe: int, guardian: Guardian, line: int, capture: Capture, printed: Printed | None
    ) -> Child:
        pidfd = -1
        try:
            guardian.started(line, pid)
            pidfd = os.pidfd_open(pid)
            return cls(pid, pidfd, pipe, guardian, line, capture, printed)
        except OSError:
            # Out of descriptors or of something else: what can't be watched must not run.
            loop = asyncio.get_running_loop()
            for fd in (pipe, pidfd):
                if fd >= 0:
                    loop.remove_reader(fd)
                    os.close(fd)
            group.kill_group(pid)
            os.waitpid(pid, 0)
            guardian.release(line)
            raise

    def look(self) -> bool:
        """Returns whether the process has exited, by a look at it: the event loop may not have come to that yet."""
        if not self._exited and os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            self._loop.remove_reader(self._pidfd)
            self._exited = True
            self._drain()
            if self._listen_timer is not None:
                self._listen_timer.cancel()
            if self._exit_waiter is not None and not self._exit_waiter.done():
                self._exit_waiter.set_result(None)
        return self._exited

    @property
    def output(self) -> bytes:
        """What it has printed so far, capped."""
        self._drain()
        return self._capture.result()

    @property
    def came(self) -> list[tuple[int, float]]:
        """When that came; see `Capture.came`."""
        return self._capture.came

    async def wait(self) -> None:
        """Waits until the process has exited, even if others still hold its output open. Cancellation-safe."""
        if not self._exited:
            self._exit_waiter = self._loop.create_future()
            await self._exit_waiter

    async def end(self, grace: anyio.CancelScope) -> None:
        """Ends its whole group: TERM, at the deadline of `grace` KILL. Returns when the group is empty."""
        await group.end_group(self.pid, grace)
        await self.wait()

    def close(self) -> int:
        """Reaps the process and gives back every descriptor. It should have exited; this never waits for it.

        Returns:
            The exit status, or the negative number of the signal that killed it; that of SIGKILL if it isn't over,
            since closing what still runs is the last thing after killing it.
        """
        if self._pipe >= 0:
            self._close_pipe()
        if not self._exited:
            self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._guardian.release(self._line)
        if self._retry is not None:
            self._retry.cancel()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else -signal.SIGKILL

    async def finish(self) -> tuple[bytes, int]:
        """Kills its whole group unless the process has exited, and closes it. Nothing cancels this.

        Returns:
            Its output, and what `close` returns.
        """
        if not self.look():
            self.kill()
            with anyio.move_on_after(KILL_TIMEOUT, shield=True):
                await self.wait()
        return self.output, self.close()

    def kill(self) -> None:
        """Kills its whole group at once, without any grace; for ways out that can't wait."""
        group.kill_group(self.pid)

    def _on_exit(self) -> None:
        if not self.look():
            self._loop.remove_reader(self._pidfd)
            # A tracer (strace -p) has not reaped it yet; its status is available after that.
            self._retry = self._loop.call_later(_TRACER_INTERVAL, self._on_exit)

    def _listen(self) -> None:
        self._listen_timer = None
        if self._pipe >= 0:
            self._loop.add_reader(self._pipe, self._on_output)

    def _on_output(self) -> int:
        try:
            data = os.read(self._pipe, _READ_SIZE)
        except BlockingIOError:
            return 0
        if data:
            self._capture.feed(data)
            if self._printed is not None:
                self._printed(data)
        else:
            self._close_pipe()
        return len(data)

    def _drain(self) -> None:
        left = _DRAIN_LIMIT
        while self._pipe >= 0 and left > 0:
            read = self._on_output()
            if not read:
                return
            left -= read

    def _close_pipe(self) -> None:
        if self._listen_timer is None:
            self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        self._pipe = -1
