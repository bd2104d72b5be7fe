"""One file of a node, looked at: where its links lead, whether it can be executed.

Pure reading: nothing is logged, changed or executed. Knows nothing of components. Paths are the node's, whose files
may stand below another root than ours.
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
"""As many as the kernel follows."""
_FIRST_LINE = 256
"""Bytes of a script's first line that the kernel looks at (BINPRM_BUF_SIZE)."""
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
    """What a remark on a script is about."""

    UNSAFE = "unsafe"
    """Others than root could change what root runs."""
    NO_INTERPRETER = "no interpreter line"
    NO_SUCH_INTERPRETER = "no such interpreter"
    ONLY_HERE = "runs only here"
    """CTDB's own daemon wants `.script` at the end of the name."""
    DANGLING = "dangling link"
    """Events pass over it, as if it were disabled on purpose."""
    BROKEN = "broken"
    """What its name leads to can't be looked at, so every event fails."""
    UNREADABLE = "unreadable"
    """By whoever looks; root may fare better."""


@attrs.frozen(kw_only=True)
class Remark:
    """Something that the administrator should know of a script."""

    concern: Concern
    """What it is about."""
    place: str
    """The file or directory that has the fault."""
    text: str
    """A sentence for people that goes behind the script's path."""

    def __str__(self) -> str:
        return self.text


@attrs.frozen(kw_only=True)
class Tree:
    """The files of a node: ours, or those below a directory that stands for a node's root."""

    root: str = "/"
    """`/`, or that directory."""

    def below(self, path: str) -> str:
        """Returns where a path of the node is for us. Relative paths make sense in our own tree only."""
        return path if self.root == "/" else os.path.join(self.root, path.lstrip("/"))

    def resolve(self, path: str) -> str:
        """Follows every link in a path, without leaving the root; both paths are the node's.

        What isn't there is no error. Where links go round in circles the result is a link still.
        """
        return os.path.realpath(path) if self.root == "/" else self._resolve_inside(path)

    def status(self, path: str) -> os.stat_result:
        """Returns the status of what a path leads to.

        Raises:
            OSError: As stat(2).
        """
        if self.root == "/":
            return os.stat(path)
        real = self._resolve_inside(path)
        if self.target(real) is not None:  # the kernel must not follow it, it could lead out of the root
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return os.stat(self.below(real))

    def target(self, path: str) -> str | None:
        """Returns what a link says, None for what is none."""
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
    """Reads a file's first line as the kernel does: the interpreter and its one option, empty if there is none.

    A carriage return is part of the name, so that a script with Windows line ends has an interpreter that isn't there.
    """
    if not line.startswith(b"#!"):
        return "", ""
    words = os.fsdecode(line[2:]).strip(" \t\n").replace("\t", " ").partition(" ")
    return words[0], words[2].strip(" ")


def why_disabled(tree: Tree, path: str) -> str | None:
    """Returns why a script would be passed over, None if it would not: the rules are those of `Script.look`."""
    try:
        mode = tree.status(path).st_mode
    except FileNotFoundError:
        return "vanished" if tree.target(path) is None else f"dangling link to {tree.resolve(path)}"
    except OSError:
        return None  # it is not passed over, it fails: see `why_broken`
    if not stat.S_ISREG(mode):
        return f"not a regular file but {_KINDS.get(stat.S_IFMT(mode), 'something else')}"
    return None if mode & stat.S_IXUSR else f"not executable by its owner (mode {stat.S_IMODE(mode):04o})"


def why_broken(tree: Tree, path: str) -> Remark | None:
    """Returns what is wrong with a script whose file isn't there, or can't be looked at; None if nothing is."""
    link = tree.target(path)
    try:
        tree.status(path)
        return None
    except FileNotFoundError:
        if link is None:
            return None  # it has just vanished
        text = "events pass over it; remove the link, or install what it leads to"
        return Remark(concern=Concern.DANGLING, place=path, text=text)
    except OSError as error:
        if link is None:
            text = f"can't be looked at ({error.strerror})"
        elif error.errno == errno.ELOOP:
            text = f"link to {link} that leads round in a circle, or over more than {MOST_LINKS} links; remove it"
        else:
            text = f"link to {link}, which can't be followed ({error.strerror}); remove it, or correct where it leads"
        return Remark(concern=Concern.BROKEN, place=path, text=f"every event fails: {text}")


def why_no_program(tree: Tree, path: str) -> Remark | None:
    """Returns what keeps the kernel from executing a regular file that has the permission; None if nothing does.

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
        text = "is no program, its first line names no interpreter (such as #!/bin/sh)"
        return Remark(concern=Concern.NO_INTERPRETER, place=path, text=text)
    fault = _interpreters_fault(tree, interpreter)
    text = f"its interpreter {shown(interpreter)} {fault}"
    return Remark(concern=Concern.NO_SUCH_INTERPRETER, place=path, text=text) if fault else None


def _interpreters_fault(tree: Tree, interpreter: str) -> str | None:
    if not interpreter.startswith("/"):
        return "is no absolute path"
    try:
        mode = tree.status(interpreter).st_mode
    except OSError:
        return "does not exist"
    return None if stat.S_ISREG(mode) and mode & _ANY_EXECUTES else "is no executable file"
