"""Records the installation for the package manager, so that an upgrade of CTDB is handled.

On Debian by a diversion: dpkg then unpacks CTDB's new daemon beside ours. RPM has no diversions, and overwrites ours;
a marker file then shows that ours was installed, and has to be installed again.
"""

from __future__ import annotations

import abc
import contextlib
import os
import shlex
import shutil
import subprocess

from ctdb_eventd_install.places import NodePlaces
from ctdb_eventd_install.problems import DivertedByOthers

__all__ = ["DpkgDiversion", "MarkerFile", "Record", "choose_record"]

_MARKER_TEXT = """\
ctdb-eventd-install put another event daemon in the place of CTDB's own, which is kept beside it.
Run `ctdb-eventd-install` again after each upgrade of CTDB, `ctdb-eventd-install --remove` to go back.
"""


class Record(abc.ABC):
    """One way to record the installation. Each change is atomic.

    Attributes:
        upgrades_go_aside: An upgrade of CTDB replaces the daemon that is kept, not the one in place.
        making: Describes `make`, in the imperative.
        undoing: Describes `undo`, in the imperative.
        undo_command: The shell command for `undo`.
    """

    upgrades_go_aside: bool
    making: str
    undoing: str
    undo_command: str

    @abc.abstractmethod
    def exists(self) -> bool:
        """Returns whether the installation is recorded."""

    @abc.abstractmethod
    def make(self) -> None:
        """Records the installation."""

    @abc.abstractmethod
    def undo(self) -> None:
        """Removes the record."""


class MarkerFile(Record):
    """A file beside the daemons, for systems whose package manager knows no diversions."""

    upgrades_go_aside = False

    def __init__(self, places: NodePlaces) -> None:
        """Takes the name from `places`."""
        self._path = places.below(places.marker)
        self.making = f"leave a marker that tells an upgraded CTDB from one without ours: {places.marker}"
        self.undoing = f"remove the marker {places.marker}"
        self.undo_command = f"rm {shlex.quote(places.marker)}"

    def exists(self) -> bool:
        return os.path.lexists(self._path)

    def make(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(_MARKER_TEXT)
        os.chmod(self._path, 0o644)

    def undo(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


class DpkgDiversion(Record):
    """An entry in dpkg's list of diversions.

    Uses --no-rename: otherwise dpkg-divert would rename CTDB's daemon, and the node would have none until ours is in
    place.
    """

    upgrades_go_aside = True

    def __init__(self, places: NodePlaces, package: str | None) -> None:
        """`package` is the Debian package that this program belongs to; None if it wasn't installed by one."""
        self._places = places
        self._owner = ["--package", package] if package else ["--local"]
        self.making = f"have dpkg install CTDB's daemon there from now on (dpkg-divert --add {places.helper})"
        self.undoing = f"have dpkg install CTDB's daemon in its own place again (dpkg-divert --remove {places.helper})"
        self.undo_command = f"dpkg-divert --remove --no-rename {shlex.quote(places.helper)}"

    def exists(self) -> bool:
        """Returns whether there is a diversion to where we keep CTDB's daemon.

        Raises:
            DivertedByOthers: There is one to somewhere else.
        """
        target = self._ask("--truename")
        if target == self._places.helper:
            return False
        if target != self._places.kept:
            raise DivertedByOthers(self._places.helper, target, self._ask("--listpackage"))
        return True

    def make(self) -> None:
        self._divert(*self._owner, "--add", "--no-rename", "--divert", self._places.kept, self._places.helper)

    def undo(self) -> None:
        # with the owner of the diversion, which may be a package or the administrator
        holder = self._ask("--listpackage")
        owner = ["--local"] if holder == "LOCAL" else ["--package", holder]
        self._divert(*owner, "--remove", "--no-rename", self._places.helper)

    def _ask(self, question: str) -> str:
        return self._divert(question, self._places.helper)

    def _divert(self, *arguments: str) -> str:
        command = ["dpkg-divert", "--root", self._places.root, "--quiet", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise OSError(0, run.stderr.strip() or f"dpkg-divert failed with exit status {run.returncode}")
        return run.stdout.strip()


def choose_record(places: NodePlaces, package: str | None) -> Record:
    """Chooses dpkg if CTDB's daemon belongs to a Debian package, else the marker file.

    That dpkg is installed is not enough: other systems have it too, as a tool.
    """
    if shutil.which("dpkg-divert") is None or not _dpkg_knows(places):
        return MarkerFile(places)
    return DpkgDiversion(places, package)


def _dpkg_knows(places: NodePlaces) -> bool:
    database = places.below("/var/lib/dpkg")
    command = ["dpkg-query", "--admindir", database, "--search", places.helper]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
