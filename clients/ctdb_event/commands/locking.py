"""`ctdb-event lock`: a command under the broker's locks.

The locks are this connection's: they last until it ends, however that happens. The child has none of it.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import threading

from ctdb_event.commands.arguments import seconds, text
from ctdb_event.commands.screen import escaped
from ctdb_event.console import Failure, complain
from ctdb_event.wire import CallFailed, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctdb_event.commands.session import Session

__all__ = ["lock"]

_WAIT_OVER = 124
_NOT_RUNNABLE = 126
_NOT_FOUND = 127
_PASSED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_RESET = (signal.SIGPIPE, signal.SIGXFSZ)
"""The interpreter ignores them, and other programs would too."""
_SI_KERNEL = 0x80
"""Where a signal comes from (sigaction(2)): the kernel, so a terminal, and the command gets it from there too."""


def lock(session: Session) -> int:
    """Runs a command while holding locks; returns its exit status.

    Raises:
        Failure: The locks can't be had, or the command can't be run.
    """
    names = [text(name) for name in session.arguments.operands[0].split(",")]
    given = session.arguments.values.get("--wait")
    wait = None if given is None else seconds("--wait", given)
    with session.connect() as wire:
        _acquire(wire, names, wait)
        with _Guard(wire, names):
            return _run(session.arguments.behind)


def _acquire(wire: Wire, names: list[str], wait: float | None) -> None:
    if wait != 0 and sys.stderr is not None and sys.stderr.isatty() and _had_at_once(wire, names):
        return
    try:
        wire.call("lock", names=names, wait=wait)
    except CallFailed as error:
        if error.data.get("kind") != "LockTimeout":
            raise
        raise Failure(f"{escaped(error.message)}; ctdb-event locks shows who holds what", _WAIT_OVER) from None


def _had_at_once(wire: Wire, names: list[str]) -> bool:
    """Tries without waiting, so that a person can be told what the wait is for."""
    try:
        wire.call("lock", names=names, wait=0.0)
    except CallFailed as error:
        if error.data.get("kind") != "LockTimeout":
            raise
        complain(f"ctdb-event: waiting: {escaped(error.message)}")
        return False
    return True


def _shown(names: list[str]) -> str:
    return f"lock{'s' if len(names) > 1 else ''} {escaped(', '.join(names))}"


class _Guard:
    """Looks on, in a thread, whether the locks are still held, and says so if they are not."""

    def __init__(self, wire: Wire, names: list[str]) -> None:
        self._wire = wire
        self._names = names
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> None:
        self._reader, self._writer = os.pipe()
        # inherits the mask: signals are for the main thread alone
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)

    def _look(self) -> None:
        while True:
            poller = select.poll()
            poller.register(self._wire, select.POLLIN)
            poller.register(self._reader, select.POLLIN)
            if any(descriptor == self._reader for descriptor, _ in poller.poll()):
                return
            try:
                self._wire.call("ping")
            except Exception as error:  # whatever it is, the locks can't be relied on
                complain(f"ctdb-event: {_shown(self._names)} lost, and the command goes on without: {error}")
                return


def _run(command: list[str]) -> int:
    """Runs the command. Signals wait from before it starts, so that none is missed."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGCHLD})
    former = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # were it ignored, nobody could ask how the child ended
    try:
        return _wait(_start(command, before))
    finally:
        signal.signal(signal.SIGCHLD, former)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(command: list[str], mask: Iterable[int]) -> int:
    try:
        return os.posix_spawnp(command[0], command, os.environ, setsigmask=mask, setsigdef=_RESET)
    except OSError as error:
        code = _NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else _NOT_RUNNABLE
        raise Failure(f"can't run {escaped(command[0])}: {error.strerror}", code) from None


def _wait(pid: int) -> int:
    """Passes signals on until the command has ended; returns its exit status as shells have it."""
    while True:
        told = signal.sigwaitinfo({*_PASSED_ON, signal.SIGCHLD})
        if told.si_signo != signal.SIGCHLD:
            if told.si_code != _SI_KERNEL:
                os.kill(pid, told.si_signo)
            continue
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
