"""Inside of a rehearsal's sandbox: where its own files are, and how this project's modules are run there."""

from __future__ import annotations

import sys

__all__ = ["CALLS", "CHANGES", "ERRORS", "PLACE", "REQUEST", "ROOTS", "STATE", "STUBS", "command_of"]

PLACE = "/run/ctdb-rehearsal"
CALLS = f"{PLACE}/calls"
"""The commands that stubs were called with."""
CHANGES = f"{PLACE}/changes"
"""The upper directories of the overlays: every file that was written."""
ERRORS = f"{PLACE}/errors"
"""The event daemon's standard error."""
REQUEST = f"{PLACE}/request.json"
ROOTS = f"{PLACE}/roots.json"
"""Each upper directory with the mount point that it belongs to; and the mount points that are read-only."""
STATE = f"{PLACE}/state"
"""The state from which the stub of `ctdb` answers."""
STUBS = f"{PLACE}/bin"


def command_of(module: str, *arguments: str) -> list[str]:
    """Returns the command that calls `main` of a module in a process of its own, wherever the project is installed."""
    # the Debian package's modules are not on the interpreter's path, so `-m` would not find them
    path = [each for each in sys.path if each]
    code = f"import sys; sys.path[:] = {path!r}; from {module} import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-IS", "-c", code, *arguments]
