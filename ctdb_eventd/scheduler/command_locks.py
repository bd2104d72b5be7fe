"""The lock files of serialised commands such as iptables, locked for the owner of the command's named lock.

So `ctdb-event lock iptables`, a script that declares the lock `iptables`, and a script that only runs the command
exclude each other. The file is locked after the named lock was granted, so at most one owner waits for it here, and it
is unlocked before the named lock goes to the next owner. The owner of the named lock may run the command without
waiting for itself: a variable in its environment, and in that of its children's events, says so (`holds`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable
from itertools import count
from typing import Any

import attrs

from ctdb_eventd.environment import leave_signals_to_main_thread
from ctdb_eventd.errors import StartupError
from ctdb_eventd.private import own_file

__all__ = ["CommandLocks"]

_log = logging.getLogger(__name__)

_FIRST_OFFSET = (1 << 32) + int(time.monotonic() * 1000)
"""No file of ours is read or written there. A former program of this process has counted to less: there are fewer locks
than milliseconds. ext4 refuses offsets from 1 << 44 on, which nanoseconds would reach after five hours."""


class CommandLocks:
    """The lock files that owners of named locks hold or wait for.

    Attributes:
        directory: Where the files are, each with the name of its lock.
        names: The locks that have a file; may be replaced.
    """

    def __init__(self, directory: str = "", names: Collection[str] = ()) -> None:
        """Starts with no file locked."""
        self.directory = directory
        self.names = names
        self._files: dict[str, _LockFile] = {}
        self._of_owner: dict[Hashable, _Request] = {}

    def take(self, owner: Hashable, names: Iterable[str], done: Callable[[], None]) -> bool:
        """Locks the files of those of an owner's named locks that have one.

        Args:
            owner: The owner of the named locks.
            names: All of its named locks.
            done: Called when the files are locked, unless this returns True.

        Returns:
            True if all files are locked now.
        """
        wanted = [name for name in names if name in self.names]
        if not wanted:
            return True
        request = self._of_owner[owner] = _Request(names=tuple(wanted), waits_for=set(wanted), done=done)
        for name in wanted:
            file = self._files.setdefault(name, _LockFile(os.path.join(self.directory, name)))
            if file.lock(lambda name=name: request.got(name)):  # type: ignore[misc]
                request.waits_for.remove(name)
        return not request.waits_for

    def release(self, owner: Hashable) -> None:
        """Unlocks an owner's files, or withdraws the request for them. Idempotent."""
        request = self._of_owner.pop(owner, None)
        if request is not None:
            for name in request.names:
                self._files[name].unlock()

    def files(self, owner: Hashable) -> tuple[tuple[str, int, int], ...]:
        """Returns an owner's files for another program: name, descriptor, which stays open, and offset."""
        request = self._of_owner.get(owner)
        if request is None:
            return ()
        return tuple((name, *self._files[name].left()) for name in request.names if name not in request.waits_for)

    def take_up(self, owner: Hashable, files: Iterable[tuple[str, int, int]]) -> None:
        """Restores the files that a former program of this process has locked for an owner; see `files`."""
        files = tuple(files)
        if files:
            self._of_owner[owner] = _Request(
                names=tuple(name for name, _, _ in files), waits_for=set(), done=lambda: None
            )
        for name, descriptor, offset in files:
            file = self._files.setdefault(name, _LockFile(os.path.join(self.directory, name)))
            file.take_up(descriptor, offset)

    def owner(self, name: str, *, waits: bool) -> Any:
        """Returns the owner that holds the file of this lock, or, if `waits`, waits for it; None if there is none."""
        for owner, request in self._of_owner.items():
            if name in request.names and (name in request.waits_for) == waits:
                return owner
        return None

    def waits_for(self, owner: Hashable) -> tuple[str, ...]:
        """Returns the locks whose files an owner waits for."""
        request = self._of_owner.get(owner)
        return () if request is None else tuple(name for name in request.names if name in request.waits_for)

    def holds(self, owners: Iterable[Hashable]) -> str:
        """Returns the value of the variable `names.HELD_LOCKS` for commands of these owners."""
        requests = (self._of_owner.get(owner) for owner in owners)
        names = (name for request in requests if request is not None for name in request.names)
        return " ".join(f"{name}:{self._files[name].mark}" for name in names)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Request:
    """The files of one owner."""

    names: tuple[str, ...]
    waits_for: set[str]
    done: Callable[[], None]

    def got(self, name: str) -> None:
        self.waits_for.remove(name)
        if not self.waits_for:
            self.done()


class _LockFile:
    """One file. If it is locked, a thread waits for it: that wait can't be interrupted.

    The thread of a withdrawn request is used by the next one, so there is never more than one.

    The descriptor is moved to an offset that is never used again. Number and offset identify the holder, as the next
    one may get the same descriptor; both vanish with this process.
    """

    _offsets = count(_FIRST_OFFSET)

    def __init__(self, path: str) -> None:
        self._path = path
        self._done: Callable[[], None] | None = None
        self._in_thread = False
        self._offset = 0
        self._descriptor = -1

    @property
    def mark(self) -> str:
        """Identifies the holder: the path below /proc at which a wrapper finds the offset while the file is held."""
        return f"{os.getpid()}/fdinfo/{self._descriptor}@{self._offset}"

    def lock(self, done: Callable[[], None]) -> bool:
        """Locks the file; returns False if it has to wait, then `done` is called."""
        if not self._in_thread:
            try:
                fd = own_file(self._path, "lock")
            except (StartupError, OSError) as error:
                _log.error(
                    "can't lock %s: %s; its commands may run concurrently with the holder of that lock",
                    self._path,
                    error,
                )
                return True
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                threading.Thread(target=self._wait, args=(fd, loop), name="file lock", daemon=True).start()
                self._in_thread = True
            else:
                self._set_holder(fd)
                return True
        self._done = done
        return False

    def _wait(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        leave_signals_to_main_thread()
        fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(RuntimeError):  # the daemon has ended meanwhile
            loop.call_soon_threadsafe(self._got, fd)

    def _got(self, fd: int) -> None:
        self._in_thread = False
        done, self._done = self._done, None
        if done is None:
            os.close(fd)
            return
        self._set_holder(fd)
        done()

    def _set_holder(self, fd: int) -> None:
        self._descriptor, self._offset = fd, next(self._offsets)
        os.lseek(fd, self._offset, os.SEEK_SET)

    def left(self) -> tuple[int, int]:
        """Returns the descriptor, which has to stay open for another program, and its offset."""
        return self._descriptor, self._offset

    def take_up(self, descriptor: int, offset: int) -> None:
        """Restores the state of a former program; the mark stays the same, as its holder's commands know it."""
        self._descriptor, self._offset = descriptor, offset

    def unlock(self) -> None:
        """Unlocks it, or withdraws the request."""
        self._done = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
