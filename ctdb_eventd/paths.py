"""Paths of all files: those of CTDB, so that each event daemon finds the files of the other.

Only builds names, opens nothing; `places` gets CTDB's paths. The command line loads this module, so it imports very
little.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module alone would cost the command line half an interpreter start
    from collections.abc import Mapping

__all__ = ["Paths", "PathsError", "test_mode"]


class PathsError(ValueError):
    """The environment selects the test layout but doesn't say where it is."""


def test_mode(environ: Mapping[str, str]) -> bool:
    """Returns whether CTDB's test layout is selected: CTDB_TEST_MODE is set, to any value."""
    return "CTDB_TEST_MODE" in environ


class Paths:
    """The file system layout of one node; attributes are absolute paths unless CTDB_BASE is relative.

    Attributes:
        config_dir: Configuration; the debug script is searched here too.
        config_file: ctdb.conf.
        events_dir: One directory of event scripts for each component.
        provided_dir: The same for scripts that a package provides, to be enabled by links.
        socket: The daemon's Unix socket.
        pid_file: Locked by the running daemon.
        problem: Why these are the built-in paths although CTDB was asked for its own; None if there is no problem.
        run_dir: Files that are deleted at a reboot: the pid file's directory, which both daemons need.
        state_dir: Files that survive a restart.
        log_file: The log file if the configuration doesn't set one.
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
            answers: Answers of CTDB's program `ctdb-path`, by its arguments; None for the built-in paths. Ignored in
                test mode, where the layout is the same in every version.

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
