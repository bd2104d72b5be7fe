"""Jobs and locks as plain values, in the form in which docs/protocol.md has them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ctdb_eventd.model import shortened
from ctdb_eventd.runs import Job
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.locks import LockState
from ctdb_eventd.scheduler.states import Stage

__all__ = ["job_values", "lock_values", "queue_values"]


_MOST_RUNNING = 300
_MOST_QUEUED = 300
_MOST_QUEUED_EACH = 100
"""Of one component."""
_MOST_BLOCKERS = 5
_MOST_ARGUMENTS = 200
"""Characters of them."""
_MOST_LOCKS = 300
"""Of each kind."""
_MOST_WAITING = 10
"""For one lock."""


def job_values(
    core: Core[Job], component: str | None = None, event: str | None = None, address: str | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns the jobs of which something is left, as many as may be, and how many of each component are left out.

    Args:
        core: Has the jobs.
        component: Only of this one; None is all, here and below.
        event: Only of this one.
        address: Only of this one.
    """
    now = time.monotonic()
    shown: list[Job] = []
    more: list[dict[str, Any]] = []
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
            left = {"running": max(0, len(running) - room), "queued": max(0, len(waiting) - queue)}
            more.append({"component": name, **left, "oldest": min(job.queued for job in left_out)})
        room -= min(room, len(running))
        queue_room -= min(queue, len(waiting))
    shown.sort(key=lambda job: job.arrived)
    blockers = core.graph.first_blockers(shown, _MOST_BLOCKERS)
    return [_job_value(core, job, now, *blockers.get(job, ((), 0))) for job in shown], more


def _job_value(core: Core[Job], job: Job, now: float, blockers: tuple[Job, ...], count: int) -> dict[str, Any]:
    progress = None if job.handle is None else job.handle.progress
    started = job.started
    runs_script = progress is not None and bool(progress.pid)
    return {
        "run": job.run,
        "component": job.spec.component,
        "event": job.spec.event,
        "args": shortened(job.spec.args, _MOST_ARGUMENTS),
        "address": job.address,
        "state": "ending" if job.over else "queued" if started is None else "running",
        "queued": job.queued,
        "age": now - job.arrived,
        "started": None if started is None else job.queued + (started - job.arrived),
        "running": None if started is None else now - started,
        "timeout": job.spec.timeout,
        "left": None if progress is None else progress.left,
        "script": None if progress is None else progress.script,
        "script_seconds": now - progress.since if progress is not None and runs_script else None,
        "pid": progress.pid if progress is not None and runs_script else None,
        "waits_for": [] if runs_script else [*(blocker.run for blocker in blockers), *core.wants(job)],
        "waits_for_more": count - len(blockers),
    }


def lock_values(core: Core[Job]) -> Iterator[dict[str, Any]]:
    """Yields locks that are held or waited for, by name; those of addresses first."""
    now = time.monotonic()
    addresses, named = core.locks(_MOST_LOCKS, _MOST_WAITING)
    for lock in addresses:
        yield _lock_value("address", lock, now)
    for lock in named:
        yield _lock_value("named", lock, now)


def _lock_value(kind: str, lock: LockState[Any], now: float) -> dict[str, Any]:
    holder = None if lock.holder is None else lock.holder.as_owner(now - lock.since)
    waiting = [owner.as_owner(now - asked) for owner, asked in zip(lock.waiting, lock.asked, strict=True)]
    return {"name": lock.name, "kind": kind, "holder": holder, "waiting": waiting, "waiting_more": lock.more}


def queue_values(core: Core[Job]) -> dict[str, Any]:
    """Returns how many runs wait and run, and what slots for scripts there are."""
    queued = running = 0
    for _, let_go, waiting in core.components():
        stages = Counter(map(core.stage, let_go))
        queued += len(waiting) + stages[Stage.LOCKING]
        running += stages[Stage.RUNNING]
    slots = core.admission.state
    return {
        "queued": queued,
        "running": running,
        "slots": {
            "running": slots.running,
            "waiting": slots.waiting,
            "free_limit": slots.free_limit,
            "limit": slots.limit,
        },
    }
