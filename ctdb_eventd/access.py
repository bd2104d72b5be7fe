"""Access rules: the lines of `[access]` in ctdb.conf, and the users and groups that they name.

Only the daemon looks names up: other readers of the file may run on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from ctdb_eventd.config_lines import Line
from ctdb_eventd.errors import ConfigError

__all__ = ["Access", "Members", "Rule", "look_up", "unknown_id"]

_HIGHEST_ID = 0xFFFFFFFE
"""The one above means `no change` to the kernel."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Rule:
    """A line of `[access]`."""

    line: Line
    events: str | None
    """What may be operated: `EVENT`, `COMPONENT/EVENT`, `COMPONENT/*`, or everything if it is empty; None is read."""
    names: tuple[str, ...]
    """Users, and groups with an @ in front, by name or number."""


@attrs.frozen(kw_only=True, repr=False)
class Members:
    """Users and groups, by number."""

    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()

    def include(self, uid: int, groups: frozenset[int]) -> bool:
        """Returns whether a user is one of them, or in one of the groups."""
        return uid in self.users or not self.groups.isdisjoint(groups)


@attrs.frozen(kw_only=True, repr=False)
class Access:
    """What users other than root and the daemon's own may do. Without any rule they may do nothing."""

    read: Members = Members()
    operate: Mapping[str, Members] = attrs.field(factory=dict)
    """By what may be operated, see Rule."""

    @property
    def is_open(self) -> bool:
        """Whether any user has a right."""
        return any(members != Members() for members in (self.read, *self.operate.values()))

    def may_read(self, uid: int, groups: frozenset[int]) -> bool:
        """Returns whether a user may read; every user who may operate anything may."""
        return any(members.include(uid, groups) for members in (self.read, *self.operate.values()))

    def may_operate(self, uid: int, groups: frozenset[int], component: str = "", event: str = "") -> bool:
        """Returns whether a user may operate everything, or at least this event."""
        keys = ("", event, f"{component}/*", f"{component}/{event}") if event else ("",)
        return any(key in self.operate and self.operate[key].include(uid, groups) for key in keys)


def look_up(rules: Iterable[Rule]) -> Access:
    """Looks the names up; of several lines for the same the last counts.

    Raises:
        ConfigError: There is no such user or group; it names every such line.
    """
    read, operate = Members(), dict[str, Members]()
    errors: list[ConfigError] = []
    for rule in rules:
        try:
            members = _members(rule)
        except ConfigError as error:
            errors.append(error)
            continue
        if rule.events is None:
            read = members
        else:
            operate[rule.events] = members
    if errors:
        first, *others = errors
        first.others = tuple(map(str, others))
        raise first
    return Access(read=read, operate=operate)


def unknown_id(kind: str) -> int:
    """Returns the overflow `uid` or `gid`, which the kernel reports for ids without a mapping in this namespace."""
    try:
        with open(f"/proc/sys/kernel/overflow{kind}", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 65534


def _members(rule: Rule) -> Members:
    if not rule.names:
        return Members()
    import grp  # late: only who has such lines needs them
    import pwd

    users, groups = set[int](), set[int]()
    for name in rule.names:
        if name.startswith("@"):
            groups.add(_number(rule, "group", "gid", name[1:], lambda text: grp.getgrnam(text).gr_gid))
        else:
            users.add(_number(rule, "user", "uid", name, lambda text: pwd.getpwnam(text).pw_uid))
    return Members(users=frozenset(users), groups=frozenset(groups))


def _number(rule: Rule, kind: str, id_kind: str, name: str, find: Callable[[str], int]) -> int:
    if name.isascii() and name.isdigit():
        number = int(name[:11])
        if number > _HIGHEST_ID:
            raise rule.line.error(f"expected at most {_HIGHEST_ID} as the number of a {kind}: not {name}")
    else:
        try:
            number = find(name)
        except (KeyError, ValueError):
            database = "passwd" if kind == "user" else "group"
            raise rule.line.error(f"there is no {kind} {name} here (getent {database} {name})") from None
    if number == unknown_id(id_kind):
        why = f"represents every {kind} that is unknown here, such as those of other namespaces"
        raise rule.line.error(f"expected a {kind} of its own: {name} ({id_kind} {number}) {why}")
    return number
