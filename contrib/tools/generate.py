#!/usr/bin/env python3
"""generate.py [--check]: writes what is made of the command line's table: man pages and the reference.

With --check it writes nothing and fails if a file is not up to date. Run it with the Python that has ctdb_event:
.venv/bin/python contrib/tools/generate.py
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import sys
from pathlib import Path

from cli_pages import man, markdown

TOP = Path(__file__).resolve().parents[2]


def contents() -> dict[Path, str]:
    """Returns each file's name and what it should hold."""
    reference = TOP / "docs/cli.md"
    return {
        TOP / "contrib/man/ctdb-event.1": man.ctdb_event(),
        TOP / "contrib/man/ctdb-eventd.8": man.ctdb_eventd(),
        reference: markdown.with_reference(reference.read_text()),
    }


def main(arguments: list[str]) -> int:
    """Writes the files, or checks them; returns the exit status."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = {path: text for path, text in contents().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if arguments:
            print(f"{path.relative_to(TOP)} is not up to date; run: {sys.executable} contrib/tools/generate.py")
        else:
            path.write_text(text)
            print(f"wrote {path.relative_to(TOP)}")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
