"""Carries out the core's actions: starts, ends and answers runs, and lets scripts start. Listens to every run."""

from __future__ import annotations

import errno
import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable
from functools import partial
from weakref import WeakValueDictionary

from ctdb_eventd.errors import AddressHeld, QueueTimeout, RequestError, WouldDeadlock
from ctdb_eventd.events import Mode, plan
from ctdb_eventd.feed import Feed
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.model import EventOutcome, EventReport, EventSpec, RunRecord, ScriptReport
from ctdb_eventd.runs import Done, Job, RunHandle, RunIds, RunListener, RunResult, make_record
from ctdb_eventd.scheduler.admission import Load
from ctdb_eventd.scheduler.client_locks import NOTABLE_WAIT, ClientLocks
from ctdb_eventd.scheduler.command_locks import CommandLocks
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.load import LoadWatch
from ctdb_eventd.scheduler.publisher import Publisher
from ctdb_eventd.scheduler.queue_timeout import QueueTimers
from ctdb_eventd.scheduler.states import Action

__all__ = ["Scheduler"]

_log = logging.getLogger(__name__)

_QUEUE_TIMED_OUT = errno.EBUSY
"""Reply to a request that waited too long. Not ETIMEDOUT: it means that scripts ran, and ctdbd treats it as success."""
_YIELDED = "cancelled for another event"
_NOTHING_RAN = EventReport(summary=0, scripts=())

StartRun = Callable[[Job, RunListener], RunHandle | None]
TrivialResult = Callable[[EventSpec], RunResult | None]
Record = Callable[[RunRecord, int | None], None]
Begun = Callable[[Job], None]
Ended = Callable[[Job, RunRecord], None]


