"""Warnings about script files, each logged once: their names, dangling links, and events that run no script."""

from __future__ import annotations

import logging
import os

from ctdb_eventd.events import CATALOGUE, Mode
from ctdb_eventd.model import EventSpec
from ctdb_eventd.safety import Unsafe
from ctdb_eventd.scripts import Listing, Script

__all__ = ["Notices"]

_log = logging.getLogger(__name__)

_EXPECTED_TO_RUN = frozenset(kind.name for kind in CATALOGUE.values() if kind.mode is not Mode.EXCLUSIVE)
"""If no script runs for one of these, the node has no addresses or isn't monitored, and yet looks healthy."""


class Notices:
    """Logs each warning once."""

    def __init__(self, events_dir: str) -> None:
        """Starts with no warnings logged; `events_dir` has the directories of components."""
        self._events_dir = events_dir
        self._logged: set[tuple[str, str]] = set()
        self._dangling: set[str] = set()
        self._idle: set[str] = set()

    def look_at(self, component: str, listing: Listing) -> None:
        """Logs new warnings about names: scripts that run only here, are hidden by a `.script`, or are left out."""
        for path in listing.shadowed:
            if self._first_time("hidden", path):
                _log.warning("%s is ignored: %s.script has the same name and takes precedence", path, path)
        for script in listing.left_out:
            if script.enabled() and self._first_time("left out", script.path):
                _log.warning(
                    "%s does not run: if any script is named NN.name.script, only scripts named so run; if it is not a "
                    "copy, rename it to %s.script, or set [eventd] script names = both",
                    *(script.path, script.name),
                )
        for script in listing.scripts:
            if script.bare and script.enabled() and self._first_time("bare", script.path):
                _log.warning(
                    "%s runs here, but not under CTDB's own event daemon: that requires the name %s.script",
                    *(script.path, script.name),
                )
        if self._dangling:
            directory = f"{self._events_dir}/{component}"
            there = {script.path for script in listing.scripts}
            self._dangling = {path for path in self._dangling if path in there or os.path.dirname(path) != directory}

    def _first_time(self, what: str, path: str) -> bool:
        if (what, path) in self._logged:
            return False
        self._logged.add((what, path))
        return True

    # ------------------------------------------------------------------ while events run

    def found(self, script: Script) -> None:
        """Called when a script is enabled: if it becomes a dangling link again, the warning is repeated."""
        if self._dangling:
            self._dangling.discard(script.path)

    def unsafe(self, path: str, flaw: Unsafe) -> None:
        """Warns that a script is executed although other users can change it."""
        if self._first_time("unsafe", path):
            _log.warning("%s runs although others can change it: %s", path, flaw.sentence)

    def passed_over(self, script: Script) -> None:
        """Warns if a script is disabled because it is a dangling link; again after it has had a target."""
        if not os.path.islink(script.path) or os.path.exists(script.path):
            self.found(script)
        elif script.path not in self._dangling:
            self._dangling.add(script.path)
            _log.warning(
                "%s is ignored: it is a dangling link to %s; remove the link, or install what it leads to",
                *(script.path, os.path.realpath(script.path)),
            )

    def completed(self, spec: EventSpec, *, ran: bool) -> None:
        """Warns if an event should have run a script and ran none; again after the component has run one."""
        if ran:
            if self._idle:
                self._idle.discard(spec.component)
        elif spec.event in _EXPECTED_TO_RUN and spec.component not in self._idle:
            self._idle.add(spec.component)
            _log.warning(
                "%s: no script ran: none is enabled in %s/%s. The event counts as a success, so the node looks healthy "
                "and nothing is checked or configured; enable scripts: ctdb event script enable %s NAME "
                "(ctdb event script list %s shows their names)",
                *(spec, self._events_dir, spec.component, spec.component, spec.component),
            )
