"""One run of an event: its scripts in sequence, stop at the first failure, one deadline, and every way out.

Knows scripts and child processes, and reports to a listener; the scheduler decides when a script may start.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import signal
import time
from collections.abc import Sequence
from functools import partial

import anyio
import attrs

from ctdb_eventd import scripts
from ctdb_eventd.config import Config
from ctdb_eventd.errors import RequestError
from ctdb_eventd.model import DISABLED, ScriptReport
from ctdb_eventd.runner.cgroups import Cgroup
from ctdb_eventd.runner.debug import Debugger
from ctdb_eventd.runner.declarations import Declarations
from ctdb_eventd.runner.group import in_group
from ctdb_eventd.runner.notices import ScriptWarnings
from ctdb_eventd.runner.process import Child, SpawnContext
from ctdb_eventd.runner.reports import Reports, how_ended, wall_clock
from ctdb_eventd.runs import Job, Progress, RunListener, RunResult
from ctdb_eventd.safety import Ways

__all__ = ["PREEMPTION_GRACE", "RunContext", "RunningEvent"]

_log = logging.getLogger(__name__)

PREEMPTION_GRACE = 0.5
"""Seconds that a monitor may take to clean up after TERM when another event has to run: that is usually a failover, for
which every client of the address waits."""
_LONG_WAIT = 10.0
"""Seconds of waiting for locks or a slot after which a warning is logged."""
_WRITTEN_WAIT = 1.0
"""Seconds for which starting a script is retried while it is open for writing, when the kernel refuses to execute it
(ETXTBSY): CTDB's own tool opens it so to enable it, an editor to save it."""
_WRITTEN_INTERVAL = 0.01
"""Seconds between two attempts to start it."""
_UNKILLABLE_WAIT = 2.0
"""Seconds after KILL until other jobs may start. A killed process ends at once, except in state D (in the kernel)."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RunContext:
    """What a run needs of its surroundings."""

    config: Config
    """The one in effect when it was started; a reload doesn't change it."""
    spawn: SpawnContext
    """Environment and descriptors of every script."""
    debugger: Debugger
    """Examines a script that hangs."""
    declarations: Declarations
    """Knows the locks that scripts need, and the events that they handle."""
    notices: ScriptWarnings
    """Warns about scripts that don't run."""


