"""Which scripts wait for locks on files, and which processes hold them: found in the kernel's list of file locks.

These are the locks of commands that scripts run one at a time, such as iptables, and any that scripts take themselves.
The list is read when a client asks, and each second while an event takes longer than that. The result is added to the
run's waits. The measured time is a lower limit: a wait may have begun before it was first seen, and ended after it was
last seen. If the waiting process, such as flock(1), was started after the previous check, the wait begins at its start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator

import attrs

from ctdb_eventd.file_locks import FileLock
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.model import Wait
from ctdb_eventd.proc import (
    ancestor_groups,
    command_of,
    file_locks,
    group_members,
    has_lock,
    locked_path,
    started,
)
from ctdb_eventd.runs import FileWait, Job, LockOwner
from ctdb_eventd.scheduler.client_locks import NOTABLE_WAIT
from ctdb_eventd.scheduler.service import Scheduler
from ctdb_eventd.scheduler.snapshot import LockSnapshot

__all__ = ["FileWaits"]

_log = logging.getLogger(__name__)

_INTERVAL = 1.0
"""Seconds between two checks."""
_SHORTEST_INTERVAL = 0.1
"""Seconds between two checks when clients ask."""
_MOST_WAITS = 100
"""Waits that are examined."""
_MOST_WAITING = 10
"""Waiting processes that are shown for one lock."""


class FileWaits:
    """The file waits that the last check found."""

    def __init__(self, scheduler: Scheduler) -> None:
        """Stores the scheduler, which knows the job of each process."""
        self._scheduler = scheduler
        self._waits: dict[tuple[int, tuple[int, int], int], tuple[FileWait, Job | None]] = {}
        self._looked = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------------ when to look

    def begun(self) -> None:
        """Starts the timer, as an event is requested."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._scheduler.busy:
            return
        self.begun()
        long_ago = time.monotonic() - _INTERVAL
        if any(job.started is not None and job.started <= long_ago for job in self._scheduler.core.jobs):
            self.look()

    def look(self) -> None:
        """Updates the waits."""
        now = time.monotonic()
        nobody_waits = not (self._waits or self._scheduler.busy or len(self._scheduler.client_locks))
        if nobody_waits or now - self._looked < _SHORTEST_INTERVAL:
            return
        locks = file_locks()
        waiting = [lock for lock in locks if lock.waits][:_MOST_WAITS]
        if waiting or self._waits:
            held = {lock.number: lock for lock in locks if not lock.waits}
            self._note(_Look(scheduler=self._scheduler, held=held, before=self._looked, now=now), waiting)
        self._looked = now

    def _note(self, look: _Look, waiting: list[FileLock]) -> None:
        former, self._waits = self._waits, {}
        for lock in waiting:
            key = lock.pid, lock.device, lock.inode
            found = look.known(lock, former[key]) if key in former else look.new(lock)
            if found is not None:
                self._waits[key] = found
                _log_if_long(*found)
        for key, (wait, job) in former.items():
            if key not in self._waits and job is not None and wait in job.file_waits:
                _end(job, wait)

    # ------------------------------------------------------------------ what was seen

    def locks(self) -> Iterator[LockSnapshot]:
        """Yields the locks on files that have waiting processes, by name."""
        by_lock: dict[tuple[str, str], list[FileWait]] = {}
        for wait, _ in self._waits.values():
            by_lock.setdefault((wait.name, wait.kind), []).append(wait)
        for (name, kind), waits in sorted(by_lock.items()):
            waiting = tuple(wait.waiter for wait in waits[:_MOST_WAITING])
            yield LockSnapshot(name, kind, waits[0].holder, waiting, len(waits) - len(waiting))

    def over(self, job: Job) -> None:
        """Adds the file waits of a job that has ended to its waits."""
        for wait in tuple(job.file_waits):
            _end(job, wait)


def _log_if_long(wait: FileWait, job: Job | None) -> None:
    if job is not None and wait.script is not None and not wait.logged and wait.waiter.seconds >= NOTABLE_WAIT:
        wait.logged = True
        _log.log(
            NOTICE,
            "%s: %s waits for %s, for %.3f s so far, held by %s (ctdb-event show %s)",
            *(job, wait.script, wait.name, wait.waiter.seconds, wait.held_by or "an unknown process", job.run),
            extra=job.about(script=wait.script, waited=wait.waiter.seconds, waited_for=wait.name, holder=wait.held_by),
        )


