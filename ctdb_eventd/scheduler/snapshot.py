"""Snapshots of the scheduler's state: frozen values for clients, and text for the log. Pure.

`dispatcher.values` converts these values to the maps that clients receive, field by field; docs/protocol.md describes
the fields.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from ctdb_eventd.model import shortened
from ctdb_eventd.runs import Job, LockOwner
from ctdb_eventd.scheduler.admission import AdmissionState
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.locks import LockState
from ctdb_eventd.scheduler.states import Stage

__all__ = [
    "JobSnapshot",
    "LeftOut",
    "LockSnapshot",
    "QueueSnapshot",
    "describe",
    "snapshot_jobs",
    "snapshot_locks",
    "snapshot_queue",
]

_MOST_RUNNING = 300
_MOST_QUEUED = 300
_MOST_QUEUED_EACH = 100
"""Queued jobs of one component."""
_MOST_BLOCKERS = 5
_MOST_ARGUMENTS = 200
"""Characters of a job's arguments."""
_MOST_LOCKS = 300
"""Locks of each kind."""
_MOST_WAITING = 10
"""Waiting jobs and clients of one lock."""
_MOST_LINES = 100
"""Lines for jobs, and for locks, in the text."""


# ---------------------------------------------------------------------- jobs


@attrs.frozen(kw_only=True, eq=False, repr=False)
class JobSnapshot:
    """A job; all times in seconds, `queued` and `started` by the wall clock."""

    run: str
    component: str
    event: str
    args: tuple[str, ...]
    address: str | None
    state: str
    """`queued`, `running`, or `ending` if the result is known."""
    queued: float
    age: float
    started: float | None
    running: float | None
    timeout: int
    left: float | None
    script: str | None
    script_seconds: float | None
    pid: int | None
    waits_for: tuple[str, ...]
    """The first runs before it, its locks, and the files on whose locks its script waits."""
    waits_for_more: int
    waited: float
    """Seconds before its start."""
    script_waits: float
    """Seconds that its scripts have waited since then."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LeftOut:
    """The number of a component's jobs that are not shown."""

    component: str
    running: int
    queued: int
    oldest: float
    """When the oldest of them was queued, by the wall clock."""


def snapshot_jobs(
    core: Core[Job], component: str | None = None, event: str | None = None, address: str | None = None
) -> tuple[list[JobSnapshot], list[LeftOut]]:
    """Returns the jobs that have not ended completely, up to a limit, and for each component how many are left out.

    Args:
        core: The scheduler's core, which has the jobs.
        component: Only jobs of this component; None for all, also below.
        event: Only jobs of this event.
        address: Only jobs for this address.
    """
    now = time.monotonic()
    shown: list[Job] = []
    more: list[LeftOut] = []
    room, queue_room = _MOST_RUNNING, _MOST_QUEUED
    for name, let_go, waiting in core.components():
        if component is not None and component != name:
            continue
        if event is not None:
            let_go, waiting = ([job for job in jobs if job.spec.event == event] for jobs in (let_go, waiting))
        if address is not None:
            let_go, waiting = ([job for job in jobs if job.address == address] for jobs in (let_go, waiting))
        running = [job for job in let_go if job.started is not None or job.over]
        if len(running) < len(let_go):
            waiting = (*(job for job in let_go if job.started is None and not job.over), *waiting)
        queue = min(queue_room, _MOST_QUEUED_EACH)
        shown += (*running[:room], *waiting[:queue])
        left_out = (*running[room : room + 1], *waiting[queue : queue + 1])
        if left_out:
            oldest = min(job.queued for job in left_out)
            counts = {"running": max(0, len(running) - room), "queued": max(0, len(waiting) - queue)}
            more.append(LeftOut(component=name, oldest=oldest, **counts))
        room -= min(room, len(running))
        queue_room -= min(queue, len(waiting))
    shown.sort(key=lambda job: job.arrived)
    blockers = core.graph.first_blockers(shown, _MOST_BLOCKERS)
    return [_snapshot_job(core, job, now, *blockers.get(job, ((), 0))) for job in shown], more


