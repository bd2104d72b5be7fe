"""Which locks a script needs while it runs: what its head declares, and what the configuration adds."""

from __future__ import annotations

import logging
import os

from ctdb_eventd.config import Config
from ctdb_eventd.scripts import Script, declared_locks, is_lock_name
from ctdb_eventd.text import shown

__all__ = ["Declarations"]

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


class Declarations:
    """Reads scripts' heads, and remembers them for as long as the files stay as they are."""

    def __init__(self) -> None:
        """Starts with nothing read."""
        self._heads: dict[str, tuple[_Stamp, tuple[str, ...]]] = {}

    def locks(self, script: Script, status: os.stat_result, config: Config) -> tuple[str, ...]:
        """Returns the locks of a script whose file has `status`."""
        declared = self._declared(script, status)
        configured = tuple(lock for lock, names in config.locks.items() if script.name in names)
        return tuple(dict.fromkeys((*declared, *configured))) if configured else declared

    def _declared(self, script: Script, status: os.stat_result) -> tuple[str, ...]:
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        known = self._heads.get(script.path)
        if known is not None and known[0] == stamp:
            return known[1]
        names = declared_locks(script.path)
        for name in names:
            if not is_lock_name(name):
                text = "%s: its head declares a lock that can't be one, it is ignored: %s"
                _log.error(text, script.path, shown(name))
        locks = tuple(dict.fromkeys(name for name in names if is_lock_name(name)))
        self._heads[script.path] = stamp, locks
        return locks
