"""The reports of one run's scripts, and the run's result. Logs failures."""

from __future__ import annotations

import errno
import logging
import signal
import time
from collections.abc import Sequence
from typing import Any, Protocol

from ctdb_eventd.logs import NOTICE, log_output
from ctdb_eventd.model import (
    CANNOT_EXECUTE,
    DISABLED,
    NOT_REACHED,
    SIGNALLED,
    TIMED_OUT,
    EventOutcome,
    EventReport,
    ScriptReport,
)
from ctdb_eventd.runs import Job, RunListener, RunResult
from ctdb_eventd.scripts import Script

__all__ = ["Reports", "how_ended", "wall_clock"]

_log = logging.getLogger(__name__)

Came = Sequence[tuple[int, float]]
_NOTABLE_PART = 0.5
"""Fraction of an event's timeout above which the duration of a single script is logged."""


class RunningChild(Protocol):
    """The script that runs."""

    @property
    def pid(self) -> int:
        """Its process."""

    @property
    def output(self) -> bytes:
        """Its output so far."""

    @property
    def came(self) -> Came:
        """When the parts of the output arrived; see `Capture.came`."""


class Reports:
    """The reports of a run's scripts, in their order; the listener is notified of each."""

    def __init__(self, job: Job, listing: Sequence[Script], listener: RunListener) -> None:
        """Starts without reports of the scripts in `listing`."""
        self._job = job
        self._spec = job.spec
        self._listing = listing
        self._listener = listener
        self._reports: list[ScriptReport] = []

    @property
    def next_name(self) -> str | None:
        """The script whose report comes next, None if there is none."""
        done = len(self._reports)
        return self._listing[done].name if done < len(self._listing) else None

    @property
    def any_ran(self) -> bool:
        """Whether there was a script that was not disabled."""
        return any(report.result != DISABLED for report in self._reports)

    def add(self, report: ScriptReport) -> None:
        """Adds the report of the next script."""
        self._reports.append(report)
        self._listener.script_finished(self._job, report)

    # ------------------------------------------------------------------ one script

    def exited(self, name: str, began: int, took: int, status: int, output: bytes, came: Came = ()) -> ScriptReport:
        """Returns the report of a script that has exited.

        Args:
            name: The script.
            began: In microseconds since the epoch.
            took: Microseconds.
            status: Its exit status, or the negative number of the signal that killed it.
            output: Its output.
            came: When the parts of it arrived; see `Capture.came`.
        """
        self._log_output(name, output, came)
        if status > 0:
            _log.error(
                "%s: %s failed with exit status %d after %.3f s (ctdb-event show %s)",
                *(self._spec, name, status, took / 1e6, self._job.run),
                extra=self._about(name, took, "failed", status=status),
            )
        elif status < 0:
            _log.error(
                "%s: %s was killed by %s after %.3f s (ctdb-event show %s)",
                *(self._spec, name, _signal_name(-status), took / 1e6, self._job.run),
                extra=self._about(name, took, "killed", signal=-status),
            )
        elif self._spec.timeout and took > self._spec.timeout * 1e6 * _NOTABLE_PART:
            text = "%s: %s took %.3f s, more than half of the event's %d s (ctdb-event show %s)"
            _log.log(
                *(NOTICE, text, self._spec, name, took / 1e6, self._spec.timeout, self._job.run),
                extra=self._about(name, took, "ok"),
            )
        result = SIGNALLED if status < 0 else status
        return ScriptReport(name=name, begin=began, end=began + took, result=result, output=output)

    def not_started(self, script: Script, began: int, error: OSError | ValueError) -> ScriptReport:
        """Returns the report of a script that could not be started."""
        number = (error.errno if isinstance(error, OSError) else None) or errno.EINVAL
        if number in (errno.ENOENT, errno.EACCES) and not script.enabled():
            # it was removed or disabled after the check, just before its start: like a disabled one
            return ScriptReport(name=script.name, begin=began, end=began, result=DISABLED)
        text = f"cannot run {script.path}: {_why_not_started(number, error)}"
        _log.error(
            *("%s: %s: %s (ctdb-event show %s)", self._spec, script.name, text, self._job.run),
            extra=self._job.about(script=script.name, outcome="not-started"),
        )
        result = CANNOT_EXECUTE if number == errno.ENOEXEC else -number
        output = text.encode(errors="replace") + b"\n"
        return ScriptReport(name=script.name, begin=began, end=wall_clock(), result=result, output=output)

    # ------------------------------------------------------------------ the run

    def completed(self) -> RunResult:
        """Returns the result of a run that has completed."""
        failures = [report.result for report in self._reports if report.failed]
        outcome = EventOutcome.FAILED if failures else EventOutcome.SUCCESS
        return RunResult(outcome.errno, self._finish(failures[-1] if failures else 0))

    def timed_out(self, child: RunningChild | None, began: int, took: int) -> RunResult:
        """Returns the result of a run that has timed out.

        Args:
            child: The running script; None if one was to be started.
            began: When it, or the wait for it, began, in microseconds since the epoch.
            took: Microseconds since then, by the monotonic clock.
        """
        name = self.next_name or ""
        output = b"" if child is None else child.output
        self._log_output(name, output, () if child is None else child.came)
        _log.error(
            "%s: timed out: its %d s were over while %s ran, for %.3f s%s (ctdb-event show %s)",
            *(self._spec, self._spec.timeout, name, took / 1e6),
            *("" if child is None else f" as process {child.pid}", self._job.run),
            extra=self._about(name, took, "timed-out", process=None if child is None else child.pid),
        )
        self.add(ScriptReport(name=name, begin=began, end=began + took, result=TIMED_OUT, output=output))
        return RunResult(EventOutcome.TIMED_OUT.errno, self._finish(TIMED_OUT))

    def cancelled(self, child: RunningChild | None, began: int, took: int) -> RunResult:
        """Returns the result of a cancelled run; for the arguments see `timed_out`."""
        summary = 0
        if child is not None:
            name, summary = self.next_name or "", SIGNALLED
            self.add(ScriptReport(name=name, begin=began, end=began + took, result=SIGNALLED, output=child.output))
        return RunResult(EventOutcome.CANCELLED.errno, self._finish(summary), final=False)

    def _log_output(self, name: str, output: bytes, came: Came) -> None:
        if output:
            log_output(name, output, came, self._job.about()["about"])

    def _about(self, name: str, took: int, outcome: str, **fields: object) -> dict[str, Any]:
        return self._job.about(script=name, outcome=outcome, duration=took / 1e6, **fields)

    def _finish(self, summary: int) -> EventReport:
        for script in self._listing[len(self._reports) :]:
            self._reports.append(ScriptReport(name=script.name, begin=0, end=0, result=NOT_REACHED))
        return EventReport(summary=summary, scripts=tuple(self._reports))


def wall_clock() -> int:
    """Returns the time, for display: microseconds since the epoch."""
    return time.time_ns() // 1000


# ---------------------------------------------------------------------- texts


def _signal_name(number: int) -> str:
    """Returns a signal's number and name."""
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def how_ended(status: int) -> str:
    """Describes how a terminated process ended; `status` is that of `Child.close`."""
    return _signal_name(-status) if status < 0 else f"itself with exit status {status}"


def _why_not_started(number: int, error: OSError | ValueError) -> str:
    """Describes why a script could not be started: `number` is the errno of `error`."""
    if number == errno.ENOEXEC:
        return "it is not a program, and its first line does not name an interpreter (such as #!/bin/sh)"
    if number == errno.ENOENT:
        return "the interpreter that its first line names (#!) does not exist"
    if number == errno.ELOOP:
        return "a link is part of a loop, or of a chain of more than 40 (namei shows them); remove it"
    if number == errno.ENOTDIR:
        return "its path, or that of its interpreter, leads through a file as if it were a directory (namei shows it)"
    if number == errno.ETXTBSY:
        return "it is open for writing (fuser -v shows by whom), and what is being written can't be executed"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
