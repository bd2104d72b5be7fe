"""Examines a hung script before it is ended: its processes directly, and by the debug script. With time limits."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import attrs

from ctdb_eventd.config import Config
from ctdb_eventd.environment import leave_signals_to_main_thread
from ctdb_eventd.logs import log_output
from ctdb_eventd.runner.process import KILL_TIMEOUT, Child, SpawnContext
from ctdb_eventd.runs import Job
from ctdb_eventd.safety import Ways

if TYPE_CHECKING:
    from ctdb_eventd.processes import Hung

__all__ = ["Debugger"]

_log = logging.getLogger(__name__)

Keep = Callable[[str, str, Mapping[str, object]], None]
"""Called with a run, its script that hung, and the result."""

_NAME = "event_debug"
_TURN_TIMEOUT = 10.0
"""Seconds that a hung script waits while the debug script examines others: its locks and its address are held
meanwhile, and a failover waits for them."""
_LOOK_TURN_TIMEOUT = 0.5
"""Seconds that a hung script waits while the processes of others are examined."""
_LOOK_TIMEOUT = 1.0
"""Seconds that examining its processes may take."""


class Debugger:
    """Examines hung scripts.

    Attributes:
        spawn: How the debug script is started; may be replaced.
    """

    def __init__(self, *, config_dir: str, spawn: SpawnContext, keep: Keep) -> None:
        """Stores the arguments.

        Args:
            config_dir: The directory of the debug script.
            spawn: How it is started.
            keep: Stores the result.
        """
        self._config_dir = config_dir
        self.spawn = spawn
        self._keep = keep
        self._look_turn = anyio.Lock()
        self._turn = anyio.Lock()

    async def examine(self, hung: Child, known: tuple[int, ...], job: Job, script: str) -> None:
        """Examines a script's processes; stores and logs the result. Cancellation-safe.

        One script at a time: hundreds may hang at once, and as many threads would leave the event loop no time to end
        them.

        Args:
            hung: The script.
            known: The processes of its cgroup; empty if it has none.
            job: Its run.
            script: Its name.
        """
        try:
            found = await self._examine(hung.pid, known)
        except (ImportError, OSError, RuntimeError) as error:  # no descriptor, no thread, no time
            text = "%s: %s is ended without examining its processes: %s"
            _log.warning(text, job.spec, script, error, extra=job.about(script=script))
            return
        if found is None:
            return
        _log.error(
            *("%s: %s hangs: %s (ctdb-event show %s)", job.spec, script, found.summary, job.run),
            extra=job.about(script=script, process=hung.pid),
        )
        self._keep(job.run, script, attrs.asdict(found))

    async def _examine(self, group: int, known: tuple[int, ...]) -> Hung | None:
        from ctdb_eventd.processes import examine  # imported here, as it would slow the daemon's start

        def look() -> Hung | None:
            leave_signals_to_main_thread()
            return examine(group, known)

        with anyio.move_on_after(_LOOK_TURN_TIMEOUT) as scope:
            await self._look_turn.acquire()
        if scope.cancelled_caught:
            raise TimeoutError("others are being examined")
        try:
            with anyio.move_on_after(_LOOK_TIMEOUT):
                return await anyio.to_thread.run_sync(look, abandon_on_cancel=True)
            raise TimeoutError(f"that took longer than {_LOOK_TIMEOUT:g} s")
        finally:
            self._look_turn.release()

    async def look_at(self, hung: Child, job: Job, config: Config) -> None:
        """Runs the debug script, if one is configured, until it has ended, and logs its output.

        Waits until it is not used for another script. A script that has ended by then isn't examined. The debug script
        is ended when its time limit is over. Cancellation-safe: the debug script is killed.
        """
        if config.debug_script is None:
            return
        path = os.path.join(self._config_dir, config.debug_script)
        with anyio.move_on_after(_TURN_TIMEOUT) as scope:
            await self._turn.acquire()
        if scope.cancelled_caught:
            text = "%s: process %d is ended without being examined: the debug script is busy with others"
            _log.warning(text, path, hung.pid, extra=job.about(process=hung.pid))
            return
        try:
            if not hung.look():
                await self._run(path, hung.pid, job, config)
        finally:
            self._turn.release()

    async def _run(self, path: str, pid: int, job: Job, config: Config) -> None:
        flaw = Ways().flaw(path)
        if flaw is not None:
            if config.script_security == "refuse":
                _log.error("debug script %s can't be run: %s", path, flaw.sentence)
                return
            _log.warning("debug script %s runs although others can change it: %s", path, flaw.sentence)
        try:
            child = Child.spawn(path, (path, str(pid), job.spec.event), self.spawn, config.max_output)
        except OSError as error:
            _log.error("debug script %s can't be run: %s", path, error.strerror)
            return
        try:
            with anyio.move_on_after(config.debug_timeout or None) as scope:
                await child.wait()
            if scope.cancelled_caught:
                _log.error("debug script %s is ended: it took longer than %g s", path, config.debug_timeout)
                with anyio.move_on_after(config.kill_grace + KILL_TIMEOUT):
                    await child.end(anyio.move_on_after(config.kill_grace))
        finally:
            output, status = await child.finish()
            log_output(_NAME, output, child.came, job.about(script=_NAME)["about"])
            if status:
                _log.warning("debug script %s: exit status %d", path, status)
