"""`ctdb-event lock`: runs a command while holding locks of the broker.

The locks belong to the connection, and must be held until the command has ended. So the command inherits the
connection's descriptor: if only this process is killed, the connection and its locks last until the command ends. When
the command has ended, the connection is shut down for all copies of the descriptor (shutdown(2)), so background
processes that the command has started don't keep the locks.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import threading

from ctdb_event.commands.arguments import seconds, text
from ctdb_event.commands.connection import CallFailed, DaemonConnection
from ctdb_event.console import Failure, complain
from ctdb_eventd.names import HELD_LOCKS
from ctdb_eventd.text import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctdb_event.commands.session import Session

__all__ = ["lock"]

_TIMED_OUT = 124
_NOT_RUNNABLE = 126
_NOT_FOUND = 127
_FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_RESET = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that the interpreter ignores; the command must not inherit that."""
_SI_KERNEL = 0x80
"""`si_code` (sigaction(2)) of a signal from the kernel, here from the terminal, which sends it to the command too."""


def lock(session: Session) -> int:
    """Runs a command while holding locks; returns its exit status.

    Raises:
        Failure: The locks were not granted, or the command can't be run.
    """
    names = [text(name) for name in session.arguments.operands[0].split(",")]
    given = session.arguments.values.get("--wait")
    wait = None if given is None else seconds("--wait", given)
    with session.connect() as connection:
        try:
            _acquire(connection, names, wait)
            return _run(connection, names, session.arguments.behind)
        finally:
            connection.hang_up()


def _acquire(connection: DaemonConnection, names: list[str], wait: float | None) -> None:
    if wait != 0 and sys.stderr is not None and sys.stderr.isatty() and _try_at_once(connection, names):
        return
    try:
        connection.call("lock", names=names, wait=wait)
    except CallFailed as error:
        if error.data.get("kind") != "LockTimeout":
            raise
        raise Failure(f"{escaped(error.message)}; ctdb-event locks shows who holds what", _TIMED_OUT) from None


def _try_at_once(connection: DaemonConnection, names: list[str]) -> bool:
    """Tries without waiting first, so that the reason can be shown if it has to wait."""
    try:
        connection.call("lock", names=names, wait=0.0)
    except CallFailed as error:
        if error.data.get("kind") != "LockTimeout":
            raise
        complain(f"ctdb-event: waiting: {escaped(error.message)}")
        return False
    return True


def _shown(names: list[str]) -> str:
    return f"lock{'s' if len(names) > 1 else ''} {escaped(', '.join(names))}"


def _run(connection: DaemonConnection, names: list[str], command: list[str]) -> int:
    """Runs the command. Signals are blocked before it starts, so that none is lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    former = signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # if it were ignored, waitpid could not return the child's status
    try:
        pid = _start(command, names, before, connection.fileno())
        with _SignalForwarder(pid):
            _watch_connection(connection, names, pid)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code if code >= 0 else 128 - code
    finally:
        signal.signal(signal.SIGCHLD, former)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(command: list[str], names: list[str], mask: Iterable[int], descriptor: int) -> int:
    # dup2 onto itself clears close-on-exec
    keep = [(os.POSIX_SPAWN_DUP2, descriptor, descriptor)]
    # so that command wrappers, if the command runs one, don't wait for locks that are held for it
    holds = [os.environ.get(HELD_LOCKS, ""), *(f"{name}:{os.getpid()}" for name in names)]
    environ = {**os.environ, HELD_LOCKS: " ".join(holds).lstrip()}
    try:
        return os.posix_spawnp(command[0], command, environ, file_actions=keep, setsigmask=mask, setsigdef=_RESET)
    except OSError as error:
        code = _NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else _NOT_RUNNABLE
        raise Failure(f"can't run {escaped(command[0])}: {error.strerror}", code) from None


class _SignalForwarder:
    """Forwards signals to the command. In a thread, since sigwaitinfo, which returns a signal's origin, blocks."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = False
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> None:
        self._thread.start()  # inherits the mask

    def __exit__(self, *exc_info: object) -> None:
        self._over = True
        assert self._thread.ident is not None
        signal.pthread_kill(self._thread.ident, signal.SIGHUP)
        self._thread.join()

    def _work(self) -> None:
        while True:
            received = signal.sigwaitinfo(_FORWARDED)
            if self._over:
                return
            # the command has not been reaped yet, so the pid is still its own
            if received.si_code != _SI_KERNEL:
                os.kill(self._pid, received.si_signo)


def _watch_connection(connection: DaemonConnection, names: list[str], pid: int) -> None:
    """Waits for the command's end, and warns if the locks are lost before."""
    descriptor = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.register(connection, select.POLLIN)
        while not any(ready == descriptor for ready, _ in poller.poll()):
            try:
                connection.call("ping")
            except Exception as error:  # after any error the locks can't be relied on
                complain(f"ctdb-event: {_shown(names)} lost; the command continues without: {error}")
                poller.unregister(connection)
    finally:
        os.close(descriptor)