def _snapshot_job(core: Core[Job], job: Job, now: float, blockers: tuple[Job, ...], count: int) -> JobSnapshot:
    progress = None if job.handle is None else job.handle.progress
    started = job.started
    runs_script = progress is not None and bool(progress.pid)
    return JobSnapshot(
        run=job.run,
        component=job.spec.component,
        event=job.spec.event,
        args=shortened(job.spec.args, _MOST_ARGUMENTS),
        address=job.address,
        state="ending" if job.over else "queued" if started is None else "running",
        queued=job.queued,
        age=now - job.arrived,
        started=None if started is None else job.queued + (started - job.arrived),
        running=None if started is None else now - started,
        timeout=job.spec.timeout,
        left=None if progress is None else progress.left,
        script=None if progress is None else progress.script,
        script_seconds=now - progress.since if progress is not None and runs_script else None,
        pid=progress.pid if progress is not None and runs_script else None,
        waits_for=(
            *(() if runs_script else (*(blocker.run for blocker in blockers), *core.wants(job))),
            *map(str, job.file_waits),
        ),
        waits_for_more=count - len(blockers),
        waited=job.waited(now),
        script_waits=job.script_waits(now),
    )


# ---------------------------------------------------------------------- locks and slots


@attrs.frozen(eq=False, repr=False)
class LockSnapshot:
    """A lock that is held or has waiters."""

    name: str
    kind: str
    """`address`, `named`, `command` or `file`; see `FileWait` for the latter."""
    holder: LockOwner | None
    waiting: tuple[LockOwner, ...]
    """The first waiters, in order."""
    waiting_more: int


def snapshot_locks(core: Core[Job]) -> Iterator[LockSnapshot]:
    """Yields locks that are held or have waiters, by name; those of addresses first."""
    now = time.monotonic()
    for kind, locks in zip(("address", "named"), core.locks(_MOST_LOCKS, _MOST_WAITING), strict=True):
        for lock in locks:
            yield _snapshot_lock(kind, lock, now)


def _snapshot_lock(kind: str, lock: LockState[Any], now: float) -> LockSnapshot:
    holder = None if lock.holder is None else lock.holder.owner(now - lock.since)
    waiting = tuple(one.owner(now - asked) for one, asked in zip(lock.waiting, lock.asked, strict=True))
    return LockSnapshot(lock.name, kind, holder, waiting, lock.more)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class QueueSnapshot:
    """The number of waiting and running runs, and the state of the slots for scripts."""

    queued: int
    running: int
    slots: AdmissionState


def snapshot_queue(core: Core[Job]) -> QueueSnapshot:
    """Returns the number of waiting and running runs, and the state of the slots."""
    queued = running = 0
    for _, let_go, waiting in core.components():
        stages = Counter(map(core.stage, let_go))
        queued += len(waiting) + stages[Stage.LOCKING]
        running += stages[Stage.RUNNING]
    return QueueSnapshot(queued=queued, running=running, slots=core.admission.state)


# ---------------------------------------------------------------------- in words


def describe(core: Core[Job]) -> Iterator[str]:
    """Yields the state as lines of text, so that an administrator can see why events don't proceed."""
    state = core.state
    slots = state.admission
    busy = "; the processors are busy" if slots.held_back and slots.running < slots.limit else ""
    yield (
        f"{len(state.stages)} events; {slots.running} scripts run ({slots.free_limit} may run at any load, "
        f"at most {slots.limit}), {slots.waiting} wait for a slot{busy}"
    )
    for job, stage in state.stages[:_MOST_LINES]:
        yield f"{job}: {_stage(core, job, stage)}, arrived {time.monotonic() - job.arrived:.1f} s ago"
    if len(state.stages) > _MOST_LINES:
        yield f"... and {len(state.stages) - _MOST_LINES} more events"
    locks = (*state.addresses, *state.scripts)
    for lock in locks[:_MOST_LINES]:
        yield _lock(lock)
    if len(locks) > _MOST_LINES:
        yield f"... and {len(locks) - _MOST_LINES} more locks"


def _stage(core: Core[Job], job: Job, stage: Stage) -> str:
    if stage is Stage.RELEASED:
        return "over, but its last script is still being ended"
    if stage is Stage.RUNNING:
        group = job.handle.group if job.handle is not None else 0
        return f"runs (process group {group})" if group else "runs, waits for its next script's locks or a slot"
    blockers = core.blockers(job)
    return f"waits for {blockers[0]}" + (f" and {len(blockers) - 1} more" if len(blockers) > 1 else "")


def _lock(lock: LockState[Job]) -> str:
    waiting = f"; {len(lock.waiting)} wait, the first is {lock.waiting[0]}" if lock.waiting else ""
    return f"lock {lock.name}: held by {lock.holder or 'nobody'}{waiting}"
