"""The pid file: the daemon's pid, and a lock that prevents a second instance. CTDB's own daemon respects it too.

An orderly shutdown releases the lock last, after removing the socket and the file. When the daemon is killed, ctdbd
notices the end of a pipe (--startup-fd). Linux releases a process's POSIX locks while it closes its descriptors, before
it releases the files behind them, so the lock is free before the pipe has ended. The guardian, or the next daemon, ends
the scripts of a killed daemon.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct

from ctdb_eventd.errors import AlreadyRunning, StartupError
from ctdb_eventd.private import own_file

__all__ = ["PidFile"]

_log = logging.getLogger(__name__)


class PidFile:
    """A locked file with our pid. The lock counts, not the file's existence: it ends with the process."""

    def __init__(self, path: str) -> None:
        """Takes the lock and writes our pid.

        Raises:
            AlreadyRunning: Another process holds the lock.
            StartupError: The file can't be created.
        """
        self._path = path
        while not self._take():
            pass

    @classmethod
    def taken_up(cls, path: str, descriptor: int) -> PidFile:
        """Returns the file that a previous program of this process has locked.

        It must not be opened again: closing any descriptor of it would release the lock.
        """
        file = cls.__new__(cls)
        file._path, file._fd = path, descriptor
        return file

    @property
    def descriptor(self) -> int:
        """The descriptor of the locked file."""
        return self._fd

    def _take(self) -> bool:
        """Returns False if the file was removed while it was being locked, as an instance that exits does last."""
        path = self._path
        self._fd = own_file(path, "pid file")
        try:
            # POSIX locks, since CTDB's daemon uses the same ones on this file
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._is_there():
                os.close(self._fd)
                return False
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"{os.getpid()}\n".encode())
        except OSError as error:
            holder, is_daemon = os.read(self._fd, 32), self._is_locked_for_writing()
            os.close(self._fd)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                if not is_daemon:
                    # older daemons let every user read the file, and so lock it: it is replaced by another file
                    _log.warning("a process that is not an event daemon had locked %s: it is created again", path)
                    os.unlink(path)
                    return False
                raise AlreadyRunning(path, int(holder) if holder.strip().isdigit() else None) from None
            raise StartupError(f"can't lock and write the pid file {path}: {error.strerror}") from error
        return True

    def _is_locked_for_writing(self) -> bool:
        """Returns whether a daemon holds the lock: daemons use write locks, users who may only read the file can't."""
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind: int = struct.unpack_from("h", fcntl.fcntl(self._fd, fcntl.F_GETLK, asked))[0]
        return kind != fcntl.F_RDLCK

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Removes the file and releases the lock. Another process's file of the same name stays."""
        if self._is_there():
            os.unlink(self._path)
        os.close(self._fd)
