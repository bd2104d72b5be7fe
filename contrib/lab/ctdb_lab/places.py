"""Where the CTDB of a machine or node has its files: it says so itself; the places differ by version and by builder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from ctdb_lab.errors import LabError
from ctdb_lab.plan import CTDB_HELPERS

__all__ = ["CTDB_PATH", "ask_ctdb", "run_here"]

CTDB_PATH = f"{CTDB_HELPERS}/ctdb-path"


def run_here(*argv: str) -> subprocess.CompletedProcess[str]:
    """Runs a command on this machine to its end; its output is text."""
    return subprocess.run(argv, env={}, capture_output=True, text=True, check=False)


def ask_ctdb(run: Callable[..., subprocess.CompletedProcess[str]], kind: str, daemon: str) -> Path:
    """The absolute path of a daemon's file, by the account of CTDB itself.

    Args:
        run: Runs a command where that CTDB is: `run_here`, or a node's `run`.
        kind: `socket` or `pidfile`.
        daemon: `ctdbd` or `eventd`.

    Raises:
        LabError: CTDB doesn't say.
    """
    asked = run(CTDB_PATH, kind, daemon)
    answer = asked.stdout.strip()
    if asked.returncode != 0 or not answer.startswith("/"):
        raise LabError(f"{CTDB_PATH} {kind} {daemon} doesn't name a file: {answer or asked.stderr.strip()}")
    return Path(answer)
