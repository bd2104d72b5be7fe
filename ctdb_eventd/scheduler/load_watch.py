"""Looks at the load for as long as a script waits for an idle processor, and lets it go when there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ctdb_eventd.scheduler.admission import Load
from ctdb_eventd.scheduler.core import Core

__all__ = ["LoadWatch"]

_INTERVAL = 0.002
"""Seconds between two looks: about what starting a script takes."""


class LoadWatch:
    """Looks, tells the core, and has its decisions obeyed. Costs nothing while nobody waits for the load to fall."""

    def __init__(self, core: Core[Any], load: Callable[[], Load | None], obey: Callable[[], None]) -> None:
        """Starts without a look.

        Args:
            core: Gives out the slots.
            load: Tells what the machine is doing; None if it can't be told.
            obey: Carries out what the core decides.
        """
        self._core = core
        self._load = load
        self._obey = obey
        self._next: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def pending(self) -> bool:
        """Tells whether another look is to come."""
        return self._next is not None

    def look(self) -> None:
        """Gives one more slot if the processors have time, and looks again soon if somebody still waits for that."""
        if not self._core.admission.wants_load:
            return
        load = self._load()
        if load is not None:
            self._core.admit_one(load)
            self._obey()
        self.look_soon()

    def look_soon(self) -> None:
        """Sees to it that the load is looked at again for as long as somebody waits for it to fall."""
        if self._core.admission.wants_load and self._next is None and not self._stopped:
            self._next = asyncio.get_running_loop().call_later(_INTERVAL, self._look_again)

    def stop(self) -> None:
        """Looks no more by itself."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look_again(self) -> None:
        self._next = None
        self.look()
