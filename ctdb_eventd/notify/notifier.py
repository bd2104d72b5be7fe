"""Runs the notify program: one at a time, with a time limit, and without delaying events."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time

import anyio
import attrs

from ctdb_eventd.config import Config
from ctdb_eventd.logs import log_output
from ctdb_eventd.model import ComponentHealth, RunRecord
from ctdb_eventd.notify.notices import Notice, Notices, of_end, of_health, of_stuck
from ctdb_eventd.private import memory_file
from ctdb_eventd.runner.process import Child, SpawnContext
from ctdb_eventd.runs import Job
from ctdb_eventd.safety import Ways

__all__ = ["Notifier"]

_log = logging.getLogger(__name__)

_MOST_OUTPUT = 4096
"""Bytes of the program's output that are logged when it fails."""


class Notifier:
    """Sends the configured notices to an administrator.

    Attributes:
        config: The current configuration; may be replaced.
        spawn: How the program is started; may be replaced.
        notices: The queue.
        busy: Whether the program runs.
    """

    def __init__(self, *, config: Config, spawn: SpawnContext, node: str) -> None:
        """Stores the arguments; `serve` follows.

        Args:
            config: The current configuration.
            spawn: How the program is started.
            node: The name of this node.
        """
        self.config = config
        self.spawn = spawn
        self._node = node
        self.notices = Notices()
        self.busy = False
        self._wake = asyncio.Event()
        self._trouble: str | None = None

    def check(self) -> None:
        """Logs if the program can't be run, or if other users can change it and whether it is run then."""
        path = self.config.notify_command
        if path is None:
            return
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            reason = "it is not executable" if os.path.isfile(path) else "there is no such file"
            _log.error("notify program %s can't be started: %s; no notifications are sent", path, reason)
            return
        flaw = Ways().flaw(path)
        if flaw is None:
            return
        if self.config.script_security == "refuse":
            _log.error("notify program %s won't be run: %s", path, flaw.sentence)
        else:
            _log.warning("notify program %s runs although others can change it: %s", path, flaw.sentence)

    # ------------------------------------------------------------------ what happens

    def ended(self, job: Job, record: RunRecord) -> None:
        """Called at the end of a run. If health is notified of, failed monitor events are left to `health_changed`."""
        if self.config.notify_command is None:
            return
        for notice in of_end(job, record, self.config.notify_long_wait):
            as_health = record.spec.event == "monitor" and "health" in self.config.notify_on
            if notice.kind == "waited" or not as_health:
                self._put(notice)

    def health_changed(self, record: RunRecord, health: ComponentHealth) -> None:
        """Called when a run of a monitor event has changed its component's health."""
        self._put(of_health(record, health))

    def stuck(self, job: Job) -> None:
        """Called when a script of a job can't be ended."""
        self._put(of_stuck(job, time.time()))

    def _put(self, notice: Notice) -> None:
        if self.config.notify_command is not None and notice.kind in self.config.notify_on:
            self.notices.put(notice, time.monotonic())
            self._wake.set()

    # ------------------------------------------------------------------ the program

    async def serve(self) -> None:
        """Sends notices until it is cancelled; then kills the program if it runs."""
        try:
            while True:
                taken = self.notices.take(time.monotonic())
                if taken is None:
                    await self._next()
                elif self.config.notify_command is not None:
                    await self._send(self.config.notify_command, *taken)
        finally:
            if self.notices:
                _log.warning("%d notices are dropped: the daemon ends", len(self.notices))

    async def _next(self) -> None:
        due = self.notices.due
        self._wake.clear()
        with anyio.move_on_after(None if due is None else due - time.monotonic()):
            await self._wake.wait()

    async def _send(self, path: str, notice: Notice, count: int) -> None:
        trouble = await self._run(path, self._text(notice, count))
        if trouble is not None and self._trouble is None:
            _log.error("notify program %s: %s; further failures are not logged until it succeeds", path, trouble)
        elif trouble is None and self._trouble is not None:
            _log.warning("notify program %s succeeds again", path)
        self._trouble = trouble
        if self.notices.dropped:
            _log.warning("%d notices were dropped: too many waited for the notify program", self.notices.dropped)
            self.notices.dropped = 0

    def _text(self, notice: Notice, count: int) -> bytes:
        value = attrs.asdict(notice)
        value |= {"node": self._node, "count": count, "command": f"ctdb-event show {notice.run}"}
        # each key on a line of its own, so that shell scripts can parse it
        return json.dumps(value, indent=1).encode() + b"\n"

    async def _run(self, path: str, text: bytes) -> str | None:
        """Runs the program; returns the reason if it failed, None if it succeeded."""
        flaw = Ways().flaw(path)
        if flaw is not None and self.config.script_security == "refuse":
            return f"can't be run: others can change it: {flaw.sentence}"
        try:
            child = self._start(path, text)
        except OSError as error:
            return f"can't be run: {error.strerror}"
        limit = self.config.notify_timeout
        self.busy = True
        try:
            with anyio.move_on_after(limit) as scope:
                await child.wait()
        finally:
            output, status = await child.finish()
            self.busy = False
        if not status:
            return None
        if self._trouble is None:
            log_output("notify", output, child.came)
        return f"killed, as it took longer than {limit:g} s" if scope.cancelled_caught else f"exit status {status}"

    def _start(self, path: str, text: bytes) -> Child:
        # a file in memory, not a pipe: writing can't block if the program doesn't read
        stdin = memory_file("notice", text)
        try:
            return Child.spawn(path, (path,), attrs.evolve(self.spawn, stdin=stdin), _MOST_OUTPUT)
        finally:
            os.close(stdin)
