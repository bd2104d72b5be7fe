"""Event scripts on disk: which there are, in which order, who is enabled, and enabling and disabling them.

The daemon and the command line share this module (the latter works without a daemon), so it imports next to
nothing and logs nothing: what deserves a warning is returned.
"""

from __future__ import annotations

import os
import stat

from ctdb_eventd.errors import InvalidName, NoSuchComponent, NoSuchScript, NotAFile
from ctdb_eventd.names import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    NameRule = Literal["auto", "both", "suffix", "bare"]
    NameForm = Literal["both", "suffix", "bare"]

__all__ = [
    "LOCKS_MARK",
    "NAME_RULES",
    "Listing",
    "Script",
    "component_directory",
    "declared_locks",
    "disable",
    "discover",
    "enable",
    "find",
    "form_of",
    "head_words",
    "is_lock_name",
    "shown_name",
]

NAME_RULES = ("auto", "both", "suffix", "bare")
"""Which file names are scripts: `NN.name.script` (suffix, what CTDB runs since 4.9), `NN.name` (bare), or both.

With `auto` each directory decides: where there are names of the first form only those are scripts, for what stands
beside them in the second form is most often a copy; else those of the second form are.
"""

_SUFFIX = ".script"
_OWNER_EXECUTES = stat.S_IXUSR
_ALL_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


LOCKS_MARK = "# ctdb-eventd-locks:"
"""Starts the line in a script's head that names the locks it needs while it runs, separated by blanks."""
_HEAD_SIZE = 4096
_LOCK_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class Script:
    """One event script of a component.

    Attributes:
        name: As shown to people and given to the script as argv[0]: the file name without `.script`.
        path: The file.
        bare: The file's name has no `.script`, so CTDB's own daemon would not run it.
    """

    __slots__ = ("bare", "name", "path")

    def __init__(self, name: str, path: str, bare: bool) -> None:
        self.name = name
        self.path = path
        self.bare = bare

    def __repr__(self) -> str:
        return f"Script({self.path!r})"

    def enabled(self) -> bool:
        """Tells whether its events depend on it: a regular file (a link's target counts) that its owner may execute.

        A dangling link and a file that has just vanished are disabled. A link in a circle is not: see `look`.
        """
        try:
            return self.look() is not None
        except OSError:
            return True

    def look(self) -> os.stat_result | None:
        """Returns the file's status if the script is enabled, None if it is not.

        Raises:
            OSError: What is there can't be looked at (a link in a circle, or through a file), though the name isn't
                one that leads to nothing. It can't run, and its events fail, as they do under CTDB's own daemon.
        """
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        mode = status.st_mode
        return status if mode & _OWNER_EXECUTES and stat.S_ISREG(mode) else None


class Listing:
    """The scripts of a component, in the order in which they run.

    Attributes:
        scripts: Each shown name once.
        shadowed: Paths of bare-named files that another file with the same shown name and `.script` hides.
        left_out: Other files with bare names that are no scripts since there are names with `.script`: see `auto`.
    """

    __slots__ = ("left_out", "scripts", "shadowed")

    def __init__(self, scripts: list[Script], shadowed: list[str], left_out: list[Script]) -> None:
        self.scripts = scripts
        self.shadowed = shadowed
        self.left_out = left_out


def form_of(file_names: Iterable[str], rule: NameRule) -> NameForm:
    """Returns which names are scripts in a directory that has these files."""
    if rule != "auto":
        return rule
    return "suffix" if any(shown_name(name, "suffix") is not None for name in file_names) else "bare"


def shown_name(file_name: str, form: NameForm = "both") -> str | None:
    """Returns the name under which a file is shown and run, None if it is no script.

    Two digits and a dot come first. With `.script` at the end anything may stand between. Without it there may be no
    further dot (package managers leave such copies) and no `~` at the end (editors do).
    """
    if len(file_name) < 4 or not (file_name[:2].isascii() and file_name[:2].isdigit() and file_name[2] == "."):
        return None
    if file_name.endswith(_SUFFIX, 3):
        return file_name[: -len(_SUFFIX)] if form != "bare" else None
    if form == "suffix" or "." in file_name[3:] or file_name.endswith("~"):
        return None
    return file_name


def is_lock_name(name: str) -> bool:
    """Tells whether a lock can have that name: ASCII letters, digits, dots, dashes and underscores."""
    return bool(name) and _LOCK_NAME_CHARACTERS.issuperset(name)


def declared_locks(path: str) -> list[str]:
    """Returns the names that a script's head declares as locks, good or not: see `is_lock_name`."""
    return head_words(path, LOCKS_MARK) or []