class RunningEvent:
    """A started run."""

    def __init__(self, context: RunContext, job: Job, listing: Sequence[scripts.Script], listener: RunListener) -> None:
        self._context = context
        self._config = context.config
        self._job = job
        self._spec = job.spec
        self._listing = listing
        self._listener = listener
        self._scope = anyio.CancelScope()
        self._look = anyio.CancelScope()
        self._cancelled = False
        self._grace = self._config.kill_grace
        self._grace_scope: anyio.CancelScope | None = None
        self._reports = Reports(job, listing, listener)
        self._ways = Ways()
        self._child: Child | None = None
        self._cgroup: Cgroup | None = None
        self._began = self._began_at = 0
        self._child_since = 0.0
        self._time_left: float | None = None
        self._permission: asyncio.Future[None] | None = None
        self._is_reported = self._is_released = False

    @property
    def group(self) -> int:
        """The process group of the script that runs right now, 0 if none does."""
        return self._child.pid if self._child is not None else 0

    @property
    def progress(self) -> Progress:
        """Its current script, and the rest of its time."""
        child = self._child
        left = self._scope.deadline - anyio.current_time() if self._time_left is None else self._time_left
        return Progress(
            script=self._reports.next_name,
            pid=0 if child is None else child.pid,
            since=0.0 if child is None else self._child_since,
            left=None if left == math.inf else max(0.0, left),
        )

    def proceed(self) -> None:
        """Starts the next script, after `want_script` has returned that it must wait."""
        if self._permission is not None and not self._permission.done():
            self._permission.set_result(None)

    def cancel(self, *, yielding: bool = False) -> None:
        """Ends the run with the result "cancelled"; if it has a result already, that stays.

        Args:
            yielding: Another event has to run, so the grace period is shorter, also one that has begun already.
        """
        if yielding:
            self._grace = min(self._grace, PREEMPTION_GRACE)
            if self._grace_scope is not None:
                soon = anyio.current_time() + PREEMPTION_GRACE
                self._grace_scope.deadline = min(self._grace_scope.deadline, soon)
        if self._is_reported:
            # only the remaining processes have to be ended: don't examine them
            self._look.cancel()
            return
        self._cancelled = True
        self._scope.cancel()

    async def main(self) -> None:
        """Runs the event and reports to the listener in every case. No process survives this call."""
        if self._spec.timeout:
            self._scope.deadline = anyio.current_time() + self._spec.timeout
        try:
            with self._scope:
                await self._run_scripts()
            if self._scope.cancelled_caught and self._cancelled:
                await self._finish_cancelled()
            elif self._scope.cancelled_caught and not self._ended_in_time():
                await self._finish_timed_out()
            else:
                self._context.notices.completed(self._spec, ran=self._reports.any_ran)
                self._report(self._reports.completed())
        except Exception:
            text = "%s: aborted: this is a bug in ctdb-eventd, please report it"
            _log.exception(text, self._spec, extra=self._job.about())
        finally:
            await self._clean_up()

    # ------------------------------------------------------------------ scripts

    async def _run_scripts(self) -> None:
        now = asyncio.get_running_loop().time  # anyio's clock, at a tenth of the price
        for script in self._listing:
            if self._scope.cancel_called or now() >= self._scope.deadline:
                # No script is started for an event that has ended; the cancelled scope ends the sleep.
                self._begin()
                self._scope.cancel()
                await anyio.sleep_forever()
            report = await self._run_script(script)
            if self._is_last(report):
                return

    def _is_last(self, report: ScriptReport) -> bool:
        """Adds a script's report; returns whether the scripts after it are skipped."""
        self._reports.add(report)
        return report.failed and not self._spec.run_all

    def _begin(self) -> int:
        """Sets the begin of the next script, or of the wait for it, to now; returns it, in wall-clock time."""
        self._began, self._began_at = wall_clock(), time.monotonic_ns()
        return self._began

    def _spent(self) -> tuple[int, int]:
        """Returns that begin, and the microseconds since then."""
        return self._began, (time.monotonic_ns() - self._began_at) // 1000

    async def _run_script(self, script: scripts.Script) -> ScriptReport:
        began = self._begin()
        try:
            status = script.look()
        except OSError as error:
            return self._reports.not_started(script, began, error)
        if status is None:
            self._context.notices.passed_over(script)
            return ScriptReport(name=script.name, begin=began, end=began, result=DISABLED)
        self._context.notices.found(script)
        flaw = self._ways.flaw(script.path)
        if flaw is not None:
            if self._config.script_security == "refuse":
                return self._reports.not_started(script, began, PermissionError(errno.EPERM, flaw.sentence))
            self._context.notices.unsafe(script.path, flaw)
        handled = self._context.declarations.handled(script, status, self._config)
        if handled is not None and handled.leaves_out(self._spec.event, self._spec.args):
            return ScriptReport(name=script.name, begin=began, end=began, result=0, known_from=handled.origin.value)
        locks = self._context.declarations.locks(script, status, self._config)
        try:
            may_start = self._listener.want_script(self._job, script.name, locks)
        except RequestError as error:
            return self._reports.not_started(script, began, OSError(error.errno, str(error)))
        if not may_start:
            await self._wait_for_permission(script.name, locks)
            if self._scope.cancel_called:
                await anyio.sleep_forever()  # cancelled in the same step; the scope ends the sleep
            began = self._begin()
        return await self._run_child(script, began)

    async def _wait_for_permission(self, name: str, locks: tuple[str, ...]) -> None:
        """Waits for the script's locks and its slot; that time doesn't count for the event's timeout."""
        left = self._time_left = self._scope.deadline - anyio.current_time()
        self._scope.deadline = math.inf
        loop = asyncio.get_running_loop()
        self._permission = loop.create_future()
        what = f"its locks ({' '.join(locks)}) and a slot" if locks else "a slot"
        warning = loop.call_later(_LONG_WAIT, self._warn_of_wait, name, what)
        try:
            await self._permission
        finally:
            self._permission = self._time_left = None
            warning.cancel()
        self._scope.deadline = anyio.current_time() + left
        self._listener.got_locks(self._job, name, locks)

    def _warn_of_wait(self, name: str, what: str) -> None:
        _log.warning("%s: %s still waits for %s", self._spec, name, what, extra=self._job.about(script=name))

    async def _run_child(self, script: scripts.Script, began: int) -> ScriptReport:
        if self._cgroup is None:
            self._cgroup = self._context.spawn.cgroups.make(self._spec.component)
        try:
            child = self._child = await self._spawn(script)
        except (OSError, ValueError) as error:
            self._listener.script_over(self._job)
            return self._reports.not_started(script, began, error)
        self._child_since = time.monotonic()
        self._listener.script_started(self._job, script.name, child.pid)
        await child.wait()
        return self._take_exit(child)

    def _take_exit(self, child: Child) -> ScriptReport:
        self._child = None
        output, came, status = child.output, child.came, child.close()
        if self._cgroup is not None:
            self._cgroup.let_go()
        report = self._reports.exited(self._reports.next_name or "", *self._spent(), status, output, came)
        self._listener.script_over(self._job)
        return report

    async def _spawn(self, script: scripts.Script) -> Child:
        argv = (script.name, self._spec.event, *self._spec.args)
        printed = partial(self._listener.printed, self._job, script.name)
        spawn = self._context.spawn.holding(self._listener.holds(self._job))
        deadline: float | None = None
        while True:
            try:
                return Child.spawn(
                    *(script.path, argv, spawn, self._config.max_output),
                    printed=printed,
                    cgroup=self._cgroup,
                )
            except OSError as error:
                if error.errno != errno.ETXTBSY:
                    raise
                if deadline is None:
                    deadline = anyio.current_time() + _WRITTEN_WAIT
                    _log.info(
                        *("%s: %s is open for writing; it starts when it is closed", self._spec, script.name),
                        extra=self._job.about(script=script.name),
                    )
                elif anyio.current_time() >= deadline:
                    raise
            await anyio.sleep(_WRITTEN_INTERVAL)

    # ------------------------------------------------------------------ cancellation and timeout

    def _ended_in_time(self) -> bool:
        """Returns whether the last script had exited before the timeout was noticed.

        The clock and the scripts continue while this daemon is stopped (SIGSTOP, no processor time): a script that has
        exited meanwhile has not timed out.
        """
        child = self._child
        if child is None or not child.look():
            return False
        if self._is_last(self._take_exit(child)) or self._reports.next_name is None:
            return True
        self._begin()
        return False

    async def _finish_cancelled(self) -> None:
        _log.info("%s: cancelled", self._spec, extra=self._job.about(outcome="cancelled"))
        self._report(self._reports.cancelled(self._child, *self._spent()))
        await self._end_child()

    async def _finish_timed_out(self) -> None:
        # First the reply, and the component is released: the client waits for it, and the debug script may request the
        # status of this very event.
        child, script = self._child, self._reports.next_name or ""
        self._report(self._reports.timed_out(child, *self._spent()))
        self._release()
        if child is not None:
            with self._look:
                known = () if self._cgroup is None else tuple(self._cgroup.members())
                await self._context.debugger.examine(child, known, self._job, script)
                await self._context.debugger.look_at(child, self._job, self._config)
            await self._end_child()

    async def _end_child(self) -> None:
        child = self._child
        if child is None:
            return
        grace = self._grace_scope = anyio.move_on_after(self._grace)
        cgroup = self._cgroup
        if cgroup is not None:
            cgroup.send_signal(signal.SIGTERM, except_group=child.pid)
        with anyio.CancelScope(deadline=grace.deadline + _UNKILLABLE_WAIT) as scope:
            await self._nobody_left(child, grace)
        if scope.cancelled_caught:
            held = child.pid
            if cgroup is not None:
                held = next((pid for pid in cgroup.members() if in_group(pid, child.pid)), held)
                cgroup.kill()
            _log.error(
                "%s: process %d of process group %d survived SIGKILL, the kernel holds it (see /proc/%d/stack); "
                "continuing without it",
                *(self._spec, held, child.pid, held),
                extra=self._job.about(process=held),
            )
            # Its address stays locked, but locks and slot are released: holding them for ever could stop the node.
            self._listener.script_over(self._job)
            self._listener.stuck(self._job)
            self._release()
            await self._nobody_left(child, anyio.move_on_after(0))
        self._child = None
        _log.info(
            *("%s: process group %d is gone, ended by %s", self._spec, child.pid, how_ended(child.close())),
            extra=self._job.about(process=child.pid),
        )

    async def _nobody_left(self, child: Child, grace: anyio.CancelScope) -> None:
        await child.end(grace)
        if self._cgroup is not None:
            await self._cgroup.end(grace.deadline)

    async def _clean_up(self) -> None:
        # A child is left here only after a bug or at the daemon's end: kill it without a grace period.
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with anyio.move_on_after(_UNKILLABLE_WAIT, shield=True):
                await child.wait()
            child.close()
        if self._cgroup is not None:
            for hit in self._cgroup.new_hits():
                text = "%s: a limit of its component was reached ([limits]): %s"
                _log.warning(text, self._spec, hit, extra=self._job.about())
            self._cgroup.close(kill=child is not None)
        self._report(RunResult(errno.EIO))
        self._release()
        # releases locks and slot of a script that was ended, now that none of its processes is left
        self._listener.gone(self._job)

    def _report(self, result: RunResult) -> None:
        if not self._is_reported:
            self._is_reported = True
            self._listener.reported(self._job, result)

    def _release(self) -> None:
        if not self._is_released:
            self._is_released = True
            self._listener.released(self._job)