class Scheduler:
    """Runs events when the core lets them; the listener of every run.

    Attributes:
        core: Makes the decisions; `snapshot` reads it.
        command_locks: The lock files of commands.
        client_locks: Locks of clients.
        load: Starts scripts that wait for an idle processor.
        queue_timers: Timeouts of queued requests.
        outcomes: The number of runs by outcome, without the trivial ones.
        trivial_runs: The number of runs that had nothing to run.
        scripts_started: The number of started scripts.
    """

    def __init__(
        self,
        *,
        core: Core[Job],
        start: StartRun,
        trivial_result: TrivialResult,
        record: Record,
        begun: Begun,
        ended: Ended,
        stuck: Callable[[Job], None],
        load: Callable[[], Load | None],
        feed: Feed,
        command_locks: CommandLocks | None = None,
        queue_timeout: float | None = None,
    ) -> None:
        """Prepares.

        Args:
            core: Makes the decisions.
            start: Starts a job's run, which notifies the listener; returns None if it has ended already.
            trivial_result: Returns the result of a run for which there is nothing to run, else None.
            record: Called with the record of every run that wasn't cancelled; for an address event also with the
                number of its batch.
            begun: Called for each job when it arrives.
            ended: Called for each job when it has ended, whatever its outcome.
            stuck: Called for each job one of whose scripts can't be killed.
            load: Reads the load; returns None if it is unknown.
            feed: Where notifications are published.
            command_locks: The lock files of commands; None if there are none.
            queue_timeout: Seconds that a request may wait before it starts; None is no limit.
        """
        self.core = core
        self.queue_timers = QueueTimers(self._on_queue_timeout, queue_timeout)
        self.outcomes: Counter[EventOutcome] = Counter()
        self.trivial_runs = 0
        self.scripts_started = 0
        self._run_ids = RunIds()
        # indexes by run id and process group; entries vanish with the jobs
        self._jobs: WeakValueDictionary[str, Job] = WeakValueDictionary()
        self._groups: WeakValueDictionary[int, Job] = WeakValueDictionary()
        self._publisher = Publisher(feed)
        self.command_locks = command_locks or CommandLocks()
        self.client_locks = ClientLocks(core, self.command_locks, self._publisher, self._settle)
        self.load = LoadWatch(core, load, self._run_actions)
        self._start = start
        self._trivial_result = trivial_result
        self._record = record
        self._begun, self._ended, self._stuck = begun, ended, stuck
        self._running_actions = False
        self._on_idle: Callable[[], None] | None = None

    # ------------------------------------------------------------------ requests

    def new_run(self) -> str:
        """Returns an id for a run that is submitted later, so that a client can subscribe to it before."""
        return self._run_ids.next()

    def submit(
        self,
        spec: EventSpec,
        done: Done,
        parents: frozenset[Hashable] = frozenset(),
        run: str = "",
        asked_by: object = None,
    ) -> Job | None:
        """Accepts a request; `done` is called with 0 or an errno, possibly before this returns.

        A run for which there is nothing to run, in an idle component, ends at once and never becomes a job: ctdbd
        requests many of these one after the other.

        Args:
            spec: What to run.
            done: Called with the result.
            parents: The jobs and client locks that are held until it completes: a script, or the command of a lock
                holder, has requested it and waits.
            run: Its id, from `new_run`; empty for a new one.
            asked_by: Becomes the job's attribute.

        Returns:
            The job, which can be cancelled; None if it has ended already.

        Raises:
            WouldDeadlock: It would have to wait for one of `parents`, which wait for it.
        """
        if self.core.idle(spec.component) and (result := self._trivial_result(spec)) is not None:
            self._answer_trivial(run, spec, result, done)
            return None
        its_plan = plan(spec.event, spec.args)
        if its_plan.warning:
            _log.warning("%s: %s", spec, its_plan.warning, extra={"about": spec.about})
        if parents and self.core.would_deadlock(spec.component, its_plan, parents):
            raise WouldDeadlock(str(spec), str(max(parents, key=lambda parent: isinstance(parent, Job))))
        job = Job(run=run or self.new_run(), spec=spec, plan=its_plan, done=done, asked_by=asked_by)
        if parents:
            inherited = (parent.inherited for parent in parents if isinstance(parent, Job))
            job.inherited = " ".join((*inherited, self.command_locks.holds(parents))).strip()
        self._jobs[job.run] = job
        self._begun(job)
        self.core.submit(job, spec.component, its_plan, parents)
        if self.core.waits(job):
            self._begin_wait(job, "queue", self.core.first_blocker(job))
            self._publisher.queued(job)
        self._run_actions()
        if self.core.waits(job):
            self.queue_timers.begin(job)
        return job

    def backdate(self, run: str, arrived: float, queued: float) -> None:
        """Sets the arrival of a waiting run back, in both clocks; see the same attributes of Job."""
        job = self.find(run)
        if job is not None:
            job.arrived, job.queued = arrived, queued

    def pause(self) -> None:
        """Starts no more runs, except those that a running script or a lock holder waits for; see Core.pause."""
        self.core.pause()

    def resume(self) -> None:
        """Ends a pause."""
        self.core.resume()
        self._run_actions()

    def _answer_trivial(self, run: str, spec: EventSpec, result: RunResult, done: Done) -> None:
        if result.report is None:
            done(result.errno, result.refusal)
            return
        its_plan = plan(spec.event, spec.args)
        record = make_record(
            *(run or self.new_run(), spec, its_plan, EventOutcome.SUCCESS, result.report), queued=time.time()
        )
        self.trivial_runs += 1
        self._record(record, None)
        self._publisher.trivial(record)
        done(result.errno, record)

    def find(self, run: str) -> Job | None:
        """Returns the job of an id if it waits or runs."""
        job = self._jobs.get(run)
        return None if job is None or job.over or self.core.stage(job) is None else job

    def cancel(self, job: Job) -> None:
        """Cancels a request without a reply: its run is ended. No effect if it has ended already."""
        job.done = None
        self._end(job)

    def revoke(self, job: Job, by: str | None = None) -> bool:
        """Cancels a request, with a reply that says so, and ends its run.

        Args:
            job: The request.
            by: Who cancels it, in words.

        Returns:
            True if it had been started; then the reply comes later.
        """
        started = not self.core.waits(job)
        job.ended_by = job.ended_by or by
        self._end(job)
        return started

    def _end(self, job: Job) -> None:
        waits = self.core.waits(job)
        self.core.cancel(job)
        if waits:
            self._drop(job, errno.ECANCELED)
        self._run_actions()
        self._check_idle()

    def _on_queue_timeout(self, job: Job, limit: float) -> None:
        blockers = self.core.blockers(job)
        if not self.core.waits(job):
            return
        self.core.cancel(job)
        first = f"{blockers[0]}, which arrived {time.monotonic() - blockers[0].arrived:.1f} s ago" if blockers else "?"
        more = f" and {len(blockers) - 1} more" if len(blockers) > 1 else ""
        text = "%s: not run: waited %g s in the queue behind %s%s"
        _log.error(text, job, limit, first, more, extra=job.about(outcome="cancelled", waited=limit))
        self._drop(job, _QUEUE_TIMED_OUT, QueueTimeout(str(job), limit, first + more))
        self._run_actions()

    def _drop(self, job: Job, result: int, refusal: RequestError | None = None) -> None:
        """Replies that a job was not started and never will be: as cancelled, or with `refusal`."""
        self.queue_timers.stop(job)
        record = job.record(EventOutcome.CANCELLED, _NOTHING_RAN)
        self.outcomes[record.outcome] += 1
        self._finished(job, record)
        self._answer(job, result, refusal or record)

    def _finished(self, job: Job, record: RunRecord) -> None:
        self._end_wait(job)
        self._ended(job, record)
        self._publisher.finished(record)

    def _begin_wait(self, job: Job, what: str, holder: object, script: str | None = None) -> None:
        self._end_wait(job)
        job.begin_wait(what, holder, script)

    def _end_wait(self, job: Job) -> None:
        wait = job.end_wait()
        if wait is not None and wait.seconds >= NOTABLE_WAIT:
            _log.log(
                logging.INFO if wait.what == "slot" else NOTICE,
                "%s: %swaited %.3f s for %s%s (ctdb-event show %s)",
                *(job, f"{wait.script} " if wait.script else "", wait.seconds, wait.what),
                *(f", held by {wait.holder}" if wait.holder else "", job.run),
                extra=job.about(script=wait.script, waited=wait.seconds, waited_for=wait.what, holder=wait.holder),
            )

    def _answer(self, job: Job, result: int, details: RunRecord | RequestError | None = None) -> None:
        done, job.done = job.done, None
        if done is not None:
            done(result, details)

    # ------------------------------------------------------------------ what a run reports, see RunListener

    def want_script(self, job: Job, name: str, locks: tuple[str, ...]) -> bool:
        """Requests permission to run a job's next script; see RunListener."""
        granted = self.core.want_script(job, locks)
        if not granted:
            self.load.look_soon()
            self._run_actions()  # its parents' slots may have gone to others
            if wanted := self.core.wants(job):
                obstacle = self.core.obstacle(job)
                self._begin_wait(job, " ".join(wanted), None if obstacle is None else obstacle[0], name)
            if locks and self.core.wants(job) == locks:
                self._publisher.lock_waiting(job, locks, f"{job}: {name}")
        return granted and self._take_files(job, name, locks)

    def _take_files(self, job: Job, name: str | None, locks: tuple[str, ...]) -> bool:
        """Locks the files of a script's command locks; returns False if the script has to wait for them."""
        if self.command_locks.take(job, locks, partial(self._proceed, job)):
            return True
        waits_for = self.command_locks.waits_for(job)
        self._begin_wait(job, " ".join(waits_for), None, name)
        if not job.wait_published:
            self._publisher.lock_waiting(job, waits_for, f"{job}: {name}")
        return False

    def _proceed(self, job: Job) -> None:
        if job.handle is not None and not self._shutting_down:
            job.handle.proceed()

    def holds(self, job: Job) -> str:
        """Returns the command locks that a job's script holds, itself or by a parent; see `names.HELD_LOCKS`."""
        return f"{job.inherited} {self.command_locks.holds((job,))}".strip()

    def got_locks(self, job: Job, name: str, locks: tuple[str, ...]) -> None:
        """Publishes that a script's wait is over."""
        self._end_wait(job)
        self._publisher.lock_acquired(job, locks, f"{job}: {name}")

    def script_started(self, job: Job, name: str, pid: int) -> None:
        """Registers the process group of a job's running script."""
        self._groups[pid] = job
        self.scripts_started += 1
        self.load.look()
        self._publisher.script_started(job, name, pid)

    def printed(self, job: Job, name: str, data: bytes) -> None:
        """Publishes the output of a script."""
        self._publisher.output(job, name, data)

    def script_finished(self, job: Job, report: ScriptReport) -> None:
        """Publishes the report of a script."""
        self._publisher.script_finished(job, report)

    def script_over(self, job: Job) -> None:
        """Releases the locks and the slot of a job's script."""
        self.command_locks.release(job)
        self.core.script_over(job)
        self._settle()

    def stuck(self, job: Job) -> None:
        """Fails the jobs that wait for the address of a job that can't be ended."""
        self._stuck(job)
        self.core.stuck(job)
        self._run_actions()

    def reported(self, job: Job, result: RunResult) -> None:
        """Stores a job's result, and answers the request."""
        job.over = True
        if result.report is None:
            self._finished(job, job.record(EventOutcome.FAILED, _NOTHING_RAN))
            self._answer(job, result.errno, result.refusal)
            return
        record = job.record(EventOutcome(result.errno), result.report)
        self.outcomes[record.outcome] += 1
        if result.final:
            self._record(record, self.core.batch(job) if job.plan.mode is Mode.ADDRESS else None)
        self._finished(job, record)
        self._answer(job, result.errno, record)

    def released(self, job: Job) -> None:
        """Lets the component's next jobs start."""
        self.core.released(job)
        self._run_actions()

    def gone(self, job: Job) -> None:
        """Removes a job all of whose processes have ended."""
        job.handle = None
        self.command_locks.release(job)
        self.core.gone(job)
        self._settle()
        self._check_idle()

    @property
    def groups(self) -> list[int]:
        """The process groups of the scripts that run."""
        return [group for group in self._groups if self.job_of({group}) is not None]

    def job_of(self, groups: set[int]) -> Job | None:
        """Returns the job whose running script has one of these process groups."""
        for group in groups:
            job = self._groups.get(group)
            if job is not None and job.handle is not None and job.handle.group == group:
                return job
        return None

    # ------------------------------------------------------------------ limits and the end

    def set_limit(self, scripts: int) -> None:
        """Changes how many scripts may run at once; effective at once, for waiting scripts too."""
        self.core.admission.set_limit(scripts)
        self.core.admit_free()
        self._settle()

    @property
    def busy(self) -> bool:
        """Whether any job exists."""
        return self.core.busy

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Cancels every job, waiting or running; calls `on_idle` when no job is left.

        From now on nothing is started and no lock is granted: the former holder of a lock may still be running.
        """
        self._on_idle = on_idle
        self.load.stop()
        # The latest first: ending the running one first would start the next, only to end it too.
        for job in reversed(self.core.jobs):
            self.cancel(job)
            if job.handle is not None:
                job.handle.cancel()
        self._check_idle()

    @property
    def _shutting_down(self) -> bool:
        return self._on_idle is not None

    def _check_idle(self) -> None:
        if self._on_idle is not None and not self.core.busy:
            self._on_idle()

    # ------------------------------------------------------------------ actions of the core

    def _settle(self) -> None:
        """Passes released locks and slots on to waiting scripts and clients."""
        self.load.look()
        self._run_actions()

    def _run_actions(self) -> None:
        # A job without scripts ends as soon as it starts, which produces the next action: a loop instead of a
        # recursion, or a thousand such jobs in a row would exhaust the stack.
        if self._running_actions:
            return
        self._running_actions = True
        try:
            while (step := self.core.take()) is not None:
                action, subject = step
                if action is Action.GRANT:
                    if not self._shutting_down:
                        self.client_locks.granted(subject)
                else:
                    self._carry_out(action, subject)
        finally:
            self._running_actions = False

    def _carry_out(self, action: Action, job: Job) -> None:
        if action is Action.START:
            self._start_run(job)
        elif action is Action.WAIT:
            self._begin_wait(job, " ".join(job.plan.resources), self.core.first_blocker(job))
            self._publisher.lock_waiting(job, job.plan.resources, str(job))
        elif action is Action.REFUSE:
            self._drop(job, errno.ECANCELED)
        elif action is Action.DEADLOCK:
            error = WouldDeadlock(
                str(job), "an event", "which now needs a lock of the script that requests it and waits"
            )
            _log.warning("%s: not run: %s", job, error, extra=job.about(outcome="cancelled"))
            self._drop(job, error.errno, error)
        elif action is Action.FAIL:
            text = "%s: not run: its address is held by a script that can't be ended, see above"
            _log.error(text, job, extra=job.about(outcome="cancelled"))
            self._drop(job, _QUEUE_TIMED_OUT, AddressHeld(str(job)))
        elif action is Action.GO:
            name = job.waits_for[2] if job.waits_for is not None else None
            if not self._shutting_down and self._take_files(job, name, self.core.script_locks(job)):
                self._proceed(job)
        elif job.handle is not None:
            if action is Action.YIELD:
                job.ended_by = job.ended_by or _YIELDED
            job.handle.cancel(yielding=action is Action.YIELD)

    def _start_run(self, job: Job) -> None:
        if self._shutting_down:
            self._drop(job, errno.ECANCELED)
            self.released(job)
            self.gone(job)
            return
        self.queue_timers.stop(job)
        job.started = time.monotonic()
        self._end_wait(job)
        self._publisher.lock_acquired(job, job.plan.resources, str(job))
        self._publisher.started(job)
        try:
            handle = self._start(job, self)
        except Exception:
            text = "%s: could not be started: this is a bug in ctdb-eventd, please report it"
            _log.exception(text, job, extra=job.about())
            self._answer(job, errno.EIO)
            self.released(job)
            self.gone(job)
        else:
            if handle is not None:
                job.handle = handle
