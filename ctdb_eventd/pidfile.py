"""The pid file: who runs here, and the lock that keeps a second instance out. CTDB's own daemon respects it too.

The lock is given back last in an orderly end: the socket and the file are gone by then. When the daemon is killed,
ctdbd learns of it from a pipe (--startup-fd). Linux gives a process's POSIX locks back as it closes its descriptors,
and only then lets go of the files behind them, so the lock is free before the pipe has ended. What a killed daemon's
scripts still do is the guardian's matter, which has another lock.
"""

from __future__ import annotations

import errno
import fcntl
import os

from ctdb_eventd.errors import AlreadyRunning, StartupError

__all__ = ["PidFile"]


class PidFile:
    """A locked file with our pid. The lock, not the file's presence, is what counts: it ends with the process."""

    def __init__(self, path: str) -> None:
        """Takes the lock and writes our pid.

        Raises:
            AlreadyRunning: Somebody else holds the lock.
            StartupError: The file can't be made.
        """
        self._path = path
        while not self._take():
            pass

    def _take(self) -> bool:
        """Returns False if the file was removed while it was being locked: an instance that ends does so last."""
        path = self._path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StartupError(f"can't create the pid file {path}: {error.strerror}") from error
        try:
            # POSIX locks, since CTDB's daemon uses the same ones on this file
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._is_there():
                os.close(self._fd)
                return False
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"{os.getpid()}\n".encode())
        except OSError as error:
            holder = os.read(self._fd, 32)
            os.close(self._fd)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise AlreadyRunning(path, int(holder) if holder.strip().isdigit() else None) from None
            raise StartupError(f"can't lock and write the pid file {path}: {error.strerror}") from error
        return True

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Removes the file and gives up the lock. Another's file of the same name stays."""
        if self._is_there():
            os.unlink(self._path)
        os.close(self._fd)
