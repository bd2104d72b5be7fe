"""Replaces the daemon's program by another version in the same process, with the same clients.

ctdbd ends when its event daemon does, and then the node's addresses move. But a process that calls execve() keeps its
process id, its descriptors and its children, so ctdbd notices nothing.

1. The new program is tried: as a child, with a copy of the state, which it must be able to read.
2. No run is started any more; running ones are waited for. Requests are still read, and queued.
3. The state is written to a sealed memory file, and the process executes the new program with it.
4. If that fails to start, it executes the former program with the same state.

The new program is the one that is installed in the place of CTDB's own daemon, if that is ours; else the same one.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NoReturn

import anyio
import attrs

from ctdb_eventd import __version__
from ctdb_eventd.environment import HANDLED_SIGNALS, REFUSED, TAKE_OVER, TRY
from ctdb_eventd.errors import StateUnreadable, UpgradeFailed
from ctdb_eventd.handover import State, decode, encode
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.private import SEALS, memory_file
from ctdb_eventd.text import shown

__all__ = ["Former", "Steps", "Upgrade", "own_program", "program_to_start", "read_state"]

_log = logging.getLogger(__name__)

_TRIAL_TIMEOUT = 5.0
_LOOK_AGAIN = 0.01
"""Seconds between two checks whether the running jobs have ended."""
_FILE = "ctdb-eventd state"
_MOST_SAID = 500
"""Characters that are logged of the output of a program whose trial fails."""
_INSTALLED_MARK = "# ctdb-eventd-install put this file here"
_NAMES = ("python", "python_option", "program")


# ---------------------------------------------------------------------- programs


def _own_arguments() -> list[str]:
    """Returns the daemon's arguments, without those that only an upgrade adds."""
    arguments = []
    words = iter(sys.argv[1:])
    for word in words:
        if word in (TRY, TAKE_OVER, REFUSED):
            next(words, None)
        else:
            arguments.append(word)
    return arguments


def own_program() -> tuple[str, ...]:
    """Returns the command line of this process."""
    options = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    return sys.executable, *options, *_own_arguments()


