"""What an administrator is notified of, and which of it next: the same thing at most once a minute. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ctdb_eventd.model import ComponentHealth, EventOutcome, RunRecord, ScriptReport
from ctdb_eventd.runs import Job

__all__ = ["Notice", "Notices", "of_end", "of_health", "of_stuck"]

_INTERVAL = 60.0
"""Seconds between two notices of the same thing."""
_MOST_WAITING = 100
"""Different things of which notices wait; more are dropped."""


@attrs.frozen(kw_only=True)
class Notice:
    """Something that happened."""

    kind: str
    """One of `config.NOTIFY_KINDS`."""
    summary: str
    """A sentence for people."""
    time: float
    """When it happened: seconds since the epoch."""
    run: str
    component: str
    event: str
    arguments: tuple[str, ...]
    address: str | None
    """Of an address event."""
    script: str | None
    """The script that failed, runs or waited; None if there is none."""
    status: int | None = None
    """That script's exit status, or the negative errno that stands for it; None if there is none."""
    outcome: str | None = None
    """How the run ended, `healthy` or `unhealthy` if the kind is `health`; None if the run is not over."""
    seconds: float | None = None
    """How long the run, or the wait, took; None if it is not over."""

    @property
    def key(self) -> tuple[str | None, ...]:
        """What notices of the same thing have in common: of a component's health there is one state at a time."""
        if self.kind == "health":
            return self.kind, self.component
        return self.kind, self.component, self.event, self.script


def of_end(job: Job, record: RunRecord, long_wait: float) -> list[Notice]:
    """Returns what there is to be notified of when a run is over: how it went, and a wait of so many seconds."""
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
    """Returns the notice of a change of a component's health, by a run of its monitor event."""
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
    """The notices that wait to be sent; those of the same thing are held together as one.

    Attributes:
        dropped: How many were dropped because too many waited.
    """

    def __init__(self) -> None:
        """Starts with none."""
        self.dropped = 0
        self._waiting: dict[tuple[str | None, ...], tuple[float, Notice, int]] = {}  # when it is due, how many
        self._sent: dict[tuple[str | None, ...], float] = {}

    def __len__(self) -> int:
        return sum(count for _, _, count in self._waiting.values())

    def put(self, notice: Notice, now: float) -> None:
        """Adds one; of the same thing the latest is sent.

        Args:
            notice: The notice.
            now: By the monotonic clock.
        """
        key = notice.key
        if key not in self._waiting and len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        sent = self._sent.get(key)
        due, _, count = self._waiting.get(key, (now if sent is None else max(now, sent + _INTERVAL), None, 0))
        self._waiting[key] = due, notice, count + 1

    def left(self) -> dict[str, Any]:
        """Returns all of it in plain values, for another program; see `take_up`."""
        return {
            "waiting": [[due, attrs.asdict(notice), count] for due, notice, count in self._waiting.values()],
            "sent": [[list(key), sent] for key, sent in self._sent.items()],
        }

    def take_up(self, left: Mapping[str, Any]) -> None:
        """Takes what a former program has left."""
        for due, fields, count in left["waiting"]:
            notice = Notice(**{**fields, "arguments": tuple(fields["arguments"])})
            self._waiting[notice.key] = due, notice, count
        self._sent.update({tuple(key): sent for key, sent in left["sent"]})

    @property
    def due(self) -> float | None:
        """When the next one is to be sent; None if none waits."""
        return min((due for due, _, _ in self._waiting.values()), default=None)

    def take(self, now: float) -> tuple[Notice, int] | None:
        """Removes the next one that is due, and returns it and how many it stands for; None if none is due."""
        if not self._waiting:
            return None
        key, (due, notice, count) = min(self._waiting.items(), key=lambda item: item[1][0])
        if due > now:
            return None
        del self._waiting[key]
        self._sent = {other: sent for other, sent in self._sent.items() if now - sent < _INTERVAL}
        self._sent[key] = now
        return notice, count
