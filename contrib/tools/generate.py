#!/usr/bin/env python3
"""generate.py [--check]: writes what is made of the command lines' tables: man pages, the reference, and
the completions of ctdb-node.

With --check it writes nothing and fails if a file is not up to date. Run it with the Python that has ctdb_event:
.venv/bin/python contrib/tools/generate.py
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import sys
from pathlib import Path

from cli_pages import man, markdown, node

TOP = Path(__file__).resolve().parents[2]


def contents() -> dict[Path, str]:
    """Returns each file's path and the content that it should have."""
    reference = TOP / "docs/cli.md"
    return {
        TOP / "contrib/man/ctdb-event.1": man.ctdb_event(),
        TOP / "contrib/man/ctdb-eventd.8": man.ctdb_eventd(),
        TOP / "contrib/man/ctdb-node.1": node.ctdb_node(),
        reference: markdown.with_reference(reference.read_text()),
        **_completions(),
    }


def _completions() -> dict[Path, str]:
    """Returns the completions of ctdb-node, which work in the same way as those of ctdb-event."""
    files = [path for path in (TOP / "contrib/completion").iterdir() if "event" in path.name]
    return {
        path.with_name(path.name.replace("event", "node")): re.sub("(ctdb[-_])event", r"\1node", path.read_text())
        for path in files
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
