"""The daemon goes on as another program: a newer version of itself, in the same process, for the same clients.

ctdbd ends when its event daemon does, and then the node's addresses move. But a process that executes another program
keeps its number, its descriptors and its children: to ctdbd nothing has happened.

1. The new program is tried: as a child, with a copy of the state, which it must be able to read.
2. No run is started any more; those that were are waited for. Requests are read on, and wait.
3. The state is written into a sealed file in memory, and the process executes the new program with it.
4. If that can't go on, it executes the former program with the same state.

What is meant by new program: what is installed in the place of CTDB's own daemon, if that is ours; else the one that
was started.
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

_TRIAL_PATIENCE = 5.0
_LOOK_AGAIN = 0.01
"""Seconds between two looks whether what runs is over."""
_FILE = "ctdb-eventd state"
_MOST_SAID = 500
"""Characters of what a program says that is tried and fails."""
_INSTALLED_MARK = "# ctdb-eventd-install put this file here"
_NAMES = ("python", "python_option", "program")


# ---------------------------------------------------------------------- programs


def _own_arguments() -> list[str]:
    """Returns the daemon's arguments, but for those that it has given itself."""
    arguments = []
    words = iter(sys.argv[1:])
    for word in words:
        if word in (TRY, TAKE_OVER, REFUSED):
            next(words, None)
        else:
            arguments.append(word)
    return arguments


def own_program() -> tuple[str, ...]:
    """Returns how this process was started."""
    options = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    return sys.executable, *options, *_own_arguments()


def program_to_start(helper_dir: str | None) -> tuple[str, ...]:
    """Returns what would be started if the daemon were started anew.

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
    """Returns the state that a file has.

    Raises:
        StateUnreadable: It has none, or one that isn't understood here.
    """
    try:
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS != SEALS:
            raise StateUnreadable(f"descriptor {fd} is a file that somebody could change")
        size = os.fstat(fd).st_size
        return decode(os.pread(fd, size, 0))
    except OSError as error:
        raise StateUnreadable(f"descriptor {fd} is no file of a state: {error.strerror}") from error


def _execute(program: Sequence[str], fd: int, descriptors: Sequence[int], *more: str) -> NoReturn:
    """Becomes another program, which gets the state.

    Raises:
        OSError: It can't be executed; nothing has changed.
    """
    kept = [fd, *descriptors]
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
    try:
        for one in kept:
            os.set_inheritable(one, True)
        os.execve(program[0], [*program, TAKE_OVER, str(fd), *more], os.environ)
    except OSError:
        for one in kept:
            os.set_inheritable(one, False)
        raise


class Former:
    """The program that this one replaces in its process.

    Attributes:
        state: What it has left.
        refused: Why another program could not replace it, so that this is the former one again; None if it isn't.
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
        """Becomes the former program again, as this one can't go on; returns if that has failed before.

        Raises:
            OSError: It can't be executed.
        """
        if self.refused is None and self._fd >= 0:
            reason = f"version {__version__} can't go on: {error}"
            _execute(self.state.program, self._fd, self.state.descriptors, REFUSED, reason)

    def forget(self) -> None:
        """From here on there is no way back: the former program would answer again what is answered now."""
        os.close(self._fd)
        self._fd = -1


# ---------------------------------------------------------------------- the steps


@attrs.frozen(kw_only=True)
class Steps:
    """What the daemon does for an upgrade."""

    state: Callable[[float, float], State]
    """Returns the state, given when the upgrade was asked for and when answers stop."""
    pause: Callable[[], None]
    """Starts no run any more."""
    going_on: Callable[[], list[str]]
    """Returns what is to be waited for, in words."""
    settle: Callable[[], Awaitable[None]]
    """Ends what can't be carried over and has no work any more."""
    ending: Callable[[], bool]
    """Tells whether the daemon is about to end."""
    flush: Callable[[], None]
    """Writes down and sends what waits for that; a moment before `state`."""
    resume: Callable[[], None]
    """Takes back `settle` and `pause`."""


class Upgrade:
    """Upgrades, one at a time."""

    def __init__(self, steps: Steps) -> None:
        """Prepares."""
        self._steps = steps
        self._scope: anyio.CancelScope | None = None
        self._given_up = ""

    def give_up(self, reason: str) -> bool:
        """Ends one that has begun; False if none has."""
        if self._scope is None:
            return False
        self._given_up = reason
        self._scope.cancel()
        return True

    async def run(self, program: tuple[str, ...], patience: float) -> NoReturn:
        """Becomes another program, if that can go on.

        Args:
            program: How to start it.
            patience: Seconds that what runs may take to its end.

        Raises:
            UpgradeFailed: It can't, or it was given up. All goes on as before.
        """
        began = time.monotonic()
        with anyio.CancelScope() as self._scope:
            try:
                await self._try(program, began)
                await self._become(program, began, patience)
            except UpgradeFailed as error:
                _log.error("%s", error)
                raise
            finally:
                self._scope = None
        given_up = UpgradeFailed(self._given_up)
        _log.log(NOTICE, "%s", given_up)
        raise given_up

    async def _try(self, program: tuple[str, ...], began: float) -> None:
        _log.log(NOTICE, "upgrade of version %s: trying %s", __version__, " ".join(program))
        with _failures("the state can't be kept"):
            fd = memory_file(_FILE, encode(self._steps.state(began, time.monotonic())))
        try:
            with anyio.fail_after(_TRIAL_PATIENCE), _failures(f"can't start {program[0]}"):
                done = await anyio.run_process(
                    [*program, TRY, str(fd)],
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.STDOUT,
                    check=False,
                    pass_fds=[fd],
                )
        except TimeoutError:
            raise UpgradeFailed(f"{' '.join(program)} did not say within {_TRIAL_PATIENCE:g} s that it can") from None
        finally:
            os.close(fd)
        said = done.stdout.decode(errors="replace").strip().split("\n")[-1][:_MOST_SAID]
        if done.returncode:
            raise UpgradeFailed(f"{' '.join(program)} can't take over: {said or f'exit status {done.returncode}'}")
        _log.log(NOTICE, "upgrade of version %s: %s can take over", __version__, shown(said))

    async def _become(self, program: tuple[str, ...], began: float, patience: float) -> NoReturn:
        self._steps.pause()
        try:
            await self._wait(patience)
            # From here on they are for the new program; what came before is heeded while the rest is settled.
            signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
            await self._steps.settle()
            if self._steps.ending():
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

    async def _wait(self, patience: float) -> None:
        going_on = self._steps.going_on()
        if not going_on:
            return
        _log.log(NOTICE, "upgrade of version %s: waiting for the end of %s", __version__, ", ".join(going_on))
        with anyio.move_on_after(patience):
            while going_on:
                await anyio.sleep(_LOOK_AGAIN)
                going_on = self._steps.going_on()
            return
        limit = f"{patience:g} s ([eventd] upgrade wait)"
        raise UpgradeFailed(f"after {limit} these still run: {', '.join(going_on)}")


@contextlib.contextmanager
def _failures(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UpgradeFailed(f"{what}: {error.strerror or error}") from error
