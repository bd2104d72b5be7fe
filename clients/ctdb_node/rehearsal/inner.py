"""How a module of this project is run in a process of its own, wherever the project is installed."""

from __future__ import annotations

import sys

__all__ = ["command_of"]


def command_of(module: str, *arguments: str) -> list[str]:
    """Returns the command that calls `main` of a module, with modules from where this process has its own."""
    # the Debian package's modules are not on the interpreter's path, so `-m` would not find them
    path = [each for each in sys.path if each]
    code = f"import sys; sys.path[:] = {path!r}; from {module} import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-IS", "-c", code, *arguments]
