"""Whether other users than root could change what root runs: the file, links to it, and all parent directories.

Read-only. A path is checked as the kernel resolves it, from `/` downwards. If a directory passes the check, only
trusted users can replace its entries: so nothing that was checked can be replaced later, and the script may be executed
by its path. That is necessary: CTDB's scripts find their files by the directory of `$0`.
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


@attrs.frozen(kw_only=True, repr=False)
class Trusted:
    """Users and groups that may change scripts."""

    users: frozenset[int] = frozenset({0})
    """Allowed owners of files; root is 0."""
    groups: frozenset[int] = frozenset({0})
    """Groups that may have write permission."""

    @classmethod
    def by_us(cls) -> Trusted:
        """Returns the users that a daemon run by this user trusts: root and this user.

        If this user is not root, its group too: on most systems it is the user's own, and the umask allows it to write.
        """
        user = os.geteuid()
        return cls(users=frozenset({0, user}), groups=frozenset({0, os.getegid()} if user else {0}))


@attrs.frozen(kw_only=True, repr=False)
class Unsafe:
    """How other users could change a file, link or directory, or why its mode is refused."""

    place: str
    """Its path."""
    owner: int | None
    """Its owner, if that user is not trusted."""
    group: bool
    """Whether its group may write."""
    everybody: bool
    """Whether every user may write."""
    set_id: bool = False
    """Whether it is a file with the set-user-ID or set-group-ID bit."""

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
        """The command that corrects it."""
        # chown clears the set-user-ID bit, but not the other bits
        commands = [] if self.owner is None else ["chown -h root:"]
        if self.group or self.everybody:
            commands.append("chmod go-w")
        if self.set_id:
            commands.append("chmod u-s,g-s")
        return " && ".join(f"{command} {quote(self.place)}" for command in commands)

    @property
    def sentence(self) -> str:
        """The problem, and the command that corrects it."""
        return f"{self.place} is {self}; {self.remedy}"


class Ways:
    """Checks several paths at one time: shared directories are read once."""

    def __init__(self, trusted: Trusted | None = None, tree: Tree | None = None) -> None:
        """Starts with an empty cache.

        Args:
            trusted: Who may change scripts; None for those that a daemon run by this user trusts.
            tree: Where the files are; None for this machine's.
        """
        self._trusted = trusted or Trusted.by_us()
        self._tree = tree or Tree()
        self._seen: dict[str, tuple[Unsafe | None, str | None]] = {}
        self._plain: dict[str, bool] = {}

    def flaw(self, path: str) -> Unsafe | None:
        """Returns the first problem on the way to a file; None if there is none."""
        directory = path.rpartition("/")[0]
        if directory not in self._plain:
            self._plain[directory] = self._is_plain(directory)
        if self._plain[directory]:
            flaw, target = self._known(path)
            if target is None:
                return flaw
        return next(self.flaws(path), None)

    def _is_plain(self, directory: str) -> bool:
        """Returns whether a path has no links, and no problems."""
        if not directory.startswith("/") or any(name in ("", ".", "..") for name in directory.split("/")[1:]):
            return False
        places = [directory[:end] for end in range(1, len(directory) + 1) if directory[end : end + 1] in ("", "/")]
        return all(self._known(place) == (None, None) for place in ("/", *places))

    def flaws(self, path: str) -> Iterator[Unsafe]:
        """Yields all problems on the way to a file, from `/` downwards, the file last.

        Stops at the first name that doesn't exist, and after as many links as the kernel follows.
        """
        if not path.startswith("/"):
            try:
                path = f"{os.getcwd()}/{path}"
            except FileNotFoundError:
                return  # the working directory was removed, so the file doesn't exist
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
        """Returns the problem of a path, and its target if it is a link."""
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
    # In a sticky directory (/tmp) users can rename or remove only their own files. A link's mode has no meaning, and
    # data that is written to a device or a pipe doesn't stay there.
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
    """Returns whether the file has an access control list: then the group's permissions may be other users'."""
    try:
        return bool(os.getxattr(path, _ACL, follow_symlinks=False))
    except OSError:
        return False
