"""The notices for an administrator, and the order in which they are sent: the same one at most once a minute. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ctdb_eventd.model import ComponentHealth, EventOutcome, RunRecord, ScriptReport
from ctdb_eventd.runs import Job

__all__ = ["Notice", "Notices", "of_end", "of_health", "of_stuck"]

_INTERVAL = 60.0
"""Seconds between two notices with the same key."""
_MOST_WAITING = 100
"""Maximum number of keys with queued notices; more notices are dropped."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Notice:
    """A notification for an administrator."""

    kind: str
    """One of `config.NOTIFY_KINDS`."""
    summary: str
    """A sentence for users."""
    time: float
    """Time of the event, in seconds since the epoch."""
    run: str
    component: str
    event: str
    arguments: tuple[str, ...]
    address: str | None
    """The address, if it is an address event."""
    script: str | None
    """The script that failed, runs or waited; None if there is none."""
    status: int | None = None
    """That script's exit status, or a negative errno instead of one; None if there is none."""
    outcome: str | None = None
    """How the run ended, or `healthy` or `unhealthy` if the kind is `health`; None if the run has not ended."""
    seconds: float | None = None
    """Duration of the run, or of the wait; None if it has not ended."""

    @property
    def key(self) -> tuple[str | None, ...]:
        """Notices with the same key are combined. A component's health has one key, as it has one state at a time."""
        if self.kind == "health":
            return self.kind, self.component
        return self.kind, self.component, self.event, self.script


def of_end(job: Job, record: RunRecord, long_wait: float) -> list[Notice]:
    """Returns the notices of a run that has ended: its failure, and a wait of at least `long_wait` seconds."""
    notices = []
    if record.outcome in (EventOutcome.FAILED, EventOutcome.TIMED_OUT):
        script = record.report.failed
        notices.append(
            _of_record(
                record,
                kind=record.outcome.word,
                summary=f"{record.spec}: {_how_it_ended(record, script)}",
                script=None if script is None else script.name,
                status=None if script is None else script.result,
                outcome=record.outcome.word,
                seconds=record.seconds,
            )
        )
    longest = max(job.waits, key=lambda wait: wait.seconds, default=None)
    if longest is not None and longest.seconds >= long_wait:
        holder = "" if longest.holder is None else f", held by {longest.holder}"
        notices.append(
            _of_record(
                record,
                kind="waited",
                summary=f"{record.spec}: waited {longest.seconds:.1f} s for {longest.what}{holder}",
                script=longest.script,
                outcome=record.outcome.word,
                seconds=longest.seconds,
            )
        )
    return notices


def of_health(record: RunRecord, health: ComponentHealth) -> Notice:
    """Returns the notice of a change of a component's health, which a run of its monitor event has caused."""
    script = None if health.healthy else record.report.failed
    how = "healthy" if health.healthy else f"unhealthy: {_how_it_ended(record, script)}"
    return _of_record(
        record,
        kind="health",
        summary=f"{health.component} is {how}",
        script=None if script is None else script.name,
        status=None if script is None else script.result,
        outcome="healthy" if health.healthy else "unhealthy",
        seconds=record.seconds,
    )


def of_stuck(job: Job, now: float) -> Notice:
    """Returns the notice of a script that can't be ended, not even by SIGKILL."""
    progress = None if job.handle is None else job.handle.progress
    script = None if progress is None else progress.script
    process = f", process {progress.pid}," if progress is not None and progress.pid else ""
    return Notice(
        kind="stuck",
        summary=f"{job}: {script or 'a script'}{process} can't be ended, not even by SIGKILL",
        time=now,
        run=job.run,
        component=job.spec.component,
        event=job.spec.event,
        arguments=job.spec.args,
        address=job.address,
        script=script,
    )


def _of_record(record: RunRecord, **fields: Any) -> Notice:
    return Notice(
        time=record.queued + record.waited + record.seconds,
        run=record.run,
        component=record.spec.component,
        event=record.spec.event,
        arguments=record.spec.args,
        address=record.address,
        **fields,
    )


def _how_it_ended(record: RunRecord, script: ScriptReport | None) -> str:
    if script is None:
        return "failed, as it could not be started"
    if record.outcome is EventOutcome.TIMED_OUT:
        return f"timed out after {record.spec.timeout} s while {script.name} ran"
    if script.result > 0:
        return f"{script.name} failed with exit status {script.result}"
    return f"{script.name} was killed" if script.state == "killed" else f"{script.name} could not be started"


class Notices:
    """The queue of notices; those with the same key are combined.

    Attributes:
        dropped: Number of notices that were dropped because the queue was full.
    """

    def __init__(self) -> None:
        """Starts with an empty queue."""
        self.dropped = 0
        self._waiting: dict[tuple[str | None, ...], tuple[float, Notice, int]] = {}  # due time, latest notice, number
        self._sent: dict[tuple[str | None, ...], float] = {}

    def __len__(self) -> int:
        return sum(count for _, _, count in self._waiting.values())

    def put(self, notice: Notice, now: float) -> None:
        """Queues a notice; of those with the same key only the latest is sent.

        Args:
            notice: The notice.
            now: The time, by the monotonic clock.
        """
        key = notice.key
        if key not in self._waiting and len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        sent = self._sent.get(key)
        due, _, count = self._waiting.get(key, (now if sent is None else max(now, sent + _INTERVAL), None, 0))
        self._waiting[key] = due, notice, count + 1

    def left(self) -> dict[str, Any]:
        """Returns the queue as plain values, for another program; see `take_up`."""
        return {
            "waiting": [[due, attrs.asdict(notice), count] for due, notice, count in self._waiting.values()],
            "sent": [[list(key), sent] for key, sent in self._sent.items()],
        }

    def take_up(self, left: Mapping[str, Any]) -> None:
        """Restores the queue of a previous program."""
        for due, fields, count in left["waiting"]:
            notice = Notice(**{**fields, "arguments": tuple(fields["arguments"])})
            self._waiting[notice.key] = due, notice, count
        self._sent.update({tuple(key): sent for key, sent in left["sent"]})

    @property
    def due(self) -> float | None:
        """The due time of the next notice; None if the queue is empty."""
        return min((due for due, _, _ in self._waiting.values()), default=None)

    def take(self, now: float) -> tuple[Notice, int] | None:
        """Removes the next due notice; returns it and the number of combined notices, or None if none is due."""
        if not self._waiting:
            return None
        key, (due, notice, count) = min(self._waiting.items(), key=lambda item: item[1][0])
        if due > now:
            return None
        del self._waiting[key]
        self._sent = {other: sent for other, sent in self._sent.items() if now - sent < _INTERVAL}
        self._sent[key] = now
        return notice, count
