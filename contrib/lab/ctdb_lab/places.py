"""Asks the CTDB of a machine or node for the paths of its files, which differ by version and by distribution."""

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
    """Returns the absolute path of a daemon's file, as CTDB reports it.

    Args:
        run: Runs a command on the machine of that CTDB: `run_here`, or a node's `run`.
        kind: `socket` or `pidfile`.
        daemon: `ctdbd` or `eventd`.

    Raises:
        LabError: CTDB doesn't report it.
    """
    asked = run(CTDB_PATH, kind, daemon)
    answer = asked.stdout.strip()
    if asked.returncode != 0 or not answer.startswith("/"):
        raise LabError(f"{CTDB_PATH} {kind} {daemon} doesn't name a file: {answer or asked.stderr.strip()}")
    return Path(answer)
