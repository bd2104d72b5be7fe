"""Where everything lies: CTDB's own places, so that either event daemon finds what the other left.

Knows names only, opens nothing. The command line loads this module, so it imports next to nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module alone would cost the command line half an interpreter start
    from collections.abc import Mapping

__all__ = ["Paths", "PathsError", "test_mode"]


class PathsError(ValueError):
    """The environment asks for the test layout but doesn't say where."""


def test_mode(environ: Mapping[str, str]) -> bool:
    """Tells whether CTDB's test layout is asked for: CTDB_TEST_MODE is set, to whatever."""
    return "CTDB_TEST_MODE" in environ


class Paths:
    """The file system layout of one node; attributes are absolute paths unless CTDB_BASE is relative.

    Attributes:
        config_dir: Configuration; the debug script is looked up here too.
        config_file: ctdb.conf.
        events_dir: One directory of event scripts for each component.
        provided_dir: The same for scripts that a package provides, to be enabled by links.
        socket: The daemon's Unix socket.
        pid_file: Locked by the running daemon.
        run_dir: Files that end with the running system.
        state_dir: Files that survive a restart.
        log_file: Where the log goes if the configuration doesn't say.
    """

    __slots__ = (
        "config_dir",
        "config_file",
        "events_dir",
        "log_file",
        "pid_file",
        "provided_dir",
        "run_dir",
        "socket",
        "state_dir",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Chooses the layout from CTDB_TEST_MODE and CTDB_BASE; outside test mode CTDB_BASE changes nothing.

        Raises:
            PathsError: CTDB_TEST_MODE is set and CTDB_BASE is not, or is empty.
        """
        if test_mode(environ):
            base = environ.get("CTDB_BASE", "")
            if not base:
                raise PathsError("CTDB_TEST_MODE is set, so CTDB_BASE must name the directory of the test node")
            self.config_dir = base
            self.provided_dir = os.path.join(base, "share", "events")
            self.run_dir = os.path.join(base, "run")
            self.state_dir = os.path.join(base, "var")
            self.log_file = os.path.join(base, "log.ctdb")
        else:
            self.config_dir = "/etc/ctdb"
            self.provided_dir = "/usr/share/ctdb/events"
            self.run_dir = "/run/ctdb"
            self.state_dir = "/var/lib/ctdb"
            self.log_file = "/var/log/ctdb/log.ctdb"
        self.config_file = os.path.join(self.config_dir, "ctdb.conf")
        self.events_dir = os.path.join(self.config_dir, "events")
        self.socket = os.path.join(self.run_dir, "eventd.socket")
        self.pid_file = os.path.join(self.run_dir, "eventd.pid")
