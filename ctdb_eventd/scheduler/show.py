"""The scheduler's state in words, for the log: what an administrator wants to know when nothing seems to move."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ctdb_eventd.runs import Job
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.locks import LockState
from ctdb_eventd.scheduler.states import Stage

__all__ = ["describe"]

_MOST_JOBS = 100
_MOST_LOCKS = 100


def describe(core: Core[Job]) -> Iterator[str]:
    """Yields the state, line by line."""
    state = core.state
    slots = state.admission
    busy = "; the processors are busy" if slots.held_back and slots.running < slots.limit else ""
    yield (
        f"{len(state.stages)} events; {slots.running} scripts run ({slots.free_limit} may whatever the load is, "
        f"{slots.limit} at the most), {slots.waiting} wait for a slot{busy}"
    )
    for job, stage in state.stages[:_MOST_JOBS]:
        yield f"{job}: {_stage(core, job, stage)}, arrived {time.monotonic() - job.arrived:.1f} s ago"
    if len(state.stages) > _MOST_JOBS:
        yield f"... and {len(state.stages) - _MOST_JOBS} more events"
    locks = (*state.addresses, *state.scripts)
    for lock in locks[:_MOST_LOCKS]:
        yield _lock(lock)
    if len(locks) > _MOST_LOCKS:
        yield f"... and {len(locks) - _MOST_LOCKS} more locks"


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
