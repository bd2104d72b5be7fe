"""Starts events: finds their scripts and makes a run of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from anyio.abc import TaskGroup

from ctdb_eventd import scripts
from ctdb_eventd.config import Config
from ctdb_eventd.errors import RequestError
from ctdb_eventd.model import EventReport, EventSpec
from ctdb_eventd.runner.debug import Debugger
from ctdb_eventd.runner.declarations import Declarations
from ctdb_eventd.runner.listing import Listings
from ctdb_eventd.runner.notices import Notices
from ctdb_eventd.runner.process import SpawnContext
from ctdb_eventd.runner.run import RunContext, RunningEvent
from ctdb_eventd.runs import Job, RunListener, RunResult

__all__ = ["EventRunner"]

_log = logging.getLogger(__name__)

_NOTHING_TO_RUN = RunResult(0, EventReport(summary=0, scripts=()))


class EventRunner:
    """Starts events.

    Attributes:
        config: The configuration in effect; may be replaced, which takes effect for events started later.
        spawn: Environment and descriptors of every script; likewise.
    """

    def __init__(
        self, *, config: Config, events_dir: str, tasks: TaskGroup, spawn: SpawnContext, debugger: Debugger
    ) -> None:
        """Prepares for running.

        Args:
            config: The configuration in effect.
            events_dir: Has one directory of scripts for each component; is in the configuration directory.
            tasks: Where events run; must outlive them.
            spawn: Environment and descriptors of every script.
            debugger: Examines scripts that hang.
        """
        self.config = config
        self.spawn = spawn
        self._debugger = debugger
        self._declarations = Declarations(os.path.dirname(events_dir))
        self._notices = Notices(events_dir)
        self._listings = Listings(events_dir, self._notices)
        self._tasks = tasks

    def trivial_result(self, spec: EventSpec) -> RunResult | None:
        """Returns an event's result if there is nothing to run, or no such component; None if there are scripts."""
        found = self._list(spec)
        if isinstance(found, RunResult):
            return found
        return None if found else _NOTHING_TO_RUN

    def _list(self, spec: EventSpec) -> Sequence[scripts.Script] | RunResult:
        try:
            found = self._listings.of(spec.component, self.config.script_names)
        except RequestError as error:
            extra = {"seldom": type(error).__name__, "about": spec.about}
            _log.warning("%s: %s", spec, error, extra=extra)
            return RunResult(error.errno, refusal=error)
        if not found:
            self._notices.completed(spec, ran=False)
        return found

    def start(self, job: Job, listener: RunListener) -> RunningEvent | None:
        """Starts a job's event.

        An event without scripts, and one that can't be started, has ended when this returns None: the listener has got
        all its calls. No task is started for it.
        """
        found = self._list(job.spec)
        if isinstance(found, RunResult) or not found:
            listener.reported(job, found if isinstance(found, RunResult) else _NOTHING_TO_RUN)
            listener.released(job)
            listener.gone(job)
            return None
        context = RunContext(
            config=self.config,
            spawn=self.spawn,
            debugger=self._debugger,
            declarations=self._declarations,
            notices=self._notices,
        )
        run = RunningEvent(context, job, found, listener)
        self._tasks.start_soon(run.main, name=f"event {job.spec}")
        return run
