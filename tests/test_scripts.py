"""Which files are event scripts, in which order they run, and enabling and disabling them."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd import scripts
from ctdb_eventd.errors import InvalidName, NoSuchComponent, NoSuchScript, NotAFile

if TYPE_CHECKING:
    from ctdb_eventd.scripts import NameRule


@pytest.fixture
def events(tmp_path: Path) -> Path:
    (tmp_path / "events" / "c").mkdir(parents=True)
    return tmp_path / "events"


@pytest.fixture
def provided(tmp_path: Path) -> Path:
    (tmp_path / "provided" / "c").mkdir(parents=True)
    return tmp_path / "provided"


def add(directory: Path, name: str, mode: int = 0o755) -> Path:
    path = directory / "c" / name
    path.touch()
    path.chmod(mode)
    return path


def names(events: Path, rule: NameRule = "both") -> list[str]:
    return [script.name for script in scripts.discover(str(events / "c"), "c", rule).scripts]


@pytest.mark.parametrize(
    ("file_name", "both", "suffix", "bare"),
    [
        ("10.a.script", "10.a", "10.a", None),
        ("10.a.b.script", "10.a.b", "10.a.b", None),
        ("10..script", "10.", "10.", None),
        ("10.script", "10.script", None, "10.script"),
        ("10.a~.script", "10.a~", "10.a~", None),
        ("10.a", "10.a", None, "10.a"),
        ("10.a~", None, None, None),
        ("10.a.bak", None, None, None),
        ("10.a.script~", None, None, None),
        ("10.a.script.rpmsave", None, None, None),
        ("10.a.SCRIPT", None, None, None),
        ("10.", None, None, None),
        ("10", None, None, None),
        ("", None, None, None),
        ("1.a.script", None, None, None),
        ("100.a.script", None, None, None),
        ("a0.a.script", None, None, None),
        ("\u0661\u0660.a.script", None, None, None),
        ("README", None, None, None),
        (".10.a.script", None, None, None),
    ],
)
def test_shown_name(file_name: str, both: str | None, suffix: str | None, bare: str | None) -> None:
    assert scripts.shown_name(file_name) == both
    assert scripts.shown_name(file_name, "suffix") == suffix
    assert scripts.shown_name(file_name, "bare") == bare


file_names = st.one_of(
    st.text(max_size=20),
    st.builds(
        "{}.{}{}".format,
        st.from_regex(r"[0-9]{2}", fullmatch=True),
        st.text("ab.~", max_size=6),
        st.sampled_from(["", ".script", "~"]),
    ),
)


@given(file_names)
def test_shown_name_of_any_file(file_name: str) -> None:
    suffix = scripts.shown_name(file_name, "suffix")
    bare = scripts.shown_name(file_name, "bare")
    assert suffix is None or bare is None
    assert scripts.shown_name(file_name, "both") == (suffix if bare is None else bare)
    assert suffix is None or suffix + ".script" == file_name
    assert bare is None or (bare == file_name and "." not in bare[3:] and not bare.endswith("~"))
    for shown in (suffix, bare):
        assert shown is None or (shown[:2].isascii() and shown[:2].isdigit() and shown[2] == ".")


def test_component_directory() -> None:
    assert scripts.component_directory("/events", "legacy") == "/events/legacy"


def test_component_directory_checks_the_name() -> None:
    with pytest.raises(InvalidName, match="component"):
        scripts.component_directory("/events", "../events")


def test_discover_sorts_by_bytes(events: Path) -> None:
    for name in ("20.b.script", "10.Z.script", "10.a.script", "10.é.script", "00.z", os.fsdecode(b"10.\xff.script")):
        add(events, name)
    assert names(events) == ["00.z", "10.Z", "10.a", "10.é", os.fsdecode(b"10.\xff"), "20.b"]


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("auto", ["10.a", "30.c"]),
        ("both", ["10.a", "20.b", "30.c"]),
        ("suffix", ["10.a", "30.c"]),
        ("bare", ["20.b", "30.c"]),
    ],
)
def test_discover_by_rule(rule: NameRule, found: list[str], events: Path) -> None:
    for name in ("10.a.script", "20.b", "30.c", "30.c.script", "README"):
        add(events, name)
    assert names(events, rule) == found


@pytest.mark.parametrize(
    ("rule", "file_names", "form"),
    [
        ("auto", ["README", "10.a", "20.b.script"], "suffix"),
        ("auto", ["README", "10.a", "20.b.script~", "x.script", "30.script"], "bare"),
        ("auto", [], "bare"),
        ("both", ["20.b.script"], "both"),
        ("bare", ["20.b.script"], "bare"),
        ("suffix", ["20.b"], "suffix"),
    ],
)
def test_auto_is_decided_by_the_directory(rule: NameRule, file_names: list[str], form: str) -> None:
    assert scripts.form_of(file_names, rule) == form


def test_with_auto_bare_names_run_where_there_are_no_others(events: Path) -> None:
    for name in ("20.b", "10.a", "README", "30.c~", "40.d.rpmsave"):
        add(events, name)
    listing = scripts.discover(str(events / "c"), "c")
    assert [script.name for script in listing.scripts] == ["10.a", "20.b"]
    assert (listing.left_out, listing.shadowed) == ([], [])


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_with_auto_bare_names_are_left_out_beside_others(mode: int, events: Path) -> None:
    """Whether these others are enabled makes no difference: disabling one must not start a copy of it."""
    for name in ("10.net-orig", "20.b", "README"):
        add(events, name)
    hidden, winner = add(events, "10.net"), add(events, "10.net.script", mode)
    listing = scripts.discover(str(events / "c"), "c")
    assert [script.path for script in listing.scripts] == [str(winner)]
    assert [script.name for script in listing.left_out] == ["10.net-orig", "20.b"]
    assert listing.shadowed == [str(hidden)]


def test_discover_shows_a_name_once(events: Path) -> None:
    bare, winner = add(events, "10.a"), add(events, "10.a.script")
    listing = scripts.discover(str(events / "c"), "c")
    assert [(script.name, script.path, script.bare) for script in listing.scripts] == [("10.a", str(winner), False)]
    assert listing.shadowed == [str(bare)]
    assert repr(listing.scripts[0]) == f"Script({str(winner)!r})"


def test_discover_says_which_are_bare(events: Path) -> None:
    add(events, "10.a")
    (script,) = scripts.discover(str(events / "c"), "c").scripts
    assert script.bare


def test_shadowed_name_keeps_its_place(events: Path) -> None:
    # `10.a-b` sorts between `10.a` and `10.a.script`
    for name in ("10.a", "10.a-b", "10.a.script", "10.b"):
        add(events, name)
    assert names(events) == ["10.a-b", "10.a", "10.b"]


def test_discover_reads_the_directory_afresh(events: Path) -> None:
    assert names(events) == []
    add(events, "10.a.script")
    assert names(events) == ["10.a"]


def test_discover_without_a_directory(events: Path) -> None:
    (events / "file").touch()
    for component in ("nope", "file"):
        with pytest.raises(NoSuchComponent) as caught:
            scripts.discover(str(events / component), component)
        assert caught.value.directory == str(events / component)


def test_enabled_follows_the_target(events: Path) -> None:
    add(events, "10.on.script")
    add(events, "20.off.script", 0o655)
    (events / "c" / "30.link.script").symlink_to("10.on.script")
    (events / "c" / "40.linkoff.script").symlink_to("20.off.script")
    (events / "c" / "50.dangling.script").symlink_to("/nonexistent")
    (events / "c" / "60.directory.script").mkdir()
    found = scripts.discover(str(events / "c"), "c").scripts
    assert [script.name for script in found if script.enabled()] == ["10.on", "30.link"]


@pytest.mark.parametrize(("target", "number"), [("10.a.script", errno.ELOOP), ("file/x", errno.ENOTDIR)])
def test_a_link_that_can_not_be_followed_is_not_disabled(target: str, number: int, events: Path) -> None:
    add(events, "file")
    (events / "c" / "10.a.script").symlink_to(target)
    (script,) = scripts.discover(str(events / "c"), "c").scripts
    assert script.enabled()
    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        script.look()


def test_vanished_script_is_disabled(events: Path) -> None:
    path = add(events, "10.a.script")
    (script,) = scripts.discover(str(events / "c"), "c").scripts
    path.unlink()
    assert not script.enabled()


@pytest.mark.parametrize(
    ("rule", "file_name"),
    [("auto", "10.a.script"), ("both", "10.a.script"), ("suffix", "10.a.script"), ("bare", "10.a")],
)
def test_find_by_rule(rule: NameRule, file_name: str, events: Path) -> None:
    add(events, "10.a.script")
    add(events, "10.a")
    script = scripts.find(str(events / "c"), "10.a", rule)
    assert script is not None
    assert (script.name, script.path, script.bare) == ("10.a", str(events / "c" / file_name), file_name == "10.a")


def test_find_nothing(events: Path) -> None:
    add(events, "10.a")
    assert scripts.find(str(events / "c"), "10.a", "suffix") is None
    assert scripts.find(str(events / "c"), "10.b") is None
    assert scripts.find(str(events / "d"), "10.a") is None


def test_find_with_auto_a_bare_name(events: Path) -> None:
    add(events, "10.a")
    assert scripts.find(str(events / "c"), "10.a") is not None
    add(events, "20.b.script")
    assert scripts.find(str(events / "c"), "10.a") is None


def test_find_sees_dangling_links(events: Path) -> None:
    (events / "c" / "10.a.script").symlink_to("/nonexistent")
    assert scripts.find(str(events / "c"), "10.a") is not None


def enable(events: Path, provided: Path, name: str, rule: NameRule = "both") -> None:
    scripts.enable(str(events), str(provided), "c", name, rule)


@pytest.mark.parametrize("file_name", ["10.a.script", "10.a"])
def test_enable_links_the_real_path(file_name: str, events: Path, provided: Path) -> None:
    target = add(provided, "target")
    (provided / "c" / file_name).symlink_to("target")
    enable(events, provided, "10.a")
    assert os.readlink(events / "c" / file_name) == os.path.realpath(target)
    enable(events, provided, "10.a")
    assert os.listdir(events / "c") == [file_name]


def test_enable_leaves_a_link_as_it_is(events: Path, provided: Path) -> None:
    add(provided, "10.a.script")
    target = add(events, "target", 0o600)
    (events / "c" / "10.a.script").symlink_to("target")
    enable(events, provided, "10.a")
    assert os.readlink(events / "c" / "10.a.script") == "target"
    assert target.stat().st_mode & 0o777 == 0o600


def test_enable_sets_execute_bits_only(events: Path, provided: Path) -> None:
    path = add(events, "10.a.script", 0o2640)
    enable(events, provided, "10.a")
    assert path.stat().st_mode & 0o7777 == 0o2751


def test_enable_and_disable_what_runs(events: Path, provided: Path) -> None:
    """The kernel lets nobody write to a program that runs (ETXTBSY); its mode is another matter."""
    script = events / "c" / "50.local.script"
    shutil.copy("/bin/sleep", script)
    with subprocess.Popen([script, "1000"]) as running:
        try:
            with pytest.raises(OSError, match="Text file busy"):
                script.open("r+b").close()
            scripts.disable(str(events), "c", "50.local")
            assert not os.access(script, os.X_OK)
            enable(events, provided, "50.local")
            assert os.access(script, os.X_OK)
        finally:
            running.kill()


def test_enable_nothing(events: Path, provided: Path) -> None:
    add(provided, "20.bare")
    (provided / "c" / "30.dangling.script").symlink_to("/nonexistent")
    for name, rule in (("10.a", "both"), ("20.bare", "suffix"), ("30.dangling", "both")):
        with pytest.raises(NoSuchScript):
            enable(events, provided, name, rule)  # type: ignore[arg-type]
    assert os.listdir(events / "c") == []


def test_enable_with_auto_what_would_be_left_out(events: Path, provided: Path) -> None:
    add(provided, "20.bare")
    add(events, "10.a.script")
    with pytest.raises(NoSuchScript):
        enable(events, provided, "20.bare", "auto")
    (events / "c" / "10.a.script").unlink()
    enable(events, provided, "20.bare", "auto")
    assert os.listdir(events / "c") == ["20.bare"]


def test_enable_without_a_directory_to_link_in(events: Path, provided: Path) -> None:
    add(provided, "10.a.script")
    (events / "c").rmdir()
    with pytest.raises(FileNotFoundError):
        enable(events, provided, "10.a")


def test_enable_that_another_was_faster_with(events: Path, provided: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(provided, "10.a.script")
    link = os.symlink

    def link_twice(target: str, path: str) -> None:
        link(target, path)
        link(target, path)

    monkeypatch.setattr(os, "symlink", link_twice)
    enable(events, provided, "10.a")
    assert names(events) == ["10.a"]


def test_disable_removes_a_link(events: Path) -> None:
    target = add(events, "target")
    (events / "c" / "10.a.script").symlink_to("target")
    scripts.disable(str(events), "c", "10.a")
    assert os.listdir(events / "c") == ["target"]
    assert target.stat().st_mode & 0o777 == 0o755


def test_disable_clears_execute_bits_only(events: Path) -> None:
    path = add(events, "10.a", 0o2775)
    scripts.disable(str(events), "c", "10.a")
    assert path.stat().st_mode & 0o7777 == 0o2664


@pytest.mark.parametrize("component", ["c", "nope"])
def test_disable_nothing(component: str, events: Path) -> None:
    scripts.disable(str(events), component, "10.a")
    assert os.listdir(events / "c") == []


def test_disable_that_another_was_faster_with(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (events / "c" / "10.a.script").symlink_to("/nonexistent")
    unlink = os.unlink

    def unlink_twice(path: str) -> None:
        unlink(path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", unlink_twice)
    scripts.disable(str(events), "c", "10.a")
    monkeypatch.undo()
    assert os.listdir(events / "c") == []


def test_directories_are_neither_enabled_nor_disabled(events: Path, provided: Path) -> None:
    directory = events / "c" / "10.a.script"
    directory.mkdir(0o700)
    with pytest.raises(NotAFile) as caught:
        enable(events, provided, "10.a")
    assert caught.value.path == str(directory)
    with pytest.raises(NotAFile, match="neither a file nor a link"):
        scripts.disable(str(events), "c", "10.a")
    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["README", "1.a", "10", "", "../c/10.a", "10.a/b", "10.a\0"])
def test_switching_names_that_are_none(name: str, events: Path, provided: Path) -> None:
    with pytest.raises(InvalidName, match="script"):
        enable(events, provided, name)
    with pytest.raises(InvalidName, match="script"):
        scripts.disable(str(events), "c", name)


def test_switching_in_components_that_are_none(events: Path, provided: Path) -> None:
    with pytest.raises(InvalidName, match="component"):
        scripts.enable(str(events), str(provided), "../events/c", "10.a")
    with pytest.raises(InvalidName, match="component"):
        scripts.disable(str(events), "../events/c", "10.a")


# ---------------------------------------------------------------------- locks


def head(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "10.a.script"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return os.fspath(path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("#!/bin/sh\nexit 0\n", []),
        ("#!/bin/sh\n# ctdb-eventd-locks: iptables route-table\n", ["iptables", "route-table"]),
        ("# ctdb-eventd-locks:a\n# ctdb-eventd-locks:\t b  a \n", ["a", "b", "a"]),
        ("# ctdb-eventd-locks: a\r\n", ["a"]),
        ("# ctdb-eventd-locks:\n", []),
        ("# ctdb-eventd-locks: last line without an end", ["last", "line", "without", "an", "end"]),
        (" # ctdb-eventd-locks: a\n#ctdb-eventd-locks: b\necho '# ctdb-eventd-locks: c'\n", []),
        ("# ctdb-eventd-locks: a/b $(reboot)\n", ["a/b", "$(reboot)"]),
        (b"\x7fELF\xff\n# ctdb-eventd-locks: \xff a\n", ["\ufffd", "a"]),
    ],
)
def test_the_locks_that_a_script_declares(text: str | bytes, names: list[str], tmp_path: Path) -> None:
    assert scripts.declared_locks(head(tmp_path, text)) == names


def test_locks_are_declared_in_the_first_4_kib(tmp_path: Path) -> None:
    line = f"{scripts.LOCKS_MARK} a\n"
    assert scripts.declared_locks(head(tmp_path, "\n" * (4096 - len(line)) + line)) == ["a"]
    assert scripts.declared_locks(head(tmp_path, "\n" * 4096 + line)) == []


def test_a_script_that_cannot_be_read_declares_nothing(tmp_path: Path) -> None:
    assert scripts.declared_locks(os.fspath(tmp_path / "gone")) == []
    assert scripts.declared_locks(os.fspath(tmp_path)) == []


@pytest.mark.parametrize("name", ["iptables", "route-table", "a", "A.b_c-9", ".", "-"])
def test_names_that_locks_can_have(name: str) -> None:
    assert scripts.is_lock_name(name)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "\u00e9", "a:b", "$a", "a\n", "address:10.0.0.1"])
def test_names_that_locks_cannot_have(name: str) -> None:
    assert not scripts.is_lock_name(name)
