"""Which scripts an event runs: the component's directory, read afresh, or known to be as it was when it was read."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ctdb_eventd import scripts
from ctdb_eventd.errors import NoSuchComponent, UnreadableComponent
from ctdb_eventd.runner.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Listings"]

_SETTLED_NS = 1_000_000_000
"""Age from which a directory's time of change can be trusted to tell the next change apart: the kernel takes such
times from a clock that moves in steps of up to 10 ms, so a change right after the look could bear the same time."""

_Stamp = tuple[int, int, int, int, str]


class Listings:
    """Lists components' scripts. Whether each may run is not remembered: that is looked up when its turn comes."""

    def __init__(self, events_dir: str, notices: Notices) -> None:
        """Looks below `events_dir`, and tells `notices` what is there."""
        self._events_dir = events_dir
        self._known: dict[str, tuple[_Stamp, Sequence[scripts.Script]]] = {}
        self._notices = notices

    def of(self, component: str, rule: scripts.NameRule) -> Sequence[scripts.Script]:
        """Returns a component's scripts in the order in which they run.

        Raises:
            RequestError: There is no such component, or its directory can't be read.
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
        # The stamp is older than the look: a change in between makes them differ, which costs one more look.
        if time.time_ns() - max(stamp[:2]) > _SETTLED_NS:
            self._known[component] = (stamp, listing.scripts)
        self._notices.look_at(component, listing)
        return listing.scripts
