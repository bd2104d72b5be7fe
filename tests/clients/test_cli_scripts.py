"""script list, enable and disable: what they do to the files, and where they differ from CTDB's program on purpose."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fake_ctdb import add_script

from ctdb_event import cli

Captured = pytest.CaptureFixture[bytes]


def script(*arguments: str) -> int:
    return cli.main(["script", *arguments])


def set_names(node: Path, rule: str) -> None:
    (node / "ctdb.conf").write_text(f"[eventd]\n  script names = {rule}\n")


@pytest.mark.parametrize(
    ("rule", "listed"),
    [
        ("suffix", b"  20.b\n\n* 10.a\n"),
        ("bare", b"  40.provided\n\n* 30.bare\n"),
        ("both", b"  20.b\n  40.provided\n\n* 10.a\n* 30.bare\n"),
        ("auto", b"  20.b\n\n* 10.a\n"),
    ],
)
def test_list_honours_script_names(rule: str, listed: bytes, node: Path, capfdbinary: Captured) -> None:
    add_script(node / "events" / "one" / "30.bare")
    add_script(node / "share" / "events" / "one" / "40.provided")
    set_names(node, rule)
    assert script("list", "one") == 0
    assert capfdbinary.readouterr() == (listed, b"")


def test_list_defaults_to_the_names_that_each_directory_has(node: Path, capfdbinary: Captured) -> None:
    add_script(node / "events" / "one" / "30.bare")
    (node / "ctdb.conf").unlink()
    assert script("list", "one") == 0
    assert capfdbinary.readouterr().out == b"  20.b\n\n* 10.a\n"
    (node / "events" / "one" / "10.a.script").unlink()
    assert script("list", "one") == 0
    assert capfdbinary.readouterr().out == b"  20.b\n\n* 30.bare\n"


def test_the_first_and_the_last_name_with_script_decide_about_others(node: Path, capfdbinary: Captured) -> None:
    set_names(node, "auto")
    directory = node / "events" / "one"
    (directory / "10.a.script").unlink()
    for name in ("20.b", "20.b-orig", "30.bare"):
        add_script(directory / name)
    add_script(directory / "40.off", 0o644)
    (node / "share" / "events" / "one" / "50.c.script").symlink_to("20.b.script")
    assert script("enable", "one", "50.c") == 0
    out, err = capfdbinary.readouterr()
    assert (out, err.count(b"\n")) == (b"", 1)
    assert err.startswith(b"ctdb-event: warning: does not run any more: 20.b 20.b-orig 30.bare: if any script is named")
    assert script("enable", "one", "20.b") == 0
    assert script("disable", "one", "20.b") == 0
    assert capfdbinary.readouterr() == (b"", b"")
    assert script("disable", "one", "50.c") == 0
    out, err = capfdbinary.readouterr()
    assert (out, err.count(b"\n")) == (b"", 1)
    assert err.startswith(b"ctdb-event: warning: runs from now on: 20.b 20.b-orig 30.bare: no script is named")


def test_list_marks_no_link_in_a_circle(node: Path, capfdbinary: Captured) -> None:
    (node / "events" / "one" / "11.circle.script").symlink_to("11.circle.script")
    assert script("list", "one") == 0
    assert capfdbinary.readouterr().out == b"  20.b\n\n* 10.a\n  11.circle\n"


def test_enabled_bare_script_is_listed_as_provided(node: Path, capfdbinary: Captured) -> None:
    set_names(node, "both")
    add_script(node / "share" / "events" / "one" / "40.provided")
    assert script("enable", "one", "40.provided") == 0
    assert script("list", "one") == 0
    assert capfdbinary.readouterr().out == b"  20.b\n* 40.provided\n\n* 10.a\n"


def test_list_through_a_linked_base(node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured) -> None:
    other = node / "other"
    other.symlink_to(node)
    monkeypatch.setenv("CTDB_BASE", str(other))
    assert script("enable", "one", "20.b") == 0
    assert os.readlink(node / "events" / "one" / "20.b.script") == f"{node}/share/events/one/20.b.script"
    assert script("list", "one") == 0
    assert capfdbinary.readouterr().out == b"* 20.b\n\n* 10.a\n"


def test_list_undecodable_name(node: Path, capfdbinary: Captured) -> None:
    add_script(node / "events" / "one" / os.fsdecode(b"11.\xff.script"))
    assert script("list", "one") == 0
    assert capfdbinary.readouterr().out == b"  20.b\n\n* 10.a\n* 11.\xff\n"


# CTDB's program marks a directory with a script's name as enabled; neither daemon could run it.
def test_list_marks_nothing_that_would_not_run(node: Path, capfdbinary: Captured) -> None:
    (node / "share" / "events" / "odd").mkdir()
    assert script("list", "odd") == 0
    assert capfdbinary.readouterr().out == b"  10.directory\n  20.fifo\n"


@pytest.mark.parametrize("component", ["nope", "onlylocal"])
def test_list_without_provided_scripts(component: str, node: Path, capfdbinary: Captured) -> None:
    assert script("list", component) == errno.ENOENT
    directory = node / "share" / "events" / component
    expected = f"Unable to find event script installation directory: {directory}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


def test_list_without_local_scripts(node: Path, capfdbinary: Captured) -> None:
    assert script("list", "onlyprovided") == errno.ENOENT
    directory = node / "events" / "onlyprovided"
    expected = f"ctdb-event: component onlyprovided does not exist: {directory} is not a directory\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


def test_list_unreadable_directory(node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured) -> None:
    def refuse(path: str) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "listdir", refuse)  # root, as whom tests may run, is never refused
    assert script("list", "one") == errno.EACCES
    expected = f"ctdb-event: {node}/share/events/one: Permission denied\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


def test_error_without_a_file_name(node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured) -> None:
    def fail(path: str) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "listdir", fail)
    assert script("list", "one") == errno.EMFILE
    assert capfdbinary.readouterr() == (b"", b"ctdb-event: Too many open files\n")


def test_configuration_that_can_not_be_used_does_not_keep_scripts_from_being_switched(
    node: Path, capfdbinary: Captured
) -> None:
    set_names(node, "some")
    assert script("disable", "one", "20.b") == 0
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert err.startswith(f"ctdb-event: {node}/ctdb.conf:2: ".encode())
    assert err.endswith(b"; using the default, [eventd] script names = auto\n")
    assert err.count(b"\n") == 1


# CTDB pastes component names into paths, so that `../x` works there and leaves the scripts' directory.
@pytest.mark.parametrize("command", [["list"], ["enable"], ["disable"]])
@pytest.mark.parametrize(
    ("component", "reason"), [("../events/one", "it contains a slash"), ("..", "it is a directory's own name")]
)
def test_component_that_is_no_name(
    command: list[str], component: str, reason: str, node: Path, capfdbinary: Captured
) -> None:
    assert script(*command, component, *(["20.b"] if command != ["list"] else [])) == errno.EINVAL
    expected = f"ctdb-event: component name '{component}' is invalid: {reason}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


# The recorded program looks for the file before it looks at the name, and links outside the scripts' directory.
@pytest.mark.parametrize("action", ["enable", "disable"])
@pytest.mark.parametrize("name", ["x", "5.x", "", "..", "10.x/y", "../one/20.b", "10." + "x" * 300])
def test_script_that_is_no_name(action: str, name: str, node: Path, capfdbinary: Captured) -> None:
    assert script(action, "one", name) == errno.EINVAL
    assert capfdbinary.readouterr() == (f"Script {name} is invalid in one\n".encode(), b"")
    assert os.listdir(node / "events" / "one") == ["10.a.script"]


def test_enable_links_and_disable_unlinks(node: Path) -> None:
    link = node / "events" / "one" / "20.b.script"
    assert script("enable", "one", "20.b") == 0
    assert os.readlink(link) == f"{node}/share/events/one/20.b.script"
    assert script("disable", "one", "20.b") == 0
    assert not os.path.lexists(link)
    assert (node / "share" / "events" / "one" / "20.b.script").exists()


@pytest.mark.parametrize("target", ["/nonexistent", "20.b.script"])
def test_enable_warns_of_a_link_that_leads_to_no_file(target: str, node: Path, capfdbinary: Captured) -> None:
    link = node / "events" / "one" / "20.b.script"
    link.symlink_to(target)
    assert script("enable", "one", "20.b") == 0
    expected = (
        f"ctdb-event: warning: {link} is a link to {target}, whose target does not exist: remove it (rm {link}) "
        "and enable the script again\n"
    )
    assert capfdbinary.readouterr() == (b"", expected.encode())
    assert os.readlink(link) == target


def test_enable_and_disable_change_a_file_of_ones_own(node: Path) -> None:
    path = node / "events" / "both" / "91.localoff.script"
    assert script("enable", "both", "91.localoff") == 0
    assert path.stat().st_mode & 0o777 == 0o755
    assert script("disable", "both", "91.localoff") == 0
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("action", ["enable", "disable"])
def test_directory_with_a_scripts_name_is_left_alone(action: str, node: Path, capfdbinary: Captured) -> None:
    path = node / "events" / "odd" / "10.directory.script"
    before = path.stat().st_mode
    assert script(action, "odd", "10.directory") == errno.EINVAL
    assert capfdbinary.readouterr() == (f"Script {path} is not a file or a link\n".encode(), b"")
    assert path.stat().st_mode == before


def test_link_that_can_not_be_made(node: Path, capfdbinary: Captured) -> None:
    link = node / "events" / "onlyprovided" / "10.a.script"
    assert script("enable", "onlyprovided", "10.a") == errno.EIO
    out, err = capfdbinary.readouterr()
    assert out == f"Failed to create symlink {link}\n".encode()
    assert err == f"ctdb-event: {link}: No such file or directory\n".encode()


def test_link_that_can_not_be_removed(node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured) -> None:
    def refuse(path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(os, "unlink", refuse)
    link = node / "events" / "both" / "00.ctdb.script"
    code = script("disable", "both", "00.ctdb")
    monkeypatch.undo()  # pytest removes files too
    assert code == errno.EIO
    out, err = capfdbinary.readouterr()
    assert out == f"Failed to remove symlink {link}\n".encode()
    assert err == f"ctdb-event: {link}: Read-only file system\n".encode()


def test_mode_that_can_not_be_changed(node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured) -> None:
    def refuse(path: str, mode: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(os, "chmod", refuse)
    code = script("disable", "one", "10.a")
    monkeypatch.undo()
    assert code == errno.EROFS
    path = node / "events" / "one" / "10.a.script"
    assert capfdbinary.readouterr() == (b"", f"ctdb-event: {path}: Read-only file system\n".encode())
