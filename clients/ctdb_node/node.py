"""A node: goes through its states, runs their events, and monitors."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from ctdb_node.events import Events
from ctdb_node.health import Health, after
from ctdb_node.hosting import Hosting
from ctdb_node.states import ENDS, EVENTS, State, Trigger, back_off, next_state
from ctdb_node.tunables import DEFAULTS, changed

__all__ = ["Node"]

_log = logging.getLogger("ctdb-node")


class Node:
    """One node from init to shutdown. Requests set attributes and wake the task that reallocates."""

    def __init__(self, notify_script: str) -> None:
        """Starts in the state INIT.

        Args:
            notify_script: Run after changes of state and health, if it exists and is executable.
        """
        self.state = State.INIT
        self.health = Health()
        self.since = time.time()
        self.stopped = False
        self.tunables: Mapping[str, int] = DEFAULTS
        self.on_change: Callable[[], None] = lambda: None
        """Called when state, health or addresses may have changed."""
        self.hosting: Hosting | None = None
        self._notify_script = notify_script
        self._failures = 0
        self._recover = False
        self._wanted = anyio.Event()
        self._tuned = anyio.Event()
        self._pending_trigger: Trigger | None = None
        self._scope = anyio.CancelScope()

    def trigger(self, trigger: Trigger) -> None:
        """Ends the present state, if the trigger has an effect in it."""
        if self._pending_trigger is None and next_state(self.state, trigger) is not None:
            self._pending_trigger = trigger
            self._scope.cancel()

    def want(self, *, recover: bool = False) -> None:
        """Asks for a reallocation, after a recovery if `recover`."""
        self._recover = self._recover or recover
        self._wanted.set()

    def tune(self, assignment: str) -> None:
        """Sets a tunable, which takes effect at once: `NAME=VALUE`.

        Raises:
            NodeError: There is no such tunable, or it can't have that value.
        """
        self.tunables = changed(self.tunables, assignment)
        self._tuned.set()

    async def live(self, events: Events, hosting: Hosting) -> State:
        """Runs the node until a final state, and returns that."""
        self.hosting = hosting
        while self.state not in ENDS:
            trigger = await self._run_state(events, hosting)
            if trigger is Trigger.FAILED:
                self._failures += 1
            elif trigger is Trigger.SUCCEEDED:
                self._failures = 0
            following = next_state(self.state, trigger)
            assert following is not None
            _log.info("%s %s; now: %s", self.state.value, trigger.value, following.value)
            self.state = following
            self.on_change()
        return self.state

    async def _run_state(self, events: Events, hosting: Hosting) -> Trigger:
        """Does the state's work, and returns what ended it; a trigger that came between two states ends the next."""
        with anyio.CancelScope() as self._scope:
            if self._pending_trigger is None:
                trigger = await self._act(events, hosting)
                if trigger is Trigger.SUCCEEDED:
                    await self._notify(self.state.value)
                return trigger
        pending, self._pending_trigger = self._pending_trigger, None
        assert pending is not None
        return pending

    async def _act(self, events: Events, hosting: Hosting) -> Trigger:
        if self.state is State.RUNNING:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._monitor, events, hosting)
                tasks.start_soon(self._serve, events, hosting)
        if self.state in (State.STARTUP_WAIT, State.RECOVERY_WAIT):
            seconds = back_off(self._failures)
            _log.warning("trying again in %d s, after %d failures", seconds, self._failures)
            await anyio.sleep(seconds)
            return Trigger.WAITED
        if self.state in (State.STARTRECOVERY, State.SHUTDOWN):
            await hosting.release_all()
        result = await events.run(EVENTS[self.state])
        return Trigger.SUCCEEDED if result.outcome == "success" else Trigger.FAILED

    async def _monitor(self, events: Events, hosting: Hosting) -> None:
        while True:
            await self._update(after(self.health, await events.run("monitor"), self.tunables["MonitorTimeoutCount"]))
            if await hosting.check():
                _log.info("interfaces have gone up or down")
                self.want()
            await self._sleep_until_due()

    async def _sleep_until_due(self) -> None:
        """Sleeps for MonitorInterval from now on, and adapts if that tunable changes during the sleep."""
        began = anyio.current_time()
        while (left := began + self.tunables["MonitorInterval"] - anyio.current_time()) > 0:
            self._tuned = anyio.Event()
            with anyio.move_on_after(left):
                await self._tuned.wait()

    async def _update(self, health: Health) -> None:
        changed = health.healthy != self.health.healthy
        self.health = health
        if not changed:
            return
        self.since = time.time()
        self.on_change()
        if health.healthy:
            _log.info("the node is HEALTHY")
        else:
            _log.warning("the node is UNHEALTHY: %s", health.reason)
        self.want()
        await self._notify("healthy" if health.healthy else "unhealthy")

    async def _serve(self, events: Events, hosting: Hosting) -> None:
        failures = 0
        while True:
            if not failures:
                await self._wanted.wait()
            self._wanted = anyio.Event()
            done = await self._recovered(events) and await hosting.reallocate(self.health.healthy and not self.stopped)
            self.on_change()
            if done:
                failures = 0
                continue
            failures += 1
            _log.warning("the reallocation failed; trying again in %d s", back_off(failures))
            await anyio.sleep(back_off(failures))

    async def _recovered(self, events: Events) -> bool:
        """Runs a recovery if one is requested; returns False if it failed."""
        if self._recover:
            for event in ("startrecovery", "recovered"):
                if (await events.run(event)).outcome != "success":
                    return False
            self._recover = False
        return True

    async def _notify(self, what: str) -> None:
        if not os.access(self._notify_script, os.X_OK):
            return
        try:
            with anyio.fail_after(self.tunables["EventScriptTimeout"]):
                await anyio.run_process([self._notify_script, what], stdin=subprocess.DEVNULL, stdout=None, stderr=None)
        except (OSError, subprocess.CalledProcessError) as error:
            _log.warning("the notify script %s %s: %s", self._notify_script, what, str(error) or "it took too long")

    def describe(self) -> dict[str, Any]:
        """Returns the node's complete state, for JSON."""
        hosting = self.hosting
        return {
            "state": self.state.value,
            "healthy": self.health.healthy,
            "reason": self.health.reason,
            "since": self.since,
            "stopped": self.stopped,
            "tunables": dict(self.tunables),
            "addresses": [
                {"address": each.address, "bits": each.bits, "interface": hosting.held.get(each.address)}
                for each in hosting.addresses
            ]
            if hosting
            else [],
            "differences": list(hosting.differences) if hosting else [],
        }
