"""The debug script: a look at a hung script before it is ended. One at a time, and never for ever."""

from __future__ import annotations

import logging
import os

import anyio

from ctdb_eventd.config import Config
from ctdb_eventd.logs import log_output
from ctdb_eventd.runner.process import Child, SpawnContext
from ctdb_eventd.safety import Ways

__all__ = ["Debugger"]

_log = logging.getLogger(__name__)

_NAME = "event_debug"
_TURN_PATIENCE = 10.0
"""Seconds that a hung script waits to be looked at while the debug script looks at others: its locks and its address
are held meanwhile, and a failover waits for them."""
_KILL_PATIENCE = 2.0
"""Seconds after KILL until a debug script is left alone that the kernel holds, in /proc of the process it looks at."""


class Debugger:
    """Runs the configured debug script with the pid of a hung script and its event.

    Attributes:
        spawn: What it is given; may be replaced.
    """

    def __init__(self, *, config_dir: str, spawn: SpawnContext) -> None:
        """Prepares; the script's name is looked up in `config_dir`."""
        self._config_dir = config_dir
        self.spawn = spawn
        self._turn = anyio.Lock()

    async def look_at(self, hung: Child, event: str, config: Config) -> None:
        """Runs the debug script, if one is configured, and logs its output; returns when it is over.

        Waits for its turn. A script that has ended by then isn't looked at. The debug script itself is ended when
        its own time is over. Cancellation-safe: the debug script is killed.
        """
        if config.debug_script is None:
            return
        path = os.path.join(self._config_dir, config.debug_script)
        with anyio.move_on_after(_TURN_PATIENCE) as patience:
            await self._turn.acquire()
        if patience.cancelled_caught:
            _log.warning("%s: process %d is ended without a look: the debug script is busy with others", path, hung.pid)
            return
        try:
            if not hung.look():
                await self._run(path, hung.pid, event, config)
        finally:
            self._turn.release()

    async def _run(self, path: str, pid: int, event: str, config: Config) -> None:
        flaw = Ways().flaw(path)
        if flaw is not None:
            if config.script_security == "refuse":
                _log.error("debug script %s can't be run: %s", path, flaw.sentence)
                return
            _log.warning("debug script %s runs although others can change it: %s", path, flaw.sentence)
        try:
            child = Child.spawn(path, (path, str(pid), event), self.spawn, config.max_output)
        except OSError as error:
            _log.error("debug script %s can't be run: %s", path, error.strerror)
            return
        try:
            with anyio.move_on_after(config.debug_timeout or None) as patience:
                await child.wait()
            if patience.cancelled_caught:
                _log.error("debug script %s is ended: it took longer than %g s", path, config.debug_timeout)
                with anyio.move_on_after(config.kill_grace + _KILL_PATIENCE):
                    await child.end(anyio.move_on_after(config.kill_grace))
        finally:
            if not child.look():
                child.kill()
                with anyio.move_on_after(_KILL_PATIENCE, shield=True):
                    await child.wait()
            output, status = child.output, child.close()
            log_output(_NAME, output)
            if status:
                _log.warning("debug script %s: exit status %d", path, status)
