"""Paths of CTDB's programs and files on a node, or in an image of one (--root).

Paths are as the node sees them; `below` converts them to paths of this system. Changes nothing.
"""

from __future__ import annotations

import os

import attrs

from ctdb_eventd import places
from ctdb_eventd.files import Tree
from ctdb_eventd.paths import Paths
from ctdb_eventd.places import HELPER_DIRS
from ctdb_eventd_install.problems import NoEventDaemon, SeveralHelperDirectories
from ctdb_eventd_install.running import output_of

__all__ = ["HELPER_DIRS", "KEPT_SUFFIX", "NodePlaces", "find_places"]

KEPT_SUFFIX = ".ctdb"
_VERSION_SECONDS = 10


@attrs.frozen(kw_only=True)
class NodePlaces:
    """The paths of one node."""

    root: str
    """`/`, or the root directory of the image."""
    helper_dir: str
    """CTDB's directory of helper programs."""
    node: Paths = attrs.field(factory=lambda: Paths({}), eq=False, repr=False)
    """CTDB's configuration, scripts and sockets, as reported by CTDB; the built-in paths for an image."""

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
        """A temporary file that is to be renamed; exists only while the installer runs, or after it was killed."""
        return self.helper + ".new"

    @property
    def lock(self) -> str:
        """A file that the installer locks; exists only while it runs, or after it was killed."""
        return self.helper + ".lock"

    @property
    def marker(self) -> str:
        """The marker file, which records the installation on systems without dpkg."""
        return self.helper + ".installed"

    @property
    def tree(self) -> Tree:
        """The node's files."""
        return Tree(root=self.root)

    def below(self, path: str) -> str:
        """Converts a path of the node to a path of this system."""
        return self.tree.below(path)

    def ctdb_version(self) -> str | None:
        """Returns CTDB's version, as its tool reports it without a running daemon; None if it is unknown."""
        for directory in ("/usr/bin", "/usr/local/bin"):
            tool = self.below(f"{directory}/ctdb")
            if os.access(tool, os.X_OK):
                done = output_of(_VERSION_SECONDS, tool, "version")
                return None if done is None or done.returncode else done.stdout.strip().partition("\n")[0] or None
        return None

    def has_ctdbd(self) -> bool:
        """Returns whether a ctdbd that needs an event daemon is in a usual directory, or near the helpers."""
        prefixes = {"/usr", "/usr/local"}
        place = self.helper_dir
        while place != "/":
            place = os.path.dirname(place)
            prefixes.add(place)
        return any(os.path.exists(self.below(os.path.join(prefix, "sbin/ctdbd"))) for prefix in prefixes)


def find_places(root: str, helper_dir: str | None = None) -> NodePlaces:
    """Finds CTDB's helper directory, and asks the helper program `ctdb-path` there for CTDB's other paths.

    Programs of an image are not run: they may be for another architecture, and are not trusted.

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
