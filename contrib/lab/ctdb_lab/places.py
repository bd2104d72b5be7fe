"""Where the CTDB of this machine has its files: it says so itself; the places differ by version and by builder."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from ctdb_lab.errors import LabError
from ctdb_lab.plan import CTDB_HELPERS

__all__ = ["CTDB_PATH", "ask_ctdb"]

CTDB_PATH = f"{CTDB_HELPERS}/ctdb-path"


@cache
def ask_ctdb(kind: str, daemon: str) -> Path:
    """The absolute path of a daemon's file.

    Args:
        kind: `socket` or `pidfile`.
        daemon: `ctdbd` or `eventd`.

    Raises:
        LabError: CTDB doesn't say.
    """
    asked = subprocess.run([CTDB_PATH, kind, daemon], env={}, capture_output=True, text=True, check=False)
    answer = asked.stdout.strip()
    if asked.returncode != 0 or not answer.startswith("/"):
        raise LabError(f"{CTDB_PATH} {kind} {daemon} doesn't name a file: {answer or asked.stderr.strip()}")
    return Path(answer)
