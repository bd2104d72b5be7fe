"""Implements what clients can request, by means of the parts that do it: the dispatcher's `Domain`.

Knows the scheduler, the history and the files; knows no socket and no signal.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from ctdb_eventd import __version__, scripts
from ctdb_eventd.access_control import AccessControl
from ctdb_eventd.config import Config
from ctdb_eventd.dispatcher.domain import Jobs, ResultDone
from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.dispatcher.values import queue_value
from ctdb_eventd.errors import (
    HistoryUnreadable,
    InvalidName,
    NeverRan,
    NoSuchComponent,
    RequestError,
    TooMuchDetached,
    UnreadableComponent,
)
from ctdb_eventd.events import CATALOGUE
from ctdb_eventd.feed import Feed
from ctdb_eventd.file_waits import FileWaits
from ctdb_eventd.history.health import Health
from ctdb_eventd.history.latest import LatestResults, former_run
from ctdb_eventd.history.recorder import History
from ctdb_eventd.history.records import Ended, RunFilter, Started
from ctdb_eventd.model import MOST_ARGUMENTS, ComponentHealth, EventOutcome, EventSpec, RunRecord, shortened
from ctdb_eventd.notify.notifier import Notifier
from ctdb_eventd.paths import Paths
from ctdb_eventd.proc import ancestor_groups, ancestors, command_of, memory, open_descriptors
from ctdb_eventd.runs import Done, Job, LockDone
from ctdb_eventd.scheduler.client_locks import ClientLock
from ctdb_eventd.scheduler.service import Scheduler
from ctdb_eventd.scheduler.snapshot import LockSnapshot, snapshot_jobs, snapshot_locks, snapshot_queue
from ctdb_eventd.traffic import MOST_DETACHED, MOST_IN_FLIGHT, MOST_SUBSCRIPTIONS, MOST_UNSENT_NOTES, Traffic

if TYPE_CHECKING:
    from ctdb_eventd.handover import Counts, SavedLock, SavedResults, SavedRun, State

__all__ = ["Broker"]

_log = logging.getLogger(__name__)

_DETACHED_SIZE = 100
"""Bytes that a detached run takes besides its arguments, about."""


class Broker:
    """Carries out what clients ask for.

    Attributes:
        config: The configuration in effect; may be replaced.
    """

    def __init__(
        self,
        *,
        paths: Paths,
        config: Config,
        control: AccessControl,
        feed: Feed,
        traffic: Traffic,
        history: History | None,
        notifier: Notifier,
        reload: Callable[[], list[str]],
        upgrade: Callable[[ResultDone, bool], None],
    ) -> None:
        """Prepares; `connect` follows.

        Args:
            paths: Where every file is.
            config: The configuration in effect.
            control: Knows which client may request what.
            feed: Notifies subscribers.
            traffic: Counts requests and notifications.
            history: Stores every run; None if no history is kept.
            notifier: Notifies an administrator.
            reload: Reads the configuration again; returns warnings, raises ConfigError.
            upgrade: Begins an upgrade, or cancels it if its second argument is true.
        """
        self.config = config
        self.feed = feed
        self.traffic = traffic
        self.reload = reload
        self._upgrade = upgrade
        self._upgraded: object = None
        """The result of the upgrade that has started this program, while requests are repeated; else None."""
        self.check_read, self.check_operate, self.audit = control.check_read, control.check_operate, control.audit
        self._control = control
        self._history = history
        self._notifier = notifier
        self._detached = 0
        """Bytes of detached runs that are not over."""
        self._paths = paths
        self._results = LatestResults()
        self._health = Health()
        self._started, self._started_monotonic = time.time(), time.monotonic()
        self._scheduler: Scheduler

    def connect(self, scheduler: Scheduler) -> None:
        """Sets the scheduler, whose callbacks are methods of this broker."""
        self._scheduler = scheduler
        self._file_waits = FileWaits(scheduler)

    def record(self, record: RunRecord, batch: int | None) -> None:
        """Stores the result of a run that wasn't ended by us, and publishes a change of its component's health."""
        self._results.record(record, batch)
        health = self._health.note(record)
        if health is None:
            return
        self._notifier.health_changed(record, health)
        if self.feed.active:
            data = {"healthy": health.healthy, "script": health.script, "result": health.result}
            spec = record.spec
            self.feed.publish("health", record.run, spec.component, spec.event, spec.args, data)

    def begun(self, job: Job) -> None:
        """Writes a requested run to the history."""
        self._file_waits.begun()
        if self._history is None or self._upgraded is not None:
            return
        peer = job.asked_by if isinstance(job.asked_by, Peer) else None
        self._history.record(
            Started(
                run=job.run,
                component=job.spec.component,
                event=job.spec.event,
                args=shortened(job.spec.args, MOST_ARGUMENTS),
                address=job.address,
                queued=job.queued,
                uid=None if peer is None else peer.uid,
                pid=None if peer is None else peer.pid,
                program=None if peer is None else self._control.program(peer),
            )
        )

    def ended(self, job: Job, record: RunRecord) -> None:
        """Writes the end of a run to the history, and notifies an administrator if that is configured."""
        self._file_waits.over(job)
        self._notifier.ended(job, record)
        if self._history is not None:
            self._history.record(
                Ended(
                    run=job.run,
                    outcome=record.outcome.word,
                    summary=record.report.summary,
                    waited=record.waited,
                    seconds=record.seconds,
                    scripts=record.report.scripts,
                    waits=job.waits,
                    ended_by=job.ended_by,
                )
            )

    # ------------------------------------------------------------------ runs

    def run(self, spec: EventSpec, done: Done, peer: Peer, run: str = "", *, detached: bool = False) -> Job | None:
        """Runs an event; see Domain.

        Raises:
            RequestError: It would wait for itself, or there are too many detached ones.
        """
        if not detached:
            return self._scheduler.submit(spec, done, self._parents(peer), run, peer)
        size = _DETACHED_SIZE + sum(map(len, spec.args))
        if self._detached + size > MOST_DETACHED:
            raise TooMuchDetached(MOST_DETACHED)
        self._detached += size

        def over(result: int, details: RunRecord | RequestError | None) -> None:
            self._detached -= size
            done(result, details)

        # no parents: the client doesn't wait for it, so it can't cause a deadlock
        return self._scheduler.submit(spec, over, run=run, asked_by=peer)

    def admit_run(self, peer: Peer, spec: EventSpec, run: str = "") -> str:
        """Makes sure that a peer may run an event, and logs who does; see Domain.

        Raises:
            NotAllowed: It may not.
        """
        if self._upgraded is not None:
            return run  # a former program has admitted it
        self._control.check_operate(peer, "run", spec)
        if not self._control.is_ctdbd(peer):
            run = run or self.new_run()
            self._control.audit(peer, "run", f"{spec.component}/{spec.event}", run, spec.args)
        return run

    def _parents(self, peer: Peer) -> frozenset[Hashable]:
        """Returns the job from whose script a peer descends, and the locks of processes from which it does.

        The holder of a lock waits for its children (`ctdb-event lock`).
        """
        if peer.jobs is None:
            # A script that starts later can't become an ancestor of a process that is there already.
            job = self._scheduler.job_of(ancestor_groups(peer.pid)) if self._scheduler.busy else None
            peer.jobs = frozenset() if job is None else frozenset({job})
        locks = self._scheduler.client_locks
        # the process itself is no parent: it may hold a lock for one of its tasks and request another
        return peer.jobs | locks.of(ancestors(peer.pid)) if len(locks) else peer.jobs

    def new_run(self) -> str:
        """Returns an id for a run."""
        return self._scheduler.new_run()

    def cancel_run(self, job: Job) -> None:
        """Cancels a run, without a reply to its request."""
        self._scheduler.cancel(job)

    def revoke_run(self, job: Job, peer: Peer) -> bool:
        """Cancels a run, whose request is answered as cancelled; see Domain."""
        return self._scheduler.revoke(job, f"uid {peer.uid}, {self._control.program(peer)} {peer.pid}")

    def find_run(self, run: str) -> Job | None:
        """Returns the run of an id if it waits or runs."""
        return self._scheduler.find(run)

    def status(self, component: str, event: str) -> RunRecord:
        """Returns the latest run of a component's event.

        Raises:
            RequestError: It never ran, or there is no such component.
        """
        try:
            return self._results.get(component, event)
        except NeverRan:
            # Checked only when there is no result: the component's name may be misspelt.
            directory = scripts.component_directory(self._paths.events_dir, component)
            if not os.path.isdir(directory):
                raise NoSuchComponent(component, directory) from None
            raise

    def carry(self, found: Any, error: str | None) -> None:
        """Stores the latest runs of former daemons, read from the history; see `History.read`."""
        if error is None:
            self._results.carry(map(former_run, found))
        else:
            _log.warning("results of before the start are not known: %s", error)

    def former(self, component: str, event: str) -> RunRecord | None:
        """Returns what a former daemon ran last, None if that isn't known."""
        return self._results.former(component, event)

    def results(self) -> Iterator[RunRecord]:
        """Returns the latest run of each event."""
        return self._results.all()

    def address_results(self) -> Iterator[RunRecord]:
        """Returns the latest run of each event for each address."""
        return self._results.by_address()

    @property
    def busy(self) -> bool:
        """Whether any job waits or runs."""
        return self._scheduler.busy

    def jobs(self, component: str | None, event: str | None, address: str | None) -> Jobs:
        """Returns the jobs that wait and run; see Domain."""
        self._file_waits.look()
        return snapshot_jobs(self._scheduler.core, component, event, address)

    def health(self) -> Sequence[ComponentHealth]:
        """Returns each component's health; the same object until something changes."""
        return self._health.components

    def history(self, view: str, wanted: RunFilter, run: str | None, done: ResultDone) -> None:
        """Reads the history in a thread; see Domain.

        Raises:
            HistoryUnreadable: None is kept.
        """
        if self._history is None:
            raise HistoryUnreadable("as none is kept: [history] days is 0")

        def over(found: object, error: str | None) -> None:
            done(found if error is None else HistoryUnreadable(error))

        self._history.read(view, wanted, run, over)

    # ------------------------------------------------------------------ upgrade

    def upgrade(self, done: ResultDone, *, cancel: bool) -> None:
        """Upgrades the daemon to another program, or cancels that; see Domain."""
        if self._upgraded is not None:
            done(self._upgraded)
        else:
            self._upgrade(done, cancel)

    def saved_state(self, known: frozenset[str]) -> tuple[tuple[SavedRun, ...], SavedResults, Counts]:
        """Returns the state that another program needs: queued detached runs, latest results, counts.

        Args:
            known: The ids of runs that clients wait for.
        """
        from ctdb_eventd.handover import Counts, SavedResults  # late: it would slow the start

        waiting = (job for job in self._scheduler.core.jobs if job.done is not None and job.run not in known)
        scheduler = self._scheduler
        return (
            tuple(_saved_run(job) for job in waiting),
            SavedResults(**self._results.saved_state(), health=self._health.components),
            Counts(
                started=self._started,
                started_monotonic=self._started_monotonic,
                requests=self.traffic.requests,
                notes_lost=self.traffic.notes_lost,
                scripts_started=scheduler.scripts_started,
                trivial_runs=scheduler.trivial_runs,
                outcomes={outcome.word: number for outcome, number in scheduler.outcomes.items()},
            ),
        )

    def restore(self, state: State) -> None:
        """Restores the results, the health and the counts of a former program."""
        self._results.restore(state.results)
        self._health.restore(state.results.health)
        counts = state.counts
        self._started, self._started_monotonic = counts.started, counts.started_monotonic
        self.traffic.requests, self.traffic.notes_lost = counts.requests, counts.notes_lost
        self._scheduler.scripts_started, self._scheduler.trivial_runs = counts.scripts_started, counts.trivial_runs
        self._scheduler.outcomes.update(
            {outcome: counts.outcomes[outcome.word] for outcome in EventOutcome if outcome.word in counts.outcomes}
        )

    def restore_lock(self, saved: SavedLock, peer: Peer) -> None:
        """Restores the locks that a client holds since a former program."""
        lock = self._scheduler.client_locks.restore(saved, peer.pid, self._parents(peer))
        peer.locks[lock.number] = lock

    @contextmanager
    def repeating(self, upgraded: object) -> Iterator[None]:
        """Within this context requests that a former program had accepted are repeated.

        Their arrival was logged, recorded and published by that program, so it isn't again.

        Args:
            upgraded: The result of the upgrade.
        """
        audit = self.audit
        self.audit = _no_audit
        self._upgraded, self.feed.muted = upgraded, True
        try:
            yield
        finally:
            self._upgraded, self.feed.muted = None, False
            self.audit = audit

    def repeat(self, saved: SavedRun) -> None:
        """Repeats the request for a detached run that a former program had accepted."""
        peer = Peer(saved.pid, saved.uid, program=saved.program)
        self.run(saved.spec, lambda _, details: None, peer, saved.run, detached=True)

    # ------------------------------------------------------------------ scripts

    def set_script(self, component: str, script: str, enable: bool) -> None:
        """Enables or disables a component's script.

        Raises:
            RequestError: There is none, or it can't be.
            OSError: The file system refused.
        """
        rule = self.config.script_names
        if enable:
            scripts.enable(self._paths.events_dir, self._paths.provided_dir, component, script, rule)
        else:
            scripts.disable(self._paths.events_dir, component, script, rule)

    def components(self) -> list[dict[str, Any]]:
        """Returns the components; OSError if their directory can't be read."""
        events_dir = self._paths.events_dir
        names = sorted(os.listdir(events_dir), key=os.fsencode)
        return [
            self._component(name, f"{events_dir}/{name}") for name in names if os.path.isdir(f"{events_dir}/{name}")
        ]

    def _component(self, name: str, directory: str) -> dict[str, Any]:
        value: dict[str, Any] = {"name": name, "directory": directory, "scripts": 0, "enabled": 0, "error": None}
        try:
            found = scripts.discover(directory, name, self.config.script_names).scripts
        except OSError as error:
            return {**value, "error": error.strerror or str(error)}
        return {**value, "scripts": len(found), "enabled": sum(script.enabled() for script in found)}

    def scripts(self, component: str) -> dict[str, Any]:
        """Returns the files of a component.

        Raises:
            RequestError: There is no such component, or it can't be read.
        """
        from ctdb_eventd.handled import Library
        from ctdb_eventd.inspection import inspect_component  # late: it would slow the start

        directory = scripts.component_directory(self._paths.events_dir, component)
        try:
            found = inspect_component(
                directory,
                component,
                self.config.script_names,
                self.config.locks,
                configured_events=self.config.events,
                library=None if self.config.start_idle_scripts else Library(self._paths.config_dir),
                refuse_unsafe=self.config.script_security == "refuse",
            )
        except OSError as error:
            raise UnreadableComponent(directory, error) from error
        return {
            "component": component,
            "directory": directory,
            "scripts": [script.value for script in found.scripts],
            "refused": [{"path": file.path, "reason": file.reason} for file in found.refused],
        }

    def events(self) -> list[dict[str, Any]]:
        """Returns the events that are known by name, in the order in which a node meets them."""
        return [{"name": kind.name, "mode": kind.mode.value, "args": kind.arguments} for kind in CATALOGUE.values()]

    # ------------------------------------------------------------------ locks

    def locks(self) -> Iterator[LockSnapshot]:
        """Returns the locks that are held or waited for; of those on files only the latter."""
        self._file_waits.look()
        return chain(snapshot_locks(self._scheduler.core), self._file_waits.locks())

    def lock(self, names: tuple[str, ...], wait: float | None, done: LockDone, peer: Peer) -> ClientLock:
        """Takes locks for a peer; see Domain.

        Raises:
            RequestError: A name can't be one, or the peer would wait for itself.
        """
        for name in names:
            if not scripts.is_lock_name(name):
                raise InvalidName("lock", name, "letters, digits, dots, dashes and underscores are expected")
        text = command_of(peer.pid) or f"process {peer.pid}"
        return self._scheduler.client_locks.request(names, wait, peer.pid, text, done, self._parents(peer))

    # ------------------------------------------------------------------ the broker itself

    def hello(self) -> dict[str, Any]:
        """Returns the broker's version, process id, start time and limits."""
        limits = {"packet": self.config.max_packet, "requests": MOST_IN_FLIGHT, "unsent": MOST_UNSENT_NOTES}
        limits["subscriptions"] = MOST_SUBSCRIPTIONS
        return {"server": f"ctdb-eventd {__version__}", "pid": os.getpid(), "started": self._started, "limits": limits}

    def stats(self) -> dict[str, Any]:
        """Returns counts and sizes."""
        runs = {outcome.word: self._scheduler.outcomes[outcome] for outcome in EventOutcome}
        runs[EventOutcome.SUCCESS.word] += self._scheduler.trivial_runs
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self._started,
            "uptime": time.monotonic() - self._started_monotonic,
            "processor_seconds": time.process_time(),
            "memory": memory(),
            "descriptors": open_descriptors(),
            "clients": self.traffic.clients,
            "subscribers": self.feed.subscribers,
            "requests": self.traffic.requests,
            "notes_lost": self.traffic.notes_lost,
            "runs": runs,
            "scripts_started": self._scheduler.scripts_started,
            **queue_value(snapshot_queue(self._scheduler.core)),
        }


def _no_audit(peer: Peer, action: str, subject: str = "", run: str = "", args: Sequence[str] = ()) -> None:
    pass


def _saved_run(job: Job) -> SavedRun:
    from ctdb_eventd.handover import SavedRun

    peer = job.asked_by if isinstance(job.asked_by, Peer) else Peer(0, 0)
    return SavedRun(
        spec=job.spec,
        run=job.run,
        arrived=job.arrived,
        queued=job.queued,
        pid=peer.pid,
        uid=peer.uid,
        program=peer.program,
    )
