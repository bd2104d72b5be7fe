"""Where CTDB's programs and files are on a node, or below a directory that stands for one (--root).

Names are as the node sees them; `below` says where to touch them. Looks, changes nothing.
"""

from __future__ import annotations

import os
import subprocess

import attrs

from ctdb_eventd import places
from ctdb_eventd.files import Tree
from ctdb_eventd.paths import Paths
from ctdb_eventd.places import HELPER_DIRS
from ctdb_eventd_install.problems import NoEventDaemon, SeveralHelperDirectories

__all__ = ["HELPER_DIRS", "KEPT_SUFFIX", "NodePlaces", "find_places"]

KEPT_SUFFIX = ".ctdb"
_VERSION_SECONDS = 10


@attrs.frozen(kw_only=True)
class NodePlaces:
    """One node's places."""

    root: str
    """`/`, or the directory below which everything is."""
    helper_dir: str
    """CTDB's directory of helper programs."""
    node: Paths = attrs.field(factory=lambda: Paths({}), eq=False, repr=False)
    """CTDB's configuration, scripts and sockets, as CTDB says itself; below another root the built-in places."""

    @property
    def helper(self) -> str:
        """The program that ctdbd starts as its event daemon."""
        return os.path.join(self.helper_dir, "ctdb-eventd")

    @property
    def kept(self) -> str:
        """CTDB's own daemon while ours is in its place."""
        return self.helper + KEPT_SUFFIX

    @property
    def new(self) -> str:
        """A file on its way to another name; there only while the installer works, or after it was killed."""
        return self.helper + ".new"

    @property
    def marker(self) -> str:
        """Says that ours is installed, where there is no dpkg to ask."""
        return self.helper + ".installed"

    @property
    def tree(self) -> Tree:
        """The node's files."""
        return Tree(root=self.root)

    def below(self, path: str) -> str:
        """Returns where a path of the node is for us."""
        return self.tree.below(path)

    def ctdb_version(self) -> str | None:
        """Asks CTDB's tool, which needs no running daemon for it; None if it doesn't say."""
        for directory in ("/usr/bin", "/usr/local/bin"):
            tool = self.below(f"{directory}/ctdb")
            if os.access(tool, os.X_OK):
                return _first_line(tool, "version")
        return None

    def has_ctdbd(self) -> bool:
        """Tells whether there is a ctdbd that would miss its event daemon: in a usual place, or beside the helpers."""
        prefixes = {"/usr", "/usr/local"}
        place = self.helper_dir
        while place != "/":
            place = os.path.dirname(place)
            prefixes.add(place)
        return any(os.path.exists(self.below(os.path.join(prefix, "sbin/ctdbd"))) for prefix in prefixes)


def _first_line(*command: str) -> str | None:
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip().partition("\n")[0] or None


def find_places(root: str, helper_dir: str | None = None) -> NodePlaces:
    """Finds CTDB's helper directory, and asks the helper program `ctdb-path` there for CTDB's other places.

    Programs of an image are not started: they may be for another processor, or do anything.

    Raises:
        NoEventDaemon: None of them has an event daemon, neither in place nor kept.
        SeveralHelperDirectories: More than one has.
    """
    root = os.path.realpath(root)
    candidates = (os.path.normpath(os.path.join("/", helper_dir)),) if helper_dir else HELPER_DIRS
    all_places = [NodePlaces(root=root, helper_dir=candidate) for candidate in candidates]
    found = [place for place in all_places if any(os.path.lexists(place.below(p)) for p in (place.helper, place.kept))]
    if not found:
        raise NoEventDaemon(candidates)
    if len(found) > 1:
        raise SeveralHelperDirectories(tuple(place.helper_dir for place in found))
    if root != "/":
        return found[0]
    environ = {name: value for name, value in os.environ.items() if name != "CTDB_TEST_MODE"}
    return attrs.evolve(found[0], node=places.ask(environ, found[0].helper_dir))
