"""Where everything lies: CTDB's own places, so that either event daemon finds what the other left.

Knows names only, opens nothing; `places` learns from CTDB where they are. The command line loads this module, so it
imports next to nothing.
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
        problem: Why these are the built-in places although CTDB was to be asked for its own; None if all is well.
        run_dir: Files that end with the running system: the pid file's directory, which both daemons need.
        state_dir: Files that survive a restart.
        log_file: Where the log goes if the configuration doesn't say.
    """

    __slots__ = (
        "config_dir",
        "config_file",
        "events_dir",
        "log_file",
        "pid_file",
        "problem",
        "provided_dir",
        "run_dir",
        "socket",
        "state_dir",
    )

    def __init__(self, environ: Mapping[str, str], answers: Mapping[str, str] | None = None) -> None:
        """Chooses the layout from CTDB_TEST_MODE and CTDB_BASE; outside test mode CTDB_BASE changes nothing.

        Args:
            environ: The environment.
            answers: What CTDB's program `ctdb-path` answers, by its words; None for the built-in places. Test mode
                has no use for them, its layout is the same in every version.

        Raises:
            PathsError: CTDB_TEST_MODE is set and CTDB_BASE is not, or is empty.
        """
        self.problem: str | None = None
        if test_mode(environ):
            base = environ.get("CTDB_BASE", "")
            if not base:
                raise PathsError("CTDB_TEST_MODE is set, so CTDB_BASE must name the directory of the test node")
            self.log_file = os.path.join(base, "log.ctdb")
            answers = _layout(base, os.path.join(base, "share"), os.path.join(base, "run"), os.path.join(base, "var"))
        else:
            self.log_file = "/var/log/ctdb/log.ctdb"
            answers = answers or _layout("/etc/ctdb", "/usr/share/ctdb", "/run/ctdb", "/var/lib/ctdb")
        self.config_dir = answers["etcdir"]
        self.config_file = answers["config"]
        self.events_dir = os.path.join(self.config_dir, "events")
        self.provided_dir = os.path.join(answers["datadir"], "events")
        self.state_dir = answers["vardir"]
        self.socket = answers["socket eventd"]
        self.pid_file = answers["pidfile eventd"]
        self.run_dir = os.path.dirname(self.pid_file)


def _layout(etcdir: str, datadir: str, rundir: str, vardir: str) -> dict[str, str]:
    return {
        "config": os.path.join(etcdir, "ctdb.conf"),
        "datadir": datadir,
        "etcdir": etcdir,
        "pidfile eventd": os.path.join(rundir, "eventd.pid"),
        "socket eventd": os.path.join(rundir, "eventd.socket"),
        "vardir": vardir,
    }