def head_words(path: str, mark: str) -> list[str] | None:
    """Returns the words behind `mark` on the lines of a script's head that start with it; None if no line does.

    The head is the first 4 KiB. A file that can't be read has no such line.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_SIZE)
    except OSError:
        return None
    lines = [line for line in head.decode("utf-8", "replace").split("\n") if line.startswith(mark)]
    return [word for line in lines for word in line[len(mark) :].split()] if lines else None


def component_directory(events_dir: str, component: str) -> str:
    """Returns a component's directory, without asking whether it exists.

    Raises:
        InvalidName: The component's name could leave the scripts directory.
    """
    check_name("component", component)
    return f"{events_dir}/{component}"


def discover(directory: str, component: str, rule: NameRule = "auto") -> Listing:
    """Lists the scripts of a component's directory, in byte order of their file names. Reads the directory afresh.

    Raises:
        NoSuchComponent: There is no such directory.
        OSError: The directory can't be read.
    """
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchComponent(component, directory) from None
    if not names:
        return Listing([], [], [])
    return _listing(directory, sorted(names, key=os.fsencode), rule)


def _listing(directory: str, file_names: Sequence[str], rule: NameRule) -> Listing:
    by_name: dict[str, Script] = {}
    shadowed: list[str] = []
    form = form_of(file_names, rule)
    # `NN.name` sorts before `NN.name.script`, so the one that wins always comes second
    for file_name in file_names:
        name = shown_name(file_name, "both" if rule == "auto" else form)
        if name is None:
            continue
        hidden = by_name.pop(name, None)
        if hidden is not None:
            shadowed.append(hidden.path)
        by_name[name] = Script(name, f"{directory}/{file_name}", bare=name == file_name)
    found = list(by_name.values())
    if form == "suffix":
        return Listing([s for s in found if not s.bare], shadowed, [s for s in found if s.bare])
    return Listing(found, shadowed, [])


def find(directory: str, name: str, rule: NameRule = "auto") -> Script | None:
    """Finds the script with a shown name, a dangling link too; None if there is none."""
    for file_name, bare in ((name + _SUFFIX, False), (name, True)):
        path = f"{directory}/{file_name}"
        if os.path.lexists(path) and shown_name(file_name, _form_here(directory, rule)) == name:
            return Script(name, path, bare)
    return None


def _form_here(directory: str, rule: NameRule) -> NameForm:
    try:
        return form_of(os.listdir(directory) if rule == "auto" else (), rule)
    except (FileNotFoundError, NotADirectoryError):
        return "bare"


def _would_count(directory: str, provided: Script, rule: NameRule) -> bool:
    """Tells whether a link with the name of a provided script would be a script."""
    return not provided.bare or _form_here(directory, rule) != "suffix"


def _check_script_name(name: str) -> None:
    check_name("script", name)
    if shown_name(name + _SUFFIX) != name:
        raise InvalidName("script", name, "it does not start with two digits and a dot")


def enable(events_dir: str, provided_dir: str, component: str, name: str, rule: NameRule = "auto") -> None:
    """Enables a script: sets a file's execute bits, or links to the provided script of that name.

    A link that is there already is left as it is, wherever it points.

    Raises:
        InvalidName: The component's or the script's name is no such name.
        NoSuchScript: Neither the component nor the package has such a script.
        NotAFile: A directory or the like has the script's name.
        OSError: The file system refused; FileNotFoundError if the component has no directory to link in.
    """
    directory = component_directory(events_dir, component)
    _check_script_name(name)
    script = find(directory, name, rule)
    if script is not None:
        _set_executable(script.path, True)
        return
    provided = find(f"{provided_dir}/{component}", name, rule)
    if provided is None or not os.path.exists(provided.path) or not _would_count(directory, provided, rule):
        raise NoSuchScript(component, name)
    link = f"{directory}/{os.path.basename(provided.path)}"
    try:
        os.symlink(os.path.realpath(provided.path), link)
    except FileExistsError:
        pass  # it was enabled in the same moment


def disable(events_dir: str, component: str, name: str, rule: NameRule = "auto") -> None:
    """Disables a script: removes a link, or clears a file's execute bits. One that isn't there is disabled already.

    Raises:
        InvalidName: The component's or the script's name is no such name.
        NotAFile: A directory or the like has the script's name.
        OSError: The file system refused.
    """
    directory = component_directory(events_dir, component)
    _check_script_name(name)
    script = find(directory, name, rule)
    if script is None:
        return
    try:
        if os.path.islink(script.path):
            os.unlink(script.path)
        else:
            _set_executable(script.path, False)
    except FileNotFoundError:
        pass  # it was removed in the same moment


def _set_executable(path: str, executable: bool) -> None:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return
    if not stat.S_ISREG(mode):
        raise NotAFile(path)
    mode = stat.S_IMODE(mode)
    os.chmod(path, mode | _ALL_EXECUTE if executable else mode & ~_ALL_EXECUTE)
