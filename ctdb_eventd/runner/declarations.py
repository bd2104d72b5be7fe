"""The declarations of a script, known before it starts: the locks that it needs and the events that it handles.

Both are in its head or in the configuration; for events there is also the table of CTDB's own scripts.
"""

from __future__ import annotations

import logging
import os
import time

import attrs

from ctdb_eventd.config import Config
from ctdb_eventd.handled import Handled, Library, Row, bad_event, declared_events, handled_events, provided
from ctdb_eventd.scripts import Script, declared_locks, is_lock_name
from ctdb_eventd.text import shown

__all__ = ["Declarations"]

_log = logging.getLogger(__name__)

_SETTLED_NS = 1_000_000_000
"""Age from which on a file's modification time is certain to differ from that of the next change; see `listing`."""

_Stamp = tuple[int, int, int, int, int]


@attrs.frozen(eq=False, repr=False)
class _File:
    """The declarations in a script's file."""

    stamp: _Stamp | None
    """Unchanged as long as the file is; None if the file was changed too recently to be certain."""
    lock_names: list[str]
    """All names, also invalid ones."""
    locks: tuple[str, ...]
    events: list[str] | None
    """All names, also invalid ones."""
    row: Row | None
    """The entry in the table for its content."""


class Declarations:
    """Reads scripts' files, and caches their declarations until the files change."""

    def __init__(self, config_dir: str) -> None:
        """Starts with an empty cache; `config_dir` has the files that CTDB's own scripts read first."""
        self._files: dict[str, _File] = {}
        self._library = Library(config_dir)

    def locks(self, script: Script, status: os.stat_result, config: Config) -> tuple[str, ...]:
        """Returns the locks of a script whose file has `status`."""
        declared = self._file(script, status).locks
        configured = tuple(lock for lock, names in config.locks.items() if script.name in names)
        return tuple(dict.fromkeys((*declared, *configured))) if configured else declared

    def handled(self, script: Script, status: os.stat_result, config: Config) -> Handled | None:
        """Returns which events a script handles whose file has `status`; None if it is started for all."""
        file = self._file(script, status)
        row = None if config.start_idle_scripts else file.row
        if row is not None and row.versions.isdisjoint(self._library.versions()):
            row = None
        return handled_events(file.events, config.events.get(script.name), row)

    def _file(self, script: Script, status: os.stat_result) -> _File:
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev, status.st_size)
        known = self._files.get(script.path)
        if known is not None and known.stamp == stamp:
            return known
        names, events = declared_locks(script.path), declared_events(script.path)
        file = self._files[script.path] = _File(
            stamp if time.time_ns() - status.st_mtime_ns > _SETTLED_NS else None,
            names,
            tuple(dict.fromkeys(name for name in names if is_lock_name(name))),
            events,
            provided().row(script.name, script.path),
        )
        if known is None or known.lock_names != names:
            _check_locks(script.path, names)
        if events is not None and (known is None or known.events != events):
            _check_events(script.path, events)
        return file


def _check_locks(path: str, names: list[str]) -> None:
    for name in names:
        if not is_lock_name(name):
            _log.error("%s: its head declares an invalid lock name, which is ignored: %s", path, shown(name))


def _check_events(path: str, words: list[str]) -> None:
    wrong = bad_event(words)
    if words and wrong is None:
        return
    what = "no event" if wrong is None else f"an invalid event name: {shown(wrong)}"
    _log.error("%s: its head declares %s; it is started for every event, as if it declared nothing", path, what)
