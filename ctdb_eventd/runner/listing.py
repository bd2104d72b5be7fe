"""The scripts that an event runs: from the component's directory, which is read again if it may have changed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ctdb_eventd import scripts
from ctdb_eventd.errors import NoSuchComponent, UnreadableComponent
from ctdb_eventd.runner.notices import ScriptWarnings

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Listings"]

_SETTLED_NS = 1_000_000_000
"""Age from which on a directory's modification time is certain to differ from that of the next change: the kernel's
clock for it advances in steps of up to 10 ms, so a change right after reading could have the same time."""

_Stamp = tuple[int, int, int, int, str]


class Listings:
    """Lists components' scripts. Whether each may run is not cached: that is checked just before its start."""

    def __init__(self, events_dir: str, notices: ScriptWarnings) -> None:
        """Reads directories below `events_dir`, and reports their contents to `notices`."""
        self._events_dir = events_dir
        self._known: dict[str, tuple[_Stamp, Sequence[scripts.Script]]] = {}
        self._notices = notices

    def of(self, component: str, rule: scripts.NameRule) -> Sequence[scripts.Script]:
        """Returns a component's scripts in the order in which they run.

        Raises:
            RequestError: The component doesn't exist, or its directory can't be read.
        """
        directory = f"{self._events_dir}/{component}"
        try:
            status = os.stat(directory)
            stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev, rule)
            known = self._known.get(component)
            if known is not None and known[0] == stamp:
                return known[1]
            listing = scripts.discover(directory, component, rule)
        except FileNotFoundError:
            self._known.pop(component, None)
            raise NoSuchComponent(component, directory) from None
        except OSError as error:
            raise UnreadableComponent(directory, error) from error
        # The stamp is older than the listing: a change in between makes them differ, which costs one more reading.
        if time.time_ns() - max(stamp[:2]) > _SETTLED_NS:
            self._known[component] = (stamp, listing.scripts)
        self._notices.look_at(component, listing)
        return listing.scripts
