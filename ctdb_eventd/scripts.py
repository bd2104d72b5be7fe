"""Event scripts on disk: lists them in order, tells which are enabled, and enables and disables them.

The daemon and the command line share this module (the latter works without a daemon), so it imports very little and
logs nothing: callers get what deserves a warning as a result.
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

`auto` decides for each directory: if any name ends in `.script`, only such names are scripts, since other files
beside them are usually copies; otherwise the bare names are.
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
        name: As shown to users and passed to the script as argv[0]: the file name without `.script`.
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
        """Returns whether it is enabled: a regular file (a link's target counts) that its owner may execute.

        A dangling link and a file that has just vanished are disabled. A link loop counts as enabled: see `look`.
        """
        try:
            return self.look() is not None
        except OSError:
            return True

    def look(self) -> os.stat_result | None:
        """Returns the file's status if the script is enabled, None if it is not.

        Raises:
            OSError: stat(2) failed for another reason than a missing file (such as a link loop, or a path through a
                file). The script can't run, and its events fail, as they do under CTDB's own daemon.
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
        shadowed: Paths of files with bare names for which a file with the same shown name and `.script` exists.
        left_out: Other files with bare names that aren't scripts, as there are names with `.script`: see `auto`.
    """

    __slots__ = ("left_out", "scripts", "shadowed")

    def __init__(self, scripts: list[Script], shadowed: list[str], left_out: list[Script]) -> None:
        self.scripts = scripts
        self.shadowed = shadowed
        self.left_out = left_out


def form_of(file_names: Iterable[str], rule: NameRule) -> NameForm:
    """Returns which names are scripts in a directory with these files."""
    if rule != "auto":
        return rule
    return "suffix" if any(shown_name(name, "suffix") is not None for name in file_names) else "bare"


def shown_name(file_name: str, form: NameForm = "both") -> str | None:
    """Returns the name under which a file is shown and run, None if it is not a script.

    A name starts with two digits and a dot. If it ends in `.script`, anything may be between. Otherwise it must not
    have another dot (package managers name copies so) or end in `~` (editors do).
    """
    if len(file_name) < 4 or not (file_name[:2].isascii() and file_name[:2].isdigit() and file_name[2] == "."):
        return None
    if file_name.endswith(_SUFFIX, 3):
        return file_name[: -len(_SUFFIX)] if form != "bare" else None
    if form == "suffix" or "." in file_name[3:] or file_name.endswith("~"):
        return None
    return file_name


def is_lock_name(name: str) -> bool:
    """Returns whether a name is valid for a lock: ASCII letters, digits, dots, dashes and underscores."""
    return bool(name) and _LOCK_NAME_CHARACTERS.issuperset(name)


def declared_locks(path: str) -> list[str]:
    """Returns the names that a script's head declares as locks, valid or not: see `is_lock_name`."""
    return head_words(path, LOCKS_MARK) or []


def head_words(path: str, mark: str) -> list[str] | None:
    """Returns the words after `mark` on the lines of a script's head that start with it; None if no line does.

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
    """Returns the path of a component's directory; doesn't check that it exists.

    Raises:
        InvalidName: The component's name could lead out of the scripts directory.
    """
    check_name("component", component)
    return f"{events_dir}/{component}"


def discover(directory: str, component: str, rule: NameRule = "auto") -> Listing:
    """Lists the scripts of a component's directory, in byte order of their file names. Reads the directory each time.

    Raises:
        NoSuchComponent: The directory doesn't exist.
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
    # `NN.name` sorts before `NN.name.script`, so the one that takes precedence always comes second
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
    """Finds the script with a shown name, also if it is a dangling link; None if there is none."""
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
    """Returns whether a link with the name of a provided script would be a script."""
    return not provided.bare or _form_here(directory, rule) != "suffix"


def _check_script_name(name: str) -> None:
    check_name("script", name)
    if shown_name(name + _SUFFIX) != name:
        raise InvalidName("script", name, "it does not start with two digits and a dot")


def enable(events_dir: str, provided_dir: str, component: str, name: str, rule: NameRule = "auto") -> None:
    """Enables a script: sets a file's execute bits, or links to the provided script of that name.

    An existing link is left as it is, wherever it points.

    Raises:
        InvalidName: The name of the component or of the script is invalid.
        NoSuchScript: Neither the component nor the package has such a script.
        NotAFile: Something else than a file, such as a directory, has the script's name.
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
        pass  # another process enabled it at the same time


def disable(events_dir: str, component: str, name: str, rule: NameRule = "auto") -> None:
    """Disables a script: removes a link, or clears a file's execute bits. A missing script is disabled already.

    Raises:
        InvalidName: The name of the component or of the script is invalid.
        NotAFile: Something else than a file, such as a directory, has the script's name.
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
        pass  # another process removed it at the same time


def _set_executable(path: str, executable: bool) -> None:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return
    if not stat.S_ISREG(mode):
        raise NotAFile(path)
    mode = stat.S_IMODE(mode)
    os.chmod(path, mode | _ALL_EXECUTE if executable else mode & ~_ALL_EXECUTE)
