"""The daemon's part in an upgrade: collects its state for the program that replaces it, and restores such a state.

Knows every part of the daemon that has state. `upgrade` and `handover` are imported when they are needed: they would
slow the start.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import anyio.lowlevel
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from ctdb_eventd import __version__
from ctdb_eventd.broker import Broker
from ctdb_eventd.dispatcher.domain import ResultDone
from ctdb_eventd.errors import UpgradeFailed
from ctdb_eventd.history.recorder import History
from ctdb_eventd.logs import NOTICE, Log
from ctdb_eventd.notify.notifier import Notifier
from ctdb_eventd.runner.event import EventRunner
from ctdb_eventd.runner.guardian import Guardian
from ctdb_eventd.scheduler.service import Scheduler
from ctdb_eventd.server import Server

if TYPE_CHECKING:
    from ctdb_eventd.handover import SavedCall, SavedRun, State
    from ctdb_eventd.upgrade import Former, Upgrade

__all__ = ["Transfer"]

_log = logging.getLogger(__name__)

_FLUSH_TIMEOUT = 5.0
"""Seconds that an upgrade waits for the history to be written."""


@attrs.define(kw_only=True, eq=False, repr=False)
class Transfer:
    """Transfers the daemon's state from one program to the next in the same process."""

    tasks: TaskGroup
    """Where an upgrade runs."""
    broker: Broker
    server: Server
    scheduler: Scheduler
    runner: EventRunner
    """Also has the configuration in effect."""
    guardian: Guardian
    notifier: Notifier
    history: History | None
    log: Log
    stopping: Callable[[], bool]
    """Returns whether the daemon is about to stop."""
    helper_dir: str | None
    """CTDB's directory of helper programs; None if that isn't known."""
    socket: str
    """The path of the socket."""
    pid_file: int
    """Descriptor of the pid file."""
    watched: int | None
    """Descriptor of the process with which the daemon ends; None if there is none."""
    startup_fd: int | None
    """Descriptor that stays open until the daemon ends; None if there is none."""
    oom_score_adj: bytes | None
    """What is written to `oom_score_adj` of scripts; None if they inherit it."""
    _upgrade: Upgrade | None = attrs.field(init=False, default=None)
    """The upgrade that is in progress."""
    _settled: bool = attrs.field(init=False, default=False)
    """Guardian and history are idle: see `_settle`."""

    # ------------------------------------------------------------------ to another program

    def begin(self, done: ResultDone) -> None:
        """Begins an upgrade. `done` gets its result; after a success the new program answers the client instead."""
        from ctdb_eventd.upgrade import Steps, Upgrade, program_to_start

        if self._upgrade is not None:
            done(UpgradeFailed("an upgrade is in progress already"))
            return
        self._upgrade = upgrade = Upgrade(
            Steps(
                state=self._state,
                pause=self.scheduler.pause,
                unfinished=self._unfinished,
                settle=self._settle,
                stopping=self.stopping,
                flush=self._flush,
                resume=self._resume,
            )
        )

        async def run() -> None:
            try:
                await upgrade.run(program_to_start(self.helper_dir), self.runner.config.upgrade_wait)
            except UpgradeFailed as error:
                done(error)
            finally:
                self._upgrade = None

        self.tasks.start_soon(run, name="upgrade")

    def cancel(self, done: ResultDone) -> None:
        """Cancels the upgrade that is in progress; `done` gets the result of that."""
        if self._upgrade is None or not self._upgrade.cancel("it was cancelled"):
            done(UpgradeFailed("no upgrade is in progress"))
        else:
            done({})

    def _unfinished(self) -> list[str]:
        found = [str(job) for job in self.scheduler.core.started]
        return [*found, "the notify program"] if self.notifier.busy else found

    def _state(self, began: float, stopped: float) -> State:
        """Returns what another program in this process needs to go on."""
        from ctdb_eventd.handover import State
        from ctdb_eventd.upgrade import own_program

        self.runner.spawn.cgroups.enter(None)  # the next child is not a script
        listening = self.server.saved_state()
        clients = listening["clients"]
        detached, results, counts = self.broker.saved_state(
            frozenset(call.run for one in clients for call in one.calls)
        )
        return State(
            version=__version__,
            program=own_program(),
            began=began,
            stopped=stopped,
            socket=self.socket,
            pid_file=self.pid_file,
            watched=self.watched,
            startup_fd=self.startup_fd,
            oom_score_adj=self.oom_score_adj,
            next_lock=self.scheduler.client_locks.next_number,
            **listening,
            detached=detached,
            results=results,
            notices=self.notifier.notices.saved_state(),
            counts=counts,
        )

    async def _settle(self) -> None:
        self._settled = True
        await anyio.lowlevel.checkpoint()
        await self.guardian.rest()
        if self.history is not None:
            await anyio.to_thread.run_sync(self.history.flush, _FLUSH_TIMEOUT, abandon_on_cancel=True)

    def _flush(self) -> None:
        self.broker.feed.flush()
        self.log.drain()
        if self.history is not None and not self.history.flush(_FLUSH_TIMEOUT):
            _log.error("the history can't be written: records not written yet are lost by the upgrade")

    def _resume(self) -> None:
        if self._settled:
            self._settled = False
            self.guardian.startup(self.runner.config.kill_grace)
        self.scheduler.resume()

    # ------------------------------------------------------------------ from another program

    def restore(self, former: Former) -> None:
        """Continues where the former program in this process stopped; it can't be executed again after this."""
        state = former.state
        self.broker.restore(state)
        if state.notices is not None:
            self.notifier.notices.restore(state.notices)
        clients = self.server.restore(state)
        former.forget()
        self.scheduler.client_locks.next_number = state.next_lock
        held = [(lock, session.peer) for session, client in clients for lock in client.locks]
        for lock, peer in sorted(held, key=lambda pair: pair[0].number):
            self.broker.restore_lock(lock, peer)
        now = time.monotonic()
        upgraded: dict[str, object] | UpgradeFailed = {
            "former": state.version,
            "version": __version__,
            "waited": state.stopped - state.began,
            "seconds": now - state.stopped,
        }
        if former.refused is not None:
            upgraded = UpgradeFailed(former.refused)
        self.scheduler.pause()
        requests: list[tuple[Callable[[], None], SavedCall | SavedRun]] = [
            (partial(session.repeat, call), call) for session, client in clients for call in client.calls
        ]
        requests += [(partial(self.broker.repeat, run), run) for run in state.detached]
        with self.broker.repeating(upgraded):
            for repeat, saved in sorted(requests, key=lambda pair: pair[1].arrived):
                repeat()
                if saved.run:
                    self.scheduler.backdate(saved.run, saved.arrived, saved.queued)
        if isinstance(upgraded, dict):
            self.broker.feed.publish("upgraded", None, None, None, (), dict(upgraded))
        self.scheduler.resume()
        for session, _ in clients:
            session.resume_reading()
        text = "upgraded to version %s from %s; %d clients waited %.3f s"
        if former.refused is None:
            _log.log(NOTICE, text, __version__, state.version, len(clients), now - state.stopped)
        else:
            _log.error("%s", upgraded)
