"""`ctdb-event lock`: a command under the broker's locks.

The locks are this connection's, and they must outlast the command. So the command inherits the connection: should this
process be killed alone, the connection, and with it the locks, lasts until the command has gone too. When the command
has been reaped, and so each of its files is closed, the connection is ended for every copy of the descriptor
(shutdown(2)): what the command left running keeps no lock.
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
    """Tries without waiting first, so that the reason for a wait can be shown."""
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
    """Runs the command. Signals wait from before it starts, so that none is missed."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    former = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # were it ignored, nobody could ask how the child ended
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
    # onto itself: it is not closed when the command is executed
    keep = [(os.POSIX_SPAWN_DUP2, descriptor, descriptor)]
    # wrappers of commands, if it runs one, must not wait for us
    holds = [os.environ.get(HELD_LOCKS, ""), *(f"{name}:{os.getpid()}" for name in names)]
    environ = {**os.environ, HELD_LOCKS: " ".join(holds).lstrip()}
    try:
        return os.posix_spawnp(command[0], command, environ, file_actions=keep, setsigmask=mask, setsigdef=_RESET)
    except OSError as error:
        code = _NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else _NOT_RUNNABLE
        raise Failure(f"can't run {escaped(command[0])}: {error.strerror}", code) from None


class _SignalForwarder:
    """Passes signals on to the command, in a thread: only there can be asked where a signal comes from."""

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
            told = signal.sigwaitinfo(_FORWARDED)
            if self._over:
                return
            # the command has not been waited for yet, so the number is still its own
            if told.si_code != _SI_KERNEL:
                os.kill(self._pid, told.si_signo)


def _watch_connection(connection: DaemonConnection, names: list[str], pid: int) -> None:
    """Waits for the command's end, and says so if the locks are lost before it."""
    descriptor = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.register(connection, select.POLLIN)
        while not any(ready == descriptor for ready, _ in poller.poll()):
            try:
                connection.call("ping")
            except Exception as error:  # whatever it is, the locks can't be relied on
                complain(f"ctdb-event: {_shown(names)} lost, and the command goes on without: {error}")
                poller.unregister(connection)
    finally:
        os.close(descriptor)
