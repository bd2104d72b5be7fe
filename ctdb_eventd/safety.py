"""Who else than root could change what root runs: the file, the links to it, and every directory on the way.

Pure reading. A path is judged as the kernel walks it, from `/` downwards. In a directory that passes, nobody who isn't
trusted can replace what passes: so nothing that was looked at can be swapped afterwards, and the path itself may be
executed. Scripts must be: CTDB's find their files by the directory of `$0`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from shlex import quote

import attrs

from ctdb_eventd.files import MOST_LINKS, Tree

__all__ = ["Trusted", "Unsafe", "Ways"]

_SET_ID = stat.S_ISUID | stat.S_ISGID
_ACL = "system.posix_acl_access"


@attrs.frozen(kw_only=True)
class Trusted:
    """Who may change what is run, so that it is no news."""

    users: frozenset[int] = frozenset({0})
    """Owners of files; root is 0."""
    groups: frozenset[int] = frozenset({0})
    """Groups that may write."""

    @classmethod
    def by_us(cls) -> Trusted:
        """Returns the users that a daemon of ours trusts: root and our own.

        Unless we are root, our group too: that is the user's own on most systems, whose umask lets it write.
        """
        user = os.geteuid()
        return cls(users=frozenset({0, user}), groups=frozenset({0, os.getegid()} if user else {0}))


@attrs.frozen(kw_only=True)
class Unsafe:
    """How others could change a file, link or directory, or why its mode is refused."""

    place: str
    """Its path."""
    owner: int | None
    """Its owner, if that user isn't trusted."""
    group: bool
    """Its group may write."""
    everybody: bool
    """Every user may write."""
    set_id: bool = False
    """It is a file with the set-user-ID or set-group-ID bit."""

    def __str__(self) -> str:
        reasons = [f"owned by user {self.owner}, not root"] if self.owner is not None else []
        writers = [who for who, may in (("its group", self.group), ("everybody", self.everybody)) if may]
        if writers:
            reasons.append(f"writable by {' and '.join(writers)}")
        if self.set_id:
            reasons.append("set-user-ID or set-group-ID")
        return ", ".join(reasons)

    @property
    def remedy(self) -> str:
        """The command that mends it."""
        # a change of the owner clears the set-user-ID bit, and not the others
        commands = [] if self.owner is None else ["chown -h root:"]
        if self.group or self.everybody:
            commands.append("chmod go-w")
        if self.set_id:
            commands.append("chmod u-s,g-s")
        return " && ".join(f"{command} {quote(self.place)}" for command in commands)

    @property
    def sentence(self) -> str:
        """What is wrong, and the command that mends it."""
        return f"{self.place} is {self}; {self.remedy}"


class Ways:
    """Judges paths in one moment: what several of them lead through is looked at once."""

    def __init__(self, trusted: Trusted | None = None, tree: Tree | None = None) -> None:
        """Starts without having looked at anything.

        Args:
            trusted: Who may change things; None is whom a daemon trusts that we run.
            tree: Where the files are; None is our own tree.
        """
        self._trusted = trusted or Trusted.by_us()
        self._tree = tree or Tree()
        self._seen: dict[str, tuple[Unsafe | None, str | None]] = {}
        self._plain: dict[str, bool] = {}

    def flaw(self, path: str) -> Unsafe | None:
        """Returns the first that others could change on the way to a file; None if there is nothing."""
        directory = path.rpartition("/")[0]
        if directory not in self._plain:
            self._plain[directory] = self._is_plain(directory)
        if self._plain[directory]:
            flaw, target = self._known(path)
            if target is None:
                return flaw
        return next(self.flaws(path), None)

    def _is_plain(self, directory: str) -> bool:
        """Tells whether a path leads through no link, and through nothing that others could change."""
        if not directory.startswith("/") or any(name in ("", ".", "..") for name in directory.split("/")[1:]):
            return False
        places = [directory[:end] for end in range(1, len(directory) + 1) if directory[end : end + 1] in ("", "/")]
        return all(self._known(place) == (None, None) for place in ("/", *places))

    def flaws(self, path: str) -> Iterator[Unsafe]:
        """Yields everything that others could change on the way to a file, from `/` downwards, the file last.

        The way ends where there is nothing, and after as many links as the kernel follows.
        """
        if not path.startswith("/"):
            try:
                path = f"{os.getcwd()}/{path}"
            except FileNotFoundError:
                return  # the working directory was removed, so there is nothing
        rest = path.split("/")[::-1]
        done = ""
        links = 0
        while rest:
            name = rest.pop()
            if name == ".":
                continue
            if name == "..":
                done = done.rpartition("/")[0]
                continue
            place = f"{done}/{name}" if name else done or "/"
            flaw, target = self._known(place)
            if flaw is not None:
                yield flaw
            if target is None:
                done = place if name else done
                continue
            links += 1
            if links > MOST_LINKS:
                return
            if target.startswith("/"):
                done = ""
            rest.extend(reversed(target.split("/")))

    def _known(self, place: str) -> tuple[Unsafe | None, str | None]:
        known = self._seen.get(place)
        if known is None:
            known = self._seen[place] = self._look(place)
        return known

    def _look(self, place: str) -> tuple[Unsafe | None, str | None]:
        """Returns what is wrong with a place, and where it leads if it is a link."""
        path = self._tree.below(place)
        try:
            status = os.lstat(path)
            target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
        except OSError:
            return None, None
        return _judge(place, path, status, self._trusted), target


def _judge(place: str, path: str, status: os.stat_result, trusted: Trusted) -> Unsafe | None:
    mode = status.st_mode
    is_file = stat.S_ISREG(mode)
    # In a sticky directory (/tmp) users can rename or remove only their own files. A link's mode means nothing, and
    # what is written to a device or a pipe doesn't stay.
    writers = mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not is_file and not (stat.S_ISDIR(mode) and not mode & stat.S_ISVTX):
        writers = 0
    owner = None if status.st_uid in trusted.users else status.st_uid
    set_id = bool(is_file and mode & _SET_ID)
    group = bool(writers & stat.S_IWGRP and (status.st_gid not in trusted.groups or _has_acl(path)))
    everybody = bool(writers & stat.S_IWOTH)
    if owner is None and not (group or everybody or set_id):
        return None
    return Unsafe(place=place, owner=owner, group=group, everybody=everybody, set_id=set_id)


def _has_acl(path: str) -> bool:
    """Tells whether the group's permissions may be those of whomever an access control list names."""
    try:
        return bool(os.getxattr(path, _ACL, follow_symlinks=False))
    except OSError:
        return False
