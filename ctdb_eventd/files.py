"""Examines one file of a node: where its links lead, whether it can be executed.

Read-only: nothing is logged, changed or executed. Doesn't know components. Paths are those on the node, whose root may
be a directory on this machine.
"""

from __future__ import annotations

import enum
import errno
import os
import stat

import attrs

from ctdb_eventd.text import shown

__all__ = [
    "MOST_LINKS",
    "Concern",
    "Remark",
    "Tree",
    "shebang",
    "why_broken",
    "why_disabled",
    "why_no_program",
]

MOST_LINKS = 40
"""The kernel's limit."""
_FIRST_LINE = 256
"""Bytes of a script's first line that the kernel reads (BINPRM_BUF_SIZE)."""
_MACHINE_CODE = b"\x7fELF"
_ANY_EXECUTES = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Concern(enum.Enum):
    """The kind of a remark on a script."""

    UNSAFE = "unsafe"
    """Other users than root could change what root runs."""
    NO_INTERPRETER = "no interpreter line"
    NO_SUCH_INTERPRETER = "no such interpreter"
    ONLY_HERE = "runs only here"
    """CTDB's own daemon requires `.script` at the end of the name."""
    DANGLING = "dangling link"
    """Events skip it, as if it were disabled on purpose."""
    BROKEN = "broken"
    """stat(2) fails for it, so every event fails."""
    UNREADABLE = "unreadable"
    """By the current user; root may be able to read it."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Remark:
    """A remark on a script for the administrator."""

    concern: Concern
    """Its kind."""
    place: str
    """The file or directory that has the fault."""
    text: str
    """A sentence that is shown after the script's path."""

    def __str__(self) -> str:
        return self.text


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Tree:
    """The files of a node: this machine's, or those below a directory that is the node's root."""

    root: str = "/"
    """`/`, or that directory."""

    def below(self, path: str) -> str:
        """Converts a path on the node to a path on this machine. Relative paths are for this machine's tree only."""
        return path if self.root == "/" else os.path.join(self.root, path.lstrip("/"))

    def resolve(self, path: str) -> str:
        """Follows all links in a path, without leaving the root; both paths are those on the node.

        Missing files are no error. If links form a loop, the result is still a link.
        """
        return os.path.realpath(path) if self.root == "/" else self._resolve_inside(path)

    def status(self, path: str) -> os.stat_result:
        """Returns the status of the file that a path leads to.

        Raises:
            OSError: As stat(2).
        """
        if self.root == "/":
            return os.stat(path)
        real = self._resolve_inside(path)
        if self.target(real) is not None:  # the kernel must not follow it: it could lead out of the root
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return os.stat(self.below(real))

    def target(self, path: str) -> str | None:
        """Returns a link's target, None if the path is not a link."""
        try:
            return os.readlink(self.below(path))
        except OSError:
            return None

    def _resolve_inside(self, path: str) -> str:
        done = "/"
        rest = path.split("/")[::-1]
        links = 0
        while rest:
            name = rest.pop()
            here = os.path.normpath(os.path.join(done, name))
            target = None if name in ("", ".", "..") else self.target(here)
            if target is None:
                done = here
                continue
            links += 1
            if links > MOST_LINKS:
                return here
            done = "/" if target.startswith("/") else done
            rest.extend(target.split("/")[::-1])
        return done


def shebang(line: bytes) -> tuple[str, str]:
    """Parses a file's first line as the kernel does; returns interpreter and its one option, empty if there is none.

    A carriage return is part of the name: a script with Windows line ends has an interpreter that doesn't exist.
    """
    if not line.startswith(b"#!"):
        return "", ""
    words = os.fsdecode(line[2:]).strip(" \t\n").replace("\t", " ").partition(" ")
    return words[0], words[2].strip(" ")


def why_disabled(tree: Tree, path: str) -> str | None:
    """Returns why events skip a script, None if they don't: the rules are those of `Script.look`."""
    try:
        mode = tree.status(path).st_mode
    except FileNotFoundError:
        return "vanished" if tree.target(path) is None else f"dangling link to {tree.resolve(path)}"
    except OSError:
        return None  # events don't skip it, they fail: see `why_broken`
    if not stat.S_ISREG(mode):
        return f"not a regular file but {_KINDS.get(stat.S_IFMT(mode), 'something else')}"
    return None if mode & stat.S_IXUSR else f"not executable by its owner (mode {stat.S_IMODE(mode):04o})"


def why_broken(tree: Tree, path: str) -> Remark | None:
    """Returns a remark on a script whose file is missing or whose status can't be read; None if there is no problem."""
    link = tree.target(path)
    try:
        tree.status(path)
        return None
    except FileNotFoundError:
        if link is None:
            return None  # it has just vanished
        text = "events skip it; remove the link, or install what it leads to"
        return Remark(concern=Concern.DANGLING, place=path, text=text)
    except OSError as error:
        if link is None:
            text = f"can't be examined ({error.strerror})"
        elif error.errno == errno.ELOOP:
            text = f"link to {link} that is part of a loop, or of a chain of more than {MOST_LINKS}; remove it"
        else:
            text = f"link to {link}, which can't be followed ({error.strerror}); remove it, or correct where it leads"
        return Remark(concern=Concern.BROKEN, place=path, text=f"every event fails: {text}")


def why_no_program(tree: Tree, path: str) -> Remark | None:
    """Returns why the kernel can't execute a regular file that has the permission; None if it can.

    Args:
        tree: Where the file is.
        path: The file itself, not a link.
    """
    try:
        with open(tree.below(path), "rb") as file:
            head = file.readline(_FIRST_LINE)
    except OSError as error:
        return Remark(concern=Concern.UNREADABLE, place=path, text=f"can't be read ({error.strerror})")
    if head.startswith(_MACHINE_CODE):
        return None
    interpreter, _ = shebang(head)
    if not interpreter:
        text = "is not a program, its first line does not name an interpreter (such as #!/bin/sh)"
        return Remark(concern=Concern.NO_INTERPRETER, place=path, text=text)
    fault = _interpreters_fault(tree, interpreter)
    text = f"its interpreter {shown(interpreter)} {fault}"
    return Remark(concern=Concern.NO_SUCH_INTERPRETER, place=path, text=text) if fault else None


def _interpreters_fault(tree: Tree, interpreter: str) -> str | None:
    if not interpreter.startswith("/"):
        return "is not an absolute path"
    try:
        mode = tree.status(interpreter).st_mode
    except OSError:
        return "does not exist"
    return None if stat.S_ISREG(mode) and mode & _ANY_EXECUTES else "is not an executable file"
