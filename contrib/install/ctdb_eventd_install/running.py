"""Tells which event daemon runs at this moment, whichever is in place for the next start."""

from __future__ import annotations

import os

__all__ = ["running_daemon"]


def running_daemon(pid_file: str) -> str:
    """Says who runs, from the daemon's pid file; either daemon writes it and removes it at its end."""
    try:
        with open(pid_file, encoding="ascii", errors="replace") as file:
            pid = int(file.read())
        program = os.readlink(f"/proc/{pid}/exe")
    except (OSError, ValueError):
        return "no event daemon"
    # A file that was replaced while it ran is shown as deleted, and one that moved by its new name.
    name = os.path.basename(program).removesuffix(" (deleted)")
    if name.startswith("python"):
        return f"our daemon, process {pid}"
    if name.startswith("ctdb-eventd"):
        return f"CTDB's own event daemon, process {pid}"
    return f"{program}, process {pid}"
