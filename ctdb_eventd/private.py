"""Private files and directories of the daemon, which no other user may change, whatever the umask is.

The daemon runs as root and executes the content of some of them. So each is created or opened, and then checked by its
descriptor: a link, or a file of another user, is refused; permissions that are too wide are corrected.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat

from ctdb_eventd.errors import StartupError

__all__ = ["SEALS", "memory_file", "own_directory", "own_file"]

_log = logging.getLogger(__name__)

SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
"""The seals of a `memory_file`."""
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def own_directory(path: str, mode: int = 0o700) -> None:
    """Creates a directory and its missing parents, or makes sure that only this user can change it.

    Args:
        path: The directory.
        mode: Its permissions; another mode is corrected.

    Raises:
        StartupError: It can't be created, isn't a directory or belongs to another user; has the command to fix it.
    """
    parent = os.path.dirname(path)
    if parent and not os.path.exists(parent):
        own_directory(parent, 0o755)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise StartupError(f"can't make the directory {path}: {error.strerror}") from error
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise StartupError(f"{path} must be a directory of ctdb-eventd's own, and is not; rm {path}") from error
        raise StartupError(f"can't open the directory {path}: {error.strerror}") from error
    try:
        _make_ours(fd, path, mode)
    finally:
        os.close(fd)


def own_file(path: str, what: str = "file") -> int:
    """Opens a file that only this user may read and write; creates it if it doesn't exist.

    Args:
        path: The file.
        what: The kind of file, for messages.

    Returns:
        Its descriptor, for reading and writing.

    Raises:
        StartupError: It can't be created, isn't a file or belongs to another user; has the command to fix it.
    """
    try:
        # don't block on a FIFO without a reader
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise StartupError(f"{path} must be a {what} of ctdb-eventd's own, and is not; rm -r {path}") from error
        raise StartupError(f"can't open the {what} {path}: {error.strerror}") from error
    try:
        status = os.fstat(fd)
        # more than one name: it is another file too, which must be neither emptied nor changed
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise StartupError(f"{path} must be a {what} of ctdb-eventd's own, and is not; rm {path}")
        _make_ours(fd, path, 0o600)
    except BaseException:
        os.close(fd)
        raise
    return fd


def memory_file(name: str, data: bytes) -> int:
    """Returns the descriptor of an immutable file in memory with these bytes.

    Raises:
        OSError: There is no room for it.
    """
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _make_ours(fd: int, path: str, mode: int) -> None:
    status = os.fstat(fd)
    if status.st_uid not in (0, os.geteuid()):
        raise StartupError(f"{path} belongs to user {status.st_uid}, who could change it; chown root {path}")
    found = stat.S_IMODE(status.st_mode)
    if found == mode:
        return
    if found & _WRITABLE_BY_OTHERS:
        _log.warning("%s had mode %04o, so that others could change it: now it has %04o", path, found, mode)
    try:
        os.fchmod(fd, mode)
    except OSError as error:
        raise StartupError(f"{path} has mode {found:04o}, expected {mode:04o}; chmod {mode:o} {path}") from error
