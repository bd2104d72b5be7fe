"""Jobs and locks as plain values, in the form in which docs/protocol.md has them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.job import Job
from ctdb_eventd.scheduler.locks import LockState
from ctdb_eventd.scheduler.steps import Stage

__all__ = ["job_values", "lock_values", "queue_values"]


def job_values(core: Core[Job]) -> Iterator[dict[str, Any]]:
    """Yields every job of which something is left, in order of arrival."""
    now = time.monotonic()
    for job in core.jobs:
        stage = core.stage(job)
        if stage is not None:
            yield _job_value(core, job, stage, now)


def _job_value(core: Core[Job], job: Job, stage: Stage, now: float) -> dict[str, Any]:
    progress = None if job.handle is None else job.handle.progress
    started = job.started
    runs_script = progress is not None and bool(progress.pid)
    return {
        "run": job.run,
        "component": job.spec.component,
        "event": job.spec.event,
        "args": job.spec.args,
        "address": job.address,
        "state": _state(job, stage),
        "queued": job.queued,
        "age": now - job.arrived,
        "started": None if started is None else job.queued + (started - job.arrived),
        "running": None if started is None else now - started,
        "timeout": job.spec.timeout,
        "left": None if progress is None else progress.left,
        "script": None if progress is None else progress.script,
        "script_seconds": now - progress.since if progress is not None and runs_script else None,
        "pid": progress.pid if progress is not None and runs_script else None,
        "waits_for": [] if runs_script else _waits_for(core, job, stage),
    }


def _state(job: Job, stage: Stage) -> str:
    if job.over:
        return "ending"
    return "running" if stage is Stage.RUNNING else "queued"


def _waits_for(core: Core[Job], job: Job, stage: Stage) -> list[str]:
    return [*(blocker.run for blocker in core.blockers(job)), *core.wants(job)]


def lock_values(core: Core[Job]) -> Iterator[dict[str, Any]]:
    """Yields every lock that is held or waited for, by name; those of addresses first."""
    state, now = core.state, time.monotonic()
    for lock in state.addresses:
        yield _lock_value("address", lock, now)
    for lock in state.scripts:
        yield _lock_value("named", lock, now)


def _lock_value(kind: str, lock: LockState[Any], now: float) -> dict[str, Any]:
    holder = None if lock.holder is None else lock.holder.as_owner(now - lock.since)
    waiting = [owner.as_owner(now - asked) for owner, asked in zip(lock.waiting, lock.asked, strict=True)]
    return {"name": lock.name, "kind": kind, "holder": holder, "waiting": waiting}


def queue_values(core: Core[Job]) -> dict[str, Any]:
    """Returns how many runs wait and run, and what slots for scripts there are."""
    stages = [stage for _, stage in core.state.stages]
    slots = core.admission.state
    return {
        "queued": sum(stage in (Stage.QUEUED, Stage.LOCKING) for stage in stages),
        "running": stages.count(Stage.RUNNING),
        "slots": {
            "running": slots.running,
            "waiting": slots.waiting,
            "free_limit": slots.free_limit,
            "limit": slots.limit,
        },
    }