def program_to_start(helper_dir: str | None) -> tuple[str, ...]:
    """Returns the command line with which a new start of the daemon would start it.

    Args:
        helper_dir: CTDB's directory of helper programs, None if that isn't known.
    """
    installed: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        with open(f"{helper_dir}/ctdb-eventd", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(1 << 16).splitlines()
        if helper_dir and any(line.startswith(_INSTALLED_MARK) for line in lines):
            for line in lines:
                name, equals, value = line.partition("=")
                if equals and name in _NAMES and name not in installed:
                    installed[name] = "".join(shlex.split(value))
    if not installed.get("program") or not installed.get("python"):
        return own_program()
    words = (installed.get(name, "") for name in _NAMES)
    return *(word for word in words if word), *_own_arguments()


# ---------------------------------------------------------------------- the state


def read_state(fd: int) -> State:
    """Reads and decodes the state in a memory file.

    Raises:
        StateUnreadable: It contains no state, or one of an unknown form.
    """
    try:
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS != SEALS:
            raise StateUnreadable(f"descriptor {fd} is a file that somebody could change")
        size = os.fstat(fd).st_size
        return decode(os.pread(fd, size, 0))
    except OSError as error:
        raise StateUnreadable(f"descriptor {fd} is not a state file: {error.strerror}") from error


def _execute(program: Sequence[str], fd: int, descriptors: Sequence[int], *more: str) -> NoReturn:
    """Executes another program in this process, which reads the state from `fd`.

    Raises:
        OSError: It can't be executed; descriptors are as before.
    """
    kept = [fd, *descriptors]
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
    try:
        for one in kept:
            os.set_inheritable(one, True)
        os.execve(program[0], [*program, TAKE_OVER, str(fd), *more], os.environb)
    except OSError:
        for one in kept:
            os.set_inheritable(one, False)
        raise


class Former:
    """The program that ran in this process before this one.

    Attributes:
        state: Its state, until `forget`.
        refused: The error of the new program if that failed and this is the old one again; else None.
    """

    def __init__(self, fd: int, refused: str | None) -> None:
        """Reads the state from a file, which stays open until `forget`.

        Raises:
            StateUnreadable: It can't be read.
        """
        self.state = read_state(fd)
        self.refused = refused
        self._fd = fd

    def go_back(self, error: Exception) -> None:
        """Executes the former program again, as this one has failed; returns if this is the old one already.

        Raises:
            OSError: It can't be executed.
        """
        if self.refused is None and self._fd >= 0:
            reason = f"version {__version__} can't take over: {error}"
            _execute(self.state.program, self._fd, self.state.descriptors, REFUSED, reason)

    def forget(self) -> None:
        """Drops the state: after this `go_back` does nothing, as the former program would answer requests twice."""
        os.close(self._fd)
        self._fd = -1
        del self.state  # with the output of former runs, which would stay in memory


# ---------------------------------------------------------------------- the upgrade


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Steps:
    """Callbacks into the daemon, for the steps of an upgrade."""

    state: Callable[[float, float], State]
    """Returns the state; the arguments are the times of the request for the upgrade and of the last reply."""
    pause: Callable[[], None]
    """Starts no more runs."""
    unfinished: Callable[[], list[str]]
    """Returns what still runs and must be waited for, in words."""
    settle: Callable[[], Awaitable[None]]
    """Stops idle helpers that can't be carried over: the guardian and the history's thread."""
    stopping: Callable[[], bool]
    """Returns whether the daemon is about to stop."""
    flush: Callable[[], None]
    """Writes and sends everything that is buffered; called just before `state`."""
    resume: Callable[[], None]
    """Undoes `settle` and `pause`."""


class Upgrade:
    """Upgrades, one at a time."""

    def __init__(self, steps: Steps) -> None:
        """Prepares."""
        self._steps = steps
        self._scope: anyio.CancelScope | None = None
        self._cancel_reason = ""

    def cancel(self, reason: str) -> bool:
        """Cancels the upgrade that is in progress; returns False if there is none."""
        if self._scope is None:
            return False
        self._cancel_reason = reason
        self._scope.cancel()
        return True

    async def run(self, program: tuple[str, ...], wait_limit: float) -> NoReturn:
        """Tries another program and executes it; doesn't return.

        Args:
            program: How to start it.
            wait_limit: Seconds to wait for the end of running jobs.

        Raises:
            UpgradeFailed: It failed or was cancelled. The daemon continues as before.
        """
        began = time.monotonic()
        with anyio.CancelScope() as self._scope:
            try:
                await self._try(program, began)
                await self._become(program, began, wait_limit)
            except UpgradeFailed as error:
                _log.error("%s", error)
                raise
            finally:
                self._scope = None
        cancelled = UpgradeFailed(self._cancel_reason)
        _log.log(NOTICE, "%s", cancelled)
        raise cancelled

    async def _try(self, program: tuple[str, ...], began: float) -> None:
        _log.log(NOTICE, "upgrade of version %s: trying %s", __version__, " ".join(program))
        with _failures("the state can't be kept"):
            fd = memory_file(_FILE, encode(self._steps.state(began, time.monotonic())))
        try:
            with anyio.fail_after(_TRIAL_TIMEOUT), _failures(f"can't start {program[0]}"):
                done = await anyio.run_process(
                    [*program, TRY, str(fd)],
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.STDOUT,
                    check=False,
                    pass_fds=[fd],
                )
        except TimeoutError:
            text = f"{' '.join(program)} did not confirm within {_TRIAL_TIMEOUT:g} s that it can take over"
            raise UpgradeFailed(text) from None
        finally:
            os.close(fd)
        said = done.stdout.decode(errors="replace").strip().split("\n")[-1][:_MOST_SAID]
        if done.returncode:
            raise UpgradeFailed(f"{' '.join(program)} can't take over: {said or f'exit status {done.returncode}'}")
        _log.log(NOTICE, "upgrade of version %s: %s can take over", __version__, shown(said))

    async def _become(self, program: tuple[str, ...], began: float, wait_limit: float) -> NoReturn:
        self._steps.pause()
        try:
            await self._wait(wait_limit)
            # Signals from now on stay pending for the new program; earlier ones are handled during `settle`.
            signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
            await self._steps.settle()
            if self._steps.stopping():
                raise UpgradeFailed("it is about to end")
            stopped = time.monotonic()
            self._steps.flush()
            with _failures("the state can't be kept"):
                state = self._steps.state(began, stopped)
                fd = memory_file(_FILE, encode(state))
            try:
                _log.log(NOTICE, "upgrade of version %s: nothing runs, executing %s", __version__, program[0])
                with _failures(f"can't execute {program[0]}"):
                    _execute(program, fd, state.descriptors)
            finally:
                os.close(fd)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)
            self._steps.resume()

    async def _wait(self, wait_limit: float) -> None:
        unfinished = self._steps.unfinished()
        if not unfinished:
            return
        _log.log(NOTICE, "upgrade of version %s: waiting for the end of %s", __version__, ", ".join(unfinished))
        with anyio.move_on_after(wait_limit):
            while unfinished:
                await anyio.sleep(_LOOK_AGAIN)
                unfinished = self._steps.unfinished()
            return
        limit = f"{wait_limit:g} s ([eventd] upgrade wait)"
        raise UpgradeFailed(f"after {limit} these still run: {', '.join(unfinished)}")


@contextlib.contextmanager
def _failures(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UpgradeFailed(f"{what}: {error.strerror or error}") from error
