"""The daemon and its guardian, one generation after the other, and what befalls them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from nodes import Daemon, Node, command_of, start_daemon

from .scripts import GENERATION

__all__ = ["Daemons"]

_FATES = ("daemon", "guardian", "both", "both, guardian first", "stopped guardian", "stopped", "reloaded", "ended")


class Daemons:
    """Starts daemons and does them harm.

    Attributes:
        node: Where they run.
        figures: What befell them.
        left: Processes that a killed daemon had left when the next one listened, by pid.
        slowest_start: In seconds.
        daemon: The present one.
    """

    def __init__(self, node: Node, seed: int, figures: Counter[str]) -> None:
        """Prepares; nothing is started yet."""
        self.node = node
        self._random = random.Random(seed)
        self._generation = 0
        self.figures = figures
        self.left: dict[int, str] = {}
        self.slowest_start = 0.0
        self.daemon: Daemon

    def start(self) -> None:
        """Starts the next one, and looks whether anything of the former ones still runs."""
        self._generation += 1
        began = time.monotonic()
        self.daemon = start_daemon(self.node, environ={GENERATION: str(self._generation)})
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)
        self.left |= self.processes(older_than=self._generation)
        self.figures["daemons"] += 1

    def processes(self, *, older_than: int | None = None) -> dict[int, str]:
        """Returns what works for this node, by pid: of all daemons, or of those before a generation."""
        base = f"CTDB_BASE={self.node.base}".encode()
        found = {}
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):  # no process, or one that has just ended
                variables = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0") if entry.isdigit() else []
                generations = [line for line in variables if line.startswith(GENERATION.encode())]
                if base not in variables or not generations:
                    continue
                generation = int(generations[0].partition(b"=")[2])
                if older_than is None or generation < older_than:
                    found[int(entry)] = f"{entry} of daemon {generation}: {command_of(int(entry))}"
        return found

    async def harm(self) -> None:
        """Lets one thing happen, and has a daemon again afterwards."""
        fate = self._random.choice(_FATES)
        self.figures[f"fate: {fate}"] += 1
        daemon, guardians = self.daemon.process, self.daemon.guardians()
        if fate == "stopped":
            daemon.send_signal(signal.SIGSTOP)
            await asyncio.sleep(self._random.random())
            daemon.send_signal(signal.SIGCONT)
        elif fate == "reloaded":
            daemon.send_signal(signal.SIGUSR1)
        elif fate == "guardian":
            _tell(guardians, signal.SIGKILL)
        else:
            if fate == "both, guardian first":
                _tell(guardians, signal.SIGKILL)
            elif fate == "stopped guardian":
                _tell(guardians, signal.SIGSTOP)
            daemon.send_signal(signal.SIGTERM if fate == "ended" else signal.SIGKILL)
            if fate == "both":
                _tell(guardians, signal.SIGKILL)
            await self._again()
            _tell(guardians, signal.SIGCONT)

    async def _again(self) -> None:
        await asyncio.to_thread(self.daemon.process.wait)
        assert self.daemon.process.stderr is not None
        self.daemon.process.stderr.close()
        await asyncio.to_thread(self.start)

    def stop(self) -> int:
        """Ends the last one in an orderly way; returns its exit status."""
        status = self.daemon.stop()
        assert self.daemon.process.stderr is not None
        self.daemon.process.stderr.close()
        return status


def _tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
