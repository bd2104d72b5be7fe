"""Section `[access]`: its lines, the names in them, and what they allow."""

from __future__ import annotations

import grp
import pwd

import pytest

from ctdb_eventd.access import Access, Members, look_up, unknown_id
from ctdb_eventd.config import parse
from ctdb_eventd.errors import ConfigError

PATH = "/etc/ctdb/ctdb.conf"
NONE: frozenset[int] = frozenset()
OWN = pwd.getpwuid(0).pw_name


def access(*lines: str) -> Access:
    return look_up(parse("\n".join(("[access]", *lines)), PATH).access)


def users(*numbers: int) -> Members:
    return Members(users=frozenset(numbers))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("read = 1000", Members(users=frozenset({1000}))),
        ("READ = 1000, @2000 1001,@0", Members(users=frozenset({1000, 1001}), groups=frozenset({2000, 0}))),
        (f"read = {OWN}\\\n  , 7", users(0, 7)),
        (f"read = @{grp.getgrgid(0).gr_name}", Members(groups=frozenset({0}))),
        ("read =", Members()),
        ("read = ,", Members()),
        ("read = 1\nread = 2", users(2)),
        (f"read = {0xFFFFFFFE}", users(0xFFFFFFFE)),
    ],
)
def test_who_may_read(line: str, expected: Members) -> None:
    assert access(line) == Access(read=expected)


@pytest.mark.parametrize(
    ("key", "events"),
    [
        ("operate", ""),
        ("Operate  monitor", "monitor"),
        ("operate legacy/monitor", "legacy/monitor"),
        ("operate Web/*", "Web/*"),
        ("operate a b/c d", "a b/c d"),
    ],
)
def test_what_may_be_operated(key: str, events: str) -> None:
    assert access(f"{key} = 1000") == Access(operate={events: users(1000)})


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ("operate", {"", "legacy/monitor", "legacy/startup", "web/monitor"}),
        ("operate monitor", {"legacy/monitor", "web/monitor"}),
        ("operate legacy/monitor", {"legacy/monitor"}),
        ("operate legacy/*", {"legacy/monitor", "legacy/startup"}),
        ("read", set[str]()),
    ],
)
def test_a_rule_allows_what_it_names_and_looking(rule: str, allowed: set[str]) -> None:
    found = access(f"{rule} = 1000")
    asked = ("", "legacy/monitor", "legacy/startup", "web/monitor")
    assert {name for name in asked if found.may_operate(1000, NONE, *name.split("/"))} == allowed
    assert not any(found.may_operate(1001, NONE, *name.split("/")) for name in asked)
    assert (found.may_read(1000, NONE), found.may_read(1001, NONE)) == (True, False)


def test_rules_add_up() -> None:
    found = access("operate = 1", "operate monitor = 2", "operate legacy/monitor = 3")
    assert [found.may_operate(uid, NONE, "legacy", "monitor") for uid in (1, 2, 3)] == [True] * 3
    assert [found.may_operate(uid, NONE, "web", "monitor") for uid in (1, 2, 3)] == [True, True, False]


def test_groups_count_as_their_members_do() -> None:
    found = access("operate monitor = @7")
    assert found.may_operate(1, frozenset({5, 7}), "legacy", "monitor")
    assert not found.may_operate(7, frozenset({5}), "legacy", "monitor")


@pytest.mark.parametrize(("lines", "is_open"), [((), False), (("read =",), False), (("operate x = 1",), True)])
def test_the_socket_is_open_if_anybody_may_do_anything(lines: tuple[str, ...], is_open: bool) -> None:
    assert access(*lines).is_open is is_open


NOBODY = unknown_id("uid")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "read = no-such-user",
            'read = "no-such-user": there is no user no-such-user here (getent passwd no-such-user)',
        ),
        ("read = @no-such-group", "there is no group no-such-group here (getent group no-such-group)"),
        ("read = 4294967295", "expected at most 4294967294 as the number of a user: not 4294967295"),
        ("read = 99999999999999999999", "expected at most 4294967294"),
        (
            f"read = {NOBODY}",
            f"expected a user of its own: {NOBODY} (uid {NOBODY}) represents every user that is unknown",
        ),
        (f"operate x = @{unknown_id('gid')}", "expected a group of its own"),
    ],
)
def test_names_that_mean_nobody(line: str, error: str) -> None:
    with pytest.raises(ConfigError) as raised:
        access(line)
    assert str(raised.value).startswith(f"{PATH}:2: [access] ")
    assert error in str(raised.value)


def test_all_names_that_mean_nobody_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        access("read = no-such-user", "operate = 7", "operate x = @no-such-group")
    assert [text.split(":")[1] for text in raised.value.texts] == ["2", "4"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("write = 1", 'write = "1": unknown key, expected one of "read", "operate", "operate EVENT"'),
        ("read monitor = 1", 'read monitor = "1": unknown key'),
        ("operatemonitor = 1", "unknown key"),
        ("read", 'expected "key = value"'),
        ("operate legacy/ = 1", "expected an event, such as legacy/monitor: event name '' is invalid"),
        ("operate ../x = 1", "expected an event, such as legacy/monitor: component name '..' is invalid"),
        ("operate a/b/c = 1", "component name 'a/b' is invalid: it contains a slash"),
        ("read = @", 'expected users, and groups with an @ in front, separated by commas: not "@"'),
        ("read = @@x", 'not "@@x"'),
        ("read = a\0b", "expected users"),
    ],
)
def test_lines_that_can_not_be_used(line: str, error: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(f"[access]\n{line}\n", PATH)
    assert str(raised.value).startswith(f"{PATH}:2: [access] ")
    assert error in str(raised.value)


def test_names_are_not_looked_up_by_who_only_reads_the_file() -> None:
    """The command line and lint read other machines' files too."""
    [rule] = parse("[access]\nread = no-such-user\n", PATH).access
    assert rule.names == ("no-such-user",)


def test_unknown_numbers_are_the_kernel_s() -> None:
    for kind in ("uid", "gid"):
        with open(f"/proc/sys/kernel/overflow{kind}", encoding="ascii") as file:
            assert unknown_id(kind) == int(file.read())
    assert unknown_id("nothing") == 65534
