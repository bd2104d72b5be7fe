"""A directory that looks like a node with CTDB on it, for --root: no root user and no CTDB needed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from fake_ctdb_path import answers_for, ctdb_path

from ctdb_eventd_install import cli

HELPERS = "usr/libexec/ctdb"
OWN_DAEMON = "#!/bin/sh\necho CTDB's own $*\n"
NEWER_DAEMON = "#!/bin/sh\necho CTDB's newer one $*\n"
PROGRAM = "/opt/eventd/bin/ctdb-eventd"
_STATUS = (
    "Package: ctdb\nStatus: install ok installed\nVersion: 4.17\nArchitecture: all\nMaintainer: x\nDescription: x\n"
)

has_dpkg = shutil.which("dpkg-divert") is not None


class FakeNode:
    """One such directory."""

    def __init__(self, root: Path, *, dpkg: bool) -> None:
        self.root = root
        self.helpers = root / HELPERS
        self.dpkg = dpkg
        self.file(f"{HELPERS}/ctdb-eventd", OWN_DAEMON)
        self.file("usr/sbin/ctdbd", "#!/bin/sh\n")
        self.file("usr/bin/ctdb", "#!/bin/sh\necho 4.17.12-Debian\n")
        self.file("bin/sh", "")
        self.file("etc/ctdb/ctdb.conf", "[logging]\n  location = syslog\n")
        self.file("usr/share/ctdb/events/legacy/00.ctdb.script", "#!/bin/sh\n")
        (root / "etc/ctdb/events/legacy").mkdir(parents=True)
        self.link("00.ctdb.script", "/usr/share/ctdb/events/legacy/00.ctdb.script")
        self.file(PROGRAM, f"#!{sys.executable}\n")
        if dpkg:
            self.file("var/lib/dpkg/status", _STATUS)
            self.file("var/lib/dpkg/info/ctdb.list", f"/.\n/{HELPERS}/ctdb-eventd\n")
            self.file("var/lib/dpkg/info/format", "1\n")

    def file(self, path: str, text: str, mode: int = 0o755) -> Path:
        """Writes a file of the node."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def answer(self) -> None:
        """Puts the program in place that tells where everything is."""
        ctdb_path(self.helpers, answers_for(self.root / "node"))

    def script(self, name: str, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
        """Writes a local event script."""
        return self.file(f"etc/ctdb/events/legacy/{name}", text, mode)

    def link(self, name: str, target: str) -> None:
        """Enables an event script by a link."""
        (self.root / "etc/ctdb/events/legacy" / name).symlink_to(target)

    def run(self, *arguments: str) -> int:
        """Runs the installer on it, in this process."""
        return cli.main([*self.arguments, *arguments])

    @property
    def arguments(self) -> list[str]:
        """What makes the installer work on it."""
        return ["--root", str(self.root), "--program", PROGRAM]

    @property
    def helper(self) -> Path:
        """What ctdbd starts."""
        return self.helpers / "ctdb-eventd"

    @property
    def kept(self) -> Path:
        """CTDB's own daemon while ours is in place."""
        return self.helpers / "ctdb-eventd.ctdb"

    def upgrade(self) -> None:
        """Does what the package manager does to the daemon when CTDB is upgraded."""
        target = self.kept if self.dpkg and self._is_diverted() else self.helper
        new = self.file(f"{HELPERS}/ctdb-eventd.dpkg-new", NEWER_DAEMON)
        new.rename(target)

    def _is_diverted(self) -> bool:
        diversions = self.root / "var/lib/dpkg/diversions"
        return diversions.exists() and "ctdb-eventd.ctdb" in diversions.read_text()

    def is_ours(self) -> bool:
        """Returns whether our file is in place."""
        return PROGRAM in self.helper.read_text()

    def works(self) -> bool:
        """Returns whether ctdbd would get an event daemon: CTDB's, or ours with CTDB's to fall back on."""
        daemon = self.kept if self.is_ours() else self.helper
        return daemon.read_text() in (OWN_DAEMON, NEWER_DAEMON) and all(
            os.access(file, os.X_OK) for file in (daemon, self.helper)
        )

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """Returns everything that could change: names, types, modes, times, contents."""
        found: dict[str, tuple[object, ...]] = {}
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path.relative_to(self.root))] = (status.st_mode, status.st_ino, status.st_nlink, content)
        # dpkg writes it anew, empty or not, and keeps the former one
        return {name: what for name, what in found.items() if not name.startswith("var/lib/dpkg/diversions")}
