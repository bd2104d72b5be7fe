"""Who else could change what is run: each file, link and directory on the way to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctdb_eventd.files import Tree
from ctdb_eventd.safety import Trusted, Ways

ME = frozenset({0, os.geteuid()})
NO_GROUPS: frozenset[int] = frozenset()
STRICT = Trusted(users=ME, groups=NO_GROUPS)


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    former = os.umask(0o022)
    yield
    os.umask(former)


def write(path: Path, mode: int = 0o755) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return os.fspath(path)


def said(path: str, trusted: Trusted = STRICT) -> list[str]:
    return [flaw.sentence for flaw in Ways(trusted).flaws(path)]


@pytest.mark.parametrize(
    ("mode", "what", "command"),
    [
        (0o775, "writable by its group", "chmod go-w"),
        (0o757, "writable by everybody", "chmod go-w"),
        (0o777, "writable by its group and everybody", "chmod go-w"),
        (0o4755, "set-user-ID or set-group-ID", "chmod u-s,g-s"),
        (0o2755, "set-user-ID or set-group-ID", "chmod u-s,g-s"),
    ],
)
def test_a_files_mode(tmp_path: Path, mode: int, what: str, command: str) -> None:
    path = write(tmp_path / "a b", mode)
    assert said(path) == [f"{path} is {what}; {command} '{path}'"]


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o1755, 0o444])
def test_a_file_that_only_its_owner_can_change_is_safe(tmp_path: Path, mode: int) -> None:
    assert said(write(tmp_path / "a", mode)) == []


def test_the_remedy_mends_everything_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a", 0o4777)
    (flaw,) = Ways(STRICT).flaws(path)
    subprocess.run(["sh", "-c", flaw.remedy], check=True, timeout=60)
    assert said(path) == []


def test_a_stranger_is_named_and_so_is_a_link_of_his(tmp_path: Path) -> None:
    target = write(tmp_path / "a")
    (tmp_path / "link").symlink_to("a")
    trusted = Trusted(users=frozenset({-1}))
    places = (f"{tmp_path}/link", target)
    assert said(places[0], trusted)[-2:] == [
        f"{path} is owned by user {os.geteuid()}, not root; chown -h root: {path}" for path in places
    ]


def test_a_trusted_group_may_write_unless_an_access_list_shares_its_permission(tmp_path: Path) -> None:
    path = write(tmp_path / "a", 0o775)
    trusted = Trusted(users=ME, groups=frozenset({os.stat(path).st_gid}))
    assert said(path, trusted) == []
    # version 2: owner rwx, user 65534 rwx, group r-x, mask rwx, others r-x
    entries = [(1, 7, -1), (2, 7, 65534), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    acl = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + (who & 0xFFFFFFFF).to_bytes(4, "little")
        for tag, bits, who in entries
    )
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("no access control lists here")
    assert said(path, trusted) == [f"{path} is writable by its group; chmod go-w {path}"]


def test_every_directory_counts_and_a_sticky_one_is_safe(tmp_path: Path) -> None:
    path = write(tmp_path / "a/b/c")
    for name in ("a", "a/b"):
        (tmp_path / name).chmod(0o777)
    assert [flaw.place for flaw in Ways(STRICT).flaws(path)] == [f"{tmp_path}/a", f"{tmp_path}/a/b"]
    flaw = Ways(STRICT).flaw(path)
    assert flaw is not None
    assert flaw.place == f"{tmp_path}/a"
    for name in ("a", "a/b"):
        (tmp_path / name).chmod(0o1777)
    assert said(path) == []


@pytest.mark.parametrize("target", ["../other/deep/../tool", "{}/other/tool", "{}/other/./deep//../tool"])
def test_links_are_followed_as_the_kernel_follows_them(tmp_path: Path, target: str) -> None:
    (tmp_path / "a").mkdir()
    tool = write(tmp_path / "other/tool", 0o757)
    (tmp_path / "other/deep").mkdir()
    (tmp_path / "way").symlink_to("a")
    (tmp_path / "a/link").symlink_to(target.format(tmp_path))
    assert [flaw.place for flaw in Ways(STRICT).flaws(f"{tmp_path}/way/link")] == [tool]


def test_two_dots_behind_a_link_lead_to_where_the_link_led(tmp_path: Path) -> None:
    write(tmp_path / "a/tool")
    tool = write(tmp_path / "b/tool", 0o757)
    (tmp_path / "b/deep").mkdir()
    (tmp_path / "a/link").symlink_to("../b/deep")
    assert [flaw.place for flaw in Ways(STRICT).flaws(f"{tmp_path}/a/link/../tool")] == [tool]


def test_what_is_not_there_and_what_leads_round_in_a_circle_is_no_flaw(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    assert said(f"{tmp_path}/circle") == []
    assert said(f"{tmp_path}/none/x") == []


@pytest.mark.parametrize(
    "path", ["a/tool", "a/link", "way/tool", "a/../a/tool", "a//tool", "a/./link", "a/none", "none/x", "open/tool"]
)
def test_the_first_flaw_is_the_first_of_all(tmp_path: Path, path: str) -> None:
    """The shorter way that `flaw` takes for files in one directory comes to the same."""
    for name in ("a/tool", "a/other", "open/tool"):
        write(tmp_path / name, 0o757)
    (tmp_path / "a/link").symlink_to("../open/tool")
    (tmp_path / "way").symlink_to("a")
    (tmp_path / "open").chmod(0o777)
    ways = Ways(STRICT)
    assert ways.flaw(f"{tmp_path}/a/other") == next(Ways(STRICT).flaws(f"{tmp_path}/a/other"))
    assert ways.flaw(f"{tmp_path}/{path}") == next(Ways(STRICT).flaws(f"{tmp_path}/{path}"), None)


def test_a_device_is_no_file_that_keeps_what_is_written() -> None:
    assert said("/dev/null") == []


def test_a_relative_path_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", 0o757)
    monkeypatch.chdir(tmp_path)
    assert [flaw.place for flaw in Ways(STRICT).flaws("a")] == [path]


def test_below_another_root_links_stay_in_it(tmp_path: Path) -> None:
    write(tmp_path / "usr/tool", 0o757)
    (tmp_path / "link").symlink_to("/usr/tool")
    ways = Ways(STRICT, Tree(root=os.fspath(tmp_path)))
    assert [flaw.place for flaw in ways.flaws("/link")] == ["/usr/tool"]


def test_what_many_paths_share_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"a/b/{number}") for number in range(10)]
    looked: list[str] = []
    lstat = os.lstat

    def look(path: str) -> os.stat_result:
        looked.append(path)
        return lstat(path)

    monkeypatch.setattr(os, "lstat", look)
    ways = Ways(STRICT)
    assert [ways.flaw(path) for path in paths] == [None] * 10
    assert len(looked) == len(set(looked)) == len(tmp_path.parts) + 2 + 10


def test_our_group_is_trusted_unless_we_are_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getegid", lambda: 1234)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Trusted.by_us() == Trusted(users=frozenset({0, 1000}), groups=frozenset({0, 1234}))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Trusted.by_us() == Trusted()
