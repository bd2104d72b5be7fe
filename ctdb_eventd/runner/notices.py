"""Tells the administrator, once each, about script files that CTDB's own daemon would treat otherwise."""

from __future__ import annotations

import logging

from ctdb_eventd.scripts import Listing

__all__ = ["ListingNotices"]

_log = logging.getLogger(__name__)


class ListingNotices:
    """Remembers what was pointed out already."""

    def __init__(self) -> None:
        """Starts with nothing pointed out."""
        self._told: set[str] = set()

    def look_at(self, listing: Listing) -> None:
        """Logs what is new: bare names that run here and not there, and bare names hidden by a `.script`."""
        for path in listing.shadowed:
            if self._is_new(f"{path}.script"):  # told apart from the bare file when it runs
                _log.warning("%s is ignored: %s.script has the same name and wins", path, path)
        for script in listing.scripts:
            if script.bare and script.enabled() and self._is_new(script.path):
                _log.warning(
                    "%s runs here, but not under CTDB's own event daemon: that wants the name %s.script",
                    *(script.path, script.name),
                )

    def _is_new(self, path: str) -> bool:
        if path in self._told:
            return False
        self._told.add(path)
        return True