def _end(job: Job, wait: FileWait) -> None:
    job.file_waits.remove(wait)
    if wait.script is not None:
        began, seconds = wait.waiter.since, wait.waiter.seconds
        job.waits.append(Wait(what=wait.name, holder=wait.held_by, script=wait.script, began=began, seconds=seconds))


@attrs.define(kw_only=True, eq=False, repr=False)
class _Look:
    """The result of one check of the list."""

    _scheduler: Scheduler = attrs.field(alias="scheduler")
    held: dict[int, FileLock]
    """By number."""
    before: float
    """Time of the previous check."""
    now: float
    _holders: dict[int, LockOwner | None] = attrs.field(factory=dict, init=False)

    def known(self, lock: FileLock, former: tuple[FileWait, Job | None]) -> tuple[FileWait, Job | None]:
        """Updates a known wait."""
        wait, _ = former
        wait.waiter = attrs.evolve(wait.waiter, seconds=wait.waiter.seconds + self.now - self.before)
        wait.holder = self._holder(lock, wait.name) or wait.holder
        return former

    def new(self, lock: FileLock) -> tuple[FileWait, Job | None] | None:
        """Returns a wait and its job; None if it is not for a script of this daemon."""
        own = lock.pid == os.getpid()
        job = None if own else self._scheduler.job_of(ancestor_groups(lock.pid))
        if job is None and not own:
            return None
        path = locked_path(lock.pid, lock) or f"inode {lock.inode} of device {lock.device[0]}:{lock.device[1]}"
        directory, name = os.path.split(path)
        is_command = directory == self._scheduler.command_locks.directory
        if not own:
            assert job is not None
            script, waiter = self._script(job, lock.pid)
        else:
            owner = self._scheduler.command_locks.owner(name, waits=True) if is_command else None
            if owner is None:
                return None
            script, waiter, job = None, owner.owner(0.0), owner if isinstance(owner, Job) else None
        wait = FileWait(
            kind="command" if is_command else "file", name=name if is_command else path, waiter=waiter, script=script
        )
        wait.holder = self._holder(lock, wait.name)
        if job is not None:
            job.file_waits.append(wait)
            if own:
                job.name_holder(wait.held_by)
        return wait, job

    def _script(self, job: Job, pid: int) -> tuple[str | None, LockOwner]:
        """Returns the script of a job that waits by this process, and a description of it."""
        began = started(pid)
        assert job.handle is not None
        since_script = job.handle.progress.since
        is_new = began is not None and pid != job.handle.group and began > max(self.before, since_script)
        seconds = self.now - began if is_new and began is not None else 0.0
        return job.handle.progress.script, self._owner(job, pid, seconds)

    def _owner(self, job: Job | None, pid: int, seconds: float) -> LockOwner:
        since = time.time() - seconds
        script = None if job is None or job.handle is None else job.handle.progress.script
        text = command_of(pid) if job is None else f"{job}: {script}"
        return LockOwner(
            run=None if job is None else job.run, lock=None, pid=pid, text=text, since=since, seconds=seconds
        )

    def _holder(self, lock: FileLock, name: str) -> LockOwner | None:
        """Returns the holder of a lock that has waiting processes."""
        if lock.number not in self._holders:
            held = self.held.get(lock.number)
            self._holders[lock.number] = None if held is None else self._find_holder(held, name)
        return self._holders[lock.number]

    def _find_holder(self, held: FileLock, name: str) -> LockOwner | None:
        if held.pid == os.getpid():
            owner = self._scheduler.command_locks.owner(name, waits=False)
            found: LockOwner | None = None if owner is None else owner.owner(0.0)
            return found
        # flock(1) takes a lock for a shell, which keeps it when flock has exited
        pids = (held.pid, *group_members(self._scheduler.groups)) if held.pid > 0 else ()
        pid = next((pid for pid in pids if has_lock(pid, held)), None)
        if pid is None:
            return None
        began = started(pid)
        job = self._scheduler.job_of(ancestor_groups(pid))
        return self._owner(job, pid, 0.0 if began is None else self.now - began)
