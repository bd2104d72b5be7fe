"""A site's configuration, and what a rehearsal of it says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from .programs import PROVIDED_SCRIPTS

_SECONDS = 300
_INTERFACE = "lo"
"""The only one that every machine has."""


class Rehearsed:
    """What a rehearsal said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode in (0, 1), done.stderr
        self.status = done.returncode
        self.document: dict[str, Any] = json.loads(done.stdout)

    def findings(self, kind: str = "", *, problem: bool | None = None) -> list[dict[str, Any]]:
        """Those of a kind."""
        return [
            each
            for each in self.document["findings"]
            if (not kind or each["kind"] == kind) and (problem is None or each["problem"] is problem)
        ]


class Site:
    """A configuration directory."""

    def __init__(self, base: Path) -> None:
        self.base = base
        shutil.copytree("/etc/ctdb", base, symlinks=True)
        self.scripts = base / "events/legacy"
        shutil.rmtree(self.scripts, ignore_errors=True)
        self.scripts.mkdir(parents=True)
        # `lo` has no stand-in, so its addresses are as real as any
        (base / "public_addresses").write_text(f"10.77.0.1/24 {_INTERFACE}\nfd77::1/64 {_INTERFACE}\n")

    def enable(self, *names: str) -> None:
        """Enables scripts of CTDB, all if none is named."""
        for path in sorted(Path(PROVIDED_SCRIPTS).glob("*.script")):
            if not names or path.name.removesuffix(".script") in names:
                (self.scripts / path.name).symlink_to(path)

    def script(self, name: str, text: str) -> None:
        """Writes a script."""
        path = self.scripts / f"{name}.script"
        path.write_text(text)
        path.chmod(0o755)

    def command(self, *words: str) -> list[str]:
        """What rehearses it."""
        return [sys.executable, "-m", "ctdb_node", "rehearse", "--config-dir", str(self.base), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        command = self.command(*words)
        return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)

    def rehearse(self, *words: str) -> Rehearsed:
        """Runs it to its end, and reads its JSON."""
        return Rehearsed(self.run("--json", *words))
