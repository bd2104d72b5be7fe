"""Upgrades of CTDB and Python by apt with our daemon in place, each in a root of another Debian."""

from __future__ import annotations

import faulthandler
import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop

TOP = Path(__file__).resolve().parents[2]
TOOLS = TOP / "contrib" / "tools"
LIMIT = 1800
"""Of seconds; it takes five minutes, and some more if the root has to be made."""


def missing_requirements() -> str:
    """Names what keeps this machine from making roots; empty if nothing does."""
    if os.geteuid() != 0:
        return "roots are made by root: run this with sudo"
    if not Path("/etc/debian_version").exists():
        return "roots of Debian are made on Debian"
    if Path("/opt/venv").is_mount():
        return "this is a root already: run this outside of it"
    return ""


def test_a_node_works_before_and_after_and_has_an_event_daemon_all_the_time() -> None:
    """The upgrade with most in it: CTDB's places move, and Python is replaced. `make upgrades` tries the others."""
    problem = missing_requirements()
    if problem:
        # not a failure with INTEROP_REQUIRED either: `make interop-versions` runs in roots, where none can be made
        pytest.skip(problem)
    faulthandler.cancel_dump_traceback_later()  # apt alone may take minutes; LIMIT is enough
    command = [str(TOOLS / "side-by-side.sh"), f"{TOOLS}/try-upgrade.sh 4.24 4.25 $WORD", "package", "venv"]
    tried = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False
    )
    assert tried.returncode == 0, tried.stdout
    assert tried.stdout.count("=== all is well\n") == 2
