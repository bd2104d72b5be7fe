"""Carries out what the core decides: starts, ends and answers runs, and lets scripts go."""

from __future__ import annotations

import errno
import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

from ctdb_eventd.errors import WouldDeadlock
from ctdb_eventd.events import Mode, plan
from ctdb_eventd.model import EventOutcome, EventSpec, RunRecord
from ctdb_eventd.refusals import AddressHeld
from ctdb_eventd.scheduler.admission import Load
from ctdb_eventd.scheduler.claims import Claims
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.handles import RunHandle, RunResult
from ctdb_eventd.scheduler.job import Done, Job, make_record, tell_foregone
from ctdb_eventd.scheduler.load_watch import LoadWatch
from ctdb_eventd.scheduler.patience import QUEUE_TIMED_OUT, Patience
from ctdb_eventd.scheduler.run_ids import RunIds
from ctdb_eventd.scheduler.states import Action
from ctdb_eventd.scheduler.teller import Teller

__all__ = ["Scheduler"]

_log = logging.getLogger(__name__)

StartRun = Callable[[EventSpec, "Job"], RunHandle | None]
Foregone = Callable[[EventSpec], "RunResult | None"]
Record = Callable[[RunRecord, int | None], None]


class Scheduler:
    """Runs events when the core lets them.

    Attributes:
        core: Decides; may be looked at by whoever shows the state.
        claims: Locks of clients.
        load: Lets scripts go that wait for an idle processor.
        feed: Is told what happens.
        patience: Ends waits in the queue.
        outcomes: How many runs ended how, but for those that were over at once.
        foregone: How many were over at once, as there was nothing to do.
        scripts_started: How many scripts were started.
    """

    def __init__(
        self,
        *,
        core: Core[Job],
        start: StartRun,
        foregone: Foregone,
        record: Record,
        load: Callable[[], Load | None],
        feed: Teller,
        queue_timeout: float | None = None,
    ) -> None:
        """Prepares.

        Args:
            core: Decides.
            start: Starts a run that tells the job how it goes; returns None if it is over already.
            foregone: Returns the result of a run for which there is nothing to do, None if there is.
            record: Takes the record of every run that came to an end of its own, with the number of its batch if
                it ran beside its like.
            load: Tells what the machine is doing; None if it can't be told.
            feed: Is told what happens.
            queue_timeout: Seconds that a request may wait before it starts; None is no limit.
        """
        self.core = core
        self.feed = feed
        self.patience = Patience(core, self._obey, queue_timeout)
        self.outcomes: Counter[EventOutcome] = Counter()
        self.foregone = 0
        self.scripts_started = 0
        self._run_ids = RunIds()
        # found at no cost, however many there are, and forgotten with the jobs
        self._runs: WeakValueDictionary[str, Job] = WeakValueDictionary()
        self._groups: WeakValueDictionary[int, Job] = WeakValueDictionary()
        self.claims = Claims(core, feed, self._settle)
        self.load = LoadWatch(core, load, self._obey)
        self._start = start
        self._foregone = foregone
        self._record = record
        self._obeying = False
        self._on_idle: Callable[[], None] | None = None

    def new_run(self) -> str:
        """Returns an id for a run that is to be submitted; its use is to subscribe to it before."""
        return self._run_ids.next()

    def submit(
        self,
        spec: EventSpec,
        done: Done,
        parents: frozenset[Hashable] = frozenset(),
        run: str = "",
    ) -> Job | None:
        """Takes a request; `done` is called with 0 or an errno, possibly before this returns.

        A run for which there is nothing to do, in a component where nothing is going on, is over at once and never
        becomes a job: ctdbd waits for many such in turn.

        Args:
            spec: What to run.
            done: Is told the result.
            parents: The jobs whose scripts ask for it, and the client locks whose holders' commands do.
            run: Its id, from `new_run`; empty for a new one.

        Returns:
            What can be cancelled; None if it is over already.

        Raises:
            WouldDeadlock: It would have to wait for one of `parents`, which wait for it.
        """
        if self.core.idle(spec.component) and (result := self._foregone(spec)) is not None:
            self._answer_foregone(run, spec, result, done)
            return None
        its_plan = plan(spec.event, spec.args)
        if its_plan.warning:
            _log.warning("%s: %s", spec, its_plan.warning)
        if parents and self.core.would_deadlock(spec.component, its_plan, parents):
            raise WouldDeadlock(str(spec), str(max(parents, key=lambda parent: isinstance(parent, Job))))
        job = Job(self, run or self.new_run(), spec, its_plan, done)
        self._runs[job.run] = job
        self.core.submit(job, spec.component, its_plan, parents)
        if self.feed.active and self.core.waits(job):
            job.tell("queued")
        self._obey()
        self.patience.begin(job)
        return job

    def _answer_foregone(self, run: str, spec: EventSpec, result: RunResult, done: Done) -> None:
        if result.report is None:
            done(result.errno, result.refusal)
            return
        its_plan = plan(spec.event, spec.args)
        record = make_record(
            *(run or self.new_run(), spec, its_plan, EventOutcome.SUCCESS, result.report), queued=time.time()
        )
        self.foregone += 1
        self._record(record, None)
        if self.feed.active:
            tell_foregone(self.feed, record)
        done(result.errno, record)

    def set_limit(self, scripts: int) -> None:
        """Changes how many scripts may run at once at the most; those that wait profit at once."""
        self.core.admission.set_limit(scripts)
        self.core.admit_free()
        self._obey()
        self.load.look()

    def cancel(self, job: Job) -> None:
        """Drops a job that waits, ends one that runs; does nothing for one that is over."""
        self.patience.forget(job)
        waits = self.core.waits(job)
        self.core.cancel(job)
        if waits:
            job.drop(errno.ECANCELED)
        self._obey()
        self._check_idle()

    def revoke(self, job: Job) -> bool:
        """Has a job answered as cancelled; one that runs is ended first. Returns whether it had been started."""
        started = not self.core.waits(job)
        self.cancel(job)
        return started

    def find(self, run: str) -> Job | None:
        """Returns the job of an id if it waits or runs."""
        job = self._runs.get(run)
        return None if job is None or job.over or self.core.stage(job) is None else job

    def count(self, record: RunRecord) -> None:
        """Counts a run that is over."""
        self.outcomes[record.outcome] += 1

    def record(self, job: Job, record: RunRecord) -> None:
        """Stores how a job went."""
        self._record(record, self.core.batch(job) if job.plan.mode is Mode.ADDRESS else None)

    def script_started(self, job: Job, group: int) -> None:
        """Notes that a script of a job runs, in a process group of its own."""
        self._groups[group] = job
        self.scripts_started += 1
        self.load.look()

    def want_script(self, job: Job, locks: tuple[str, ...]) -> bool:
        """Asks for leave to run a job's next script; see the core."""
        granted = self.core.want_script(job, locks)
        if not granted:
            self.load.look_soon()
            self._obey()  # others may have got a slot by it
        return granted

    def script_over(self, job: Job) -> None:
        """Lets others have what a job's script had."""
        self.core.script_over(job)
        self._settle()

    def _settle(self) -> None:
        """Sees to it that what was given back comes to those who wait for it."""
        self.load.look()
        self._obey()

    def released(self, job: Job) -> None:
        """Lets the component go on after a job."""
        self.core.released(job)
        self._obey()

    def stuck(self, job: Job) -> None:
        """Answers those who wait for the address of a job that can't be ended."""
        self.core.stuck(job)
        self._obey()

    def gone(self, job: Job) -> None:
        """Forgets a job of which nothing is left."""
        self.core.gone(job)
        self._settle()
        self._check_idle()

    @property
    def _shutting_down(self) -> bool:
        return self._on_idle is not None

    @property
    def busy(self) -> bool:
        """Tells whether anything of any job is left."""
        return self.core.busy

    def job_of(self, groups: set[int]) -> Job | None:
        """Returns the job whose running script has one of these process groups."""
        for group in groups:
            job = self._groups.get(group)
            if job is not None and job.handle is not None and job.handle.group == group:
                return job
        return None

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Drops every job that waits and ends every one that runs; calls `on_idle` when nothing of them is left.

        From here on nothing is started, and nobody is given a lock that becomes free: its former holder may still be
        at work.
        """
        self._on_idle = on_idle
        self.load.stop()
        # The youngest first, or ending the one that runs would start the next only to end it too.
        for job in reversed(self.core.jobs):
            job.cancel()
            if job.handle is not None:
                job.handle.cancel()
        self._check_idle()

    def _check_idle(self) -> None:
        if self._on_idle is not None and not self.core.busy:
            self._on_idle()

    # ------------------------------------------------------------------ obeying the core

    def _obey(self) -> None:
        # A job without scripts is over as soon as it starts, which decides about the next one: a loop and not a
        # recursion, or a thousand such jobs in a row would exhaust the stack.
        if self._obeying:
            return
        self._obeying = True
        try:
            while True:
                step = self.core.take()
                if step is None:
                    return
                action, subject = step
                if action is Action.GRANT:
                    if not self._shutting_down:
                        self.claims.granted(subject)
                else:
                    self._carry_out(action, subject)
        finally:
            self._obeying = False

    def _carry_out(self, what: Action, job: Job) -> None:
        if what is Action.START:
            if self._shutting_down:
                self._decline(job)
            else:
                self._start_run(job)
        elif what is Action.WAIT:
            job.wait_for_address()
        elif what is Action.REFUSE:
            self.patience.forget(job)
            job.drop(errno.ECANCELED)
        elif what is Action.DEADLOCK:
            self.patience.forget(job)
            error = WouldDeadlock(
                str(job), "an event", "which now needs a lock of the script that asks for it and waits"
            )
            _log.warning("%s: not run: %s", job, error)
            job.drop(error.errno, error)
        elif what is Action.FAIL:
            self.patience.forget(job)
            _log.error("%s: not run: its address is held by a script that can't be ended, see above", job)
            job.drop(QUEUE_TIMED_OUT, AddressHeld(str(job)))
        elif job.handle is not None:
            if what is Action.GO:
                if not self._shutting_down:
                    job.handle.proceed()
            else:
                job.handle.cancel(yielding=what is Action.YIELD)

    def _decline(self, job: Job) -> None:
        self.patience.forget(job)
        job.drop(errno.ECANCELED)
        job.released()
        job.gone()

    def _start_run(self, job: Job) -> None:
        self.patience.forget(job)
        job.begin()
        try:
            handle = self._start(job.spec, job)
        except Exception:
            _log.exception("%s: could not be started: this is a bug in ctdb-eventd, please report it", job)
            job.answer(errno.EIO)
            job.released()
            job.gone()
        else:
            if handle is not None:
                job.handle = handle
