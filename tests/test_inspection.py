"""What is said about the files of a component's directory."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from ctdb_eventd.errors import NoSuchComponent
from ctdb_eventd.handled import Handled, Origin
from ctdb_eventd.inspection import (
    ComponentInspection,
    Concern,
    Refusal,
    RefusedFile,
    ScriptInspection,
    Tree,
    Trusted,
    inspect_component,
)

if TYPE_CHECKING:
    from ctdb_eventd.scripts import NameRule


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A component's directory that nobody else can change."""
    path = tmp_path / "legacy"
    path.mkdir()
    path.chmod(0o755)
    return path


def write(directory: Path, name: str, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path = directory / name
    path.write_text(text)
    path.chmod(mode)
    return path


def inspect(directory: Path, **locks: tuple[str, ...]) -> ComponentInspection:
    return inspect_component(str(directory), "legacy", "both", locks)


def only(directory: Path, **locks: tuple[str, ...]) -> ScriptInspection:
    (script,) = inspect(directory, **locks).scripts
    return script


def said(script: ScriptInspection) -> list[str]:
    return [str(remark) for remark in script.warnings]


# ---------------------------------------------------------------------- scripts


def test_a_good_script_is_nothing_to_speak_of(directory: Path) -> None:
    path = write(directory, "10.net.script")
    os.utime(path, (1.5, 2.5))
    assert inspect(directory) == ComponentInspection(
        component="legacy",
        directory=str(directory),
        scripts=(
            ScriptInspection(
                name="10.net",
                path=str(path),
                target=None,
                bare=False,
                reason=None,
                warnings=(),
                locks=(),
                owner=os.geteuid(),
                modified=2.5,
                digest=hashlib.sha256(path.read_bytes()).hexdigest(),
            ),
        ),
        refused=(),
    )
    assert only(directory).enabled


def test_scripts_come_in_the_order_in_which_they_run(directory: Path) -> None:
    for name in ("50.b.script", "05.z.script", "50.a", "50.B.script"):
        write(directory, name)
    assert [script.name for script in inspect(directory).scripts] == ["05.z", "50.B", "50.a", "50.b"]


def test_a_links_target_is_where_it_leads_in_the_end(directory: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "tool")
    (tmp_path / "alias").symlink_to("tool")
    (directory / "10.net.script").symlink_to("../alias")
    (directory / "20.gone.script").symlink_to("/nonexistent/x")
    good, gone = inspect(directory).scripts
    assert (good.target, good.reason) == (os.path.realpath(file), None)
    assert (gone.target, gone.reason) == ("/nonexistent/x", "dangling link to /nonexistent/x")
    assert [remark.concern for remark in gone.warnings] == [Concern.DANGLING]
    assert said(gone) == ["events skip it; remove the link, or install what it leads to"]
    assert not gone.enabled


def test_a_link_in_a_circle_is_not_disabled_but_broken(directory: Path) -> None:
    (directory / "10.net.script").symlink_to("10.net.script")
    script = only(directory)
    assert script.enabled
    assert [remark.concern for remark in script.warnings] == [Concern.BROKEN]
    assert said(script)[0].startswith("every event fails: link to 10.net.script that is part of a loop")


def test_a_file_that_is_not_executable_is_looked_at_too(directory: Path) -> None:
    write(directory, "10.net.script", "echo\n", mode=0o644)
    script = only(directory)
    assert script.reason == "not executable by its owner (mode 0644)"
    assert [remark.concern for remark in script.warnings] == [Concern.NO_INTERPRETER]


def test_a_named_pipe_is_not_opened(directory: Path) -> None:
    """The test hangs if it is."""
    os.mkfifo(directory / "10.pipe.script", 0o755)
    script = only(directory)
    assert script.reason == "not a regular file but a named pipe"
    assert (script.warnings, script.locks) == ((), ())


def test_a_bare_name_runs_only_here(directory: Path) -> None:
    write(directory, "10.net")
    script = only(directory)
    assert script.bare
    assert said(script) == ["runs only here: CTDB's own daemon requires the name 10.net.script"]


@pytest.mark.parametrize(("refuse", "judgement"), [(False, "unsafe"), (True, "every event fails")])
def test_what_others_can_change_is_named_with_its_place(
    directory: Path, tmp_path: Path, refuse: bool, judgement: str
) -> None:
    stock = tmp_path / "stock"
    stock.mkdir()
    target = write(stock, "tool", mode=0o757)
    stock.chmod(0o757)
    directory.chmod(0o757)
    (directory / "10.net.script").symlink_to(target)
    (script,) = inspect_component(str(directory), "legacy", refuse_unsafe=refuse).scripts
    places = [str(directory), str(stock), f"{stock}/tool"]
    assert [remark.place for remark in script.warnings] == places
    assert said(script) == [f"{judgement}: {place} is writable by everybody; chmod go-w {place}" for place in places]


def test_who_is_trusted_can_be_told(directory: Path) -> None:
    write(directory, "10.net.script")
    found = inspect_component(str(directory), "legacy", trusted=Trusted(users=frozenset({-1})))
    places = [remark.place for remark in found.scripts[0].warnings]
    assert places[-2:] == [str(directory), f"{directory}/10.net.script"]


def test_a_script_that_can_not_be_read_is_said_to_be(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(write(directory, "10.net.script"))

    def refuse(name: str, *_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("builtins.open", refuse)
    (script,) = inspect_component(str(directory), "legacy").scripts
    assert [(r.concern, r.place, r.text) for r in script.warnings] == [
        (Concern.UNREADABLE, path, "can't be read (Permission denied)")
    ]


# ---------------------------------------------------------------------- locks


def test_locks_are_those_of_the_head_and_of_the_configuration_each_once(directory: Path) -> None:
    write(directory, "10.net.script", "#!/bin/sh\n# ctdb-eventd-locks: b a wrong/name b\n")
    script = only(directory, c=("10.net",), a=("10.net", "20.x"), d=("20.x",))
    assert script.locks == ("b", "a", "c")


def test_a_links_locks_are_its_targets(directory: Path, tmp_path: Path) -> None:
    write(tmp_path, "tool", "#!/bin/sh\n# ctdb-eventd-locks: a\n")
    (directory / "10.net.script").symlink_to("../tool")
    assert only(directory).locks == ("a",)


# ---------------------------------------------------------------------- events


def test_events_are_those_of_the_configuration_or_else_of_the_head(directory: Path) -> None:
    write(directory, "10.a.script", "#!/bin/sh\n# ctdb-eventd-events: takeip\n")
    write(directory, "20.b.script", "#!/bin/sh\n# ctdb-eventd-events: takeip\n")
    write(directory, "30.c.script")
    events = {"20.b": ("monitor",)}
    found = inspect_component(str(directory), "legacy", configured_events=events).scripts
    head, configured = Handled(("takeip",), Origin.HEAD), Handled(("monitor",), Origin.CONFIGURATION)
    assert [script.handled for script in found] == [head, configured, None]


# ---------------------------------------------------------------------- what is no script

COPY = "its name has a further dot and doesn't end in .script"
NO_NUMBER = "its name doesn't start with two digits and a dot"


@pytest.mark.parametrize(
    ("name", "rule", "refusal", "reason"),
    [
        ("README", "both", Refusal.NO_NUMBER, NO_NUMBER),
        ("5.net.script", "both", Refusal.NO_NUMBER, NO_NUMBER),
        ("50.", "both", Refusal.NO_NUMBER, "its name has nothing behind the number"),
        ("50.net~", "both", Refusal.BACKUP, "its name ends in ~, as those of editors' copies do"),
        ("50.net.script~", "suffix", Refusal.BACKUP, "its name ends in ~, as those of editors' copies do"),
        ("50.net.rpmsave", "both", Refusal.FURTHER_DOT, COPY),
        ("50.net.script.bak", "suffix", Refusal.FURTHER_DOT, COPY),
        (
            *("50.net", "suffix", Refusal.WRONG_FORM),
            "its name doesn't end in .script, and the configuration says [eventd] script names = suffix",
        ),
        ("50.net.rpmsave", "auto", Refusal.FURTHER_DOT, COPY),
        ("50.net~", "auto", Refusal.BACKUP, "its name ends in ~, as those of editors' copies do"),
        (
            *("50.net.script", "bare", Refusal.WRONG_FORM),
            "its name ends in .script, and the configuration says [eventd] script names = bare",
        ),
    ],
)
def test_why_a_file_is_no_script(directory: Path, name: str, rule: str, refusal: Refusal, reason: str) -> None:
    path = write(directory, name)
    found = inspect_component(str(directory), "legacy", rule)  # type: ignore[arg-type]
    assert found.scripts == ()
    assert found.refused == (RefusedFile(path=str(path), refusal=refusal, reason=reason),)


def test_with_auto_bare_names_are_left_out_beside_others(directory: Path) -> None:
    for name in ("50.net", "50.net-orig"):
        write(directory, name)
    found = inspect_component(str(directory), "legacy")
    assert ([script.name for script in found.scripts], found.refused) == (["50.net", "50.net-orig"], ())
    write(directory, "50.net.script")
    found = inspect_component(str(directory), "legacy")
    assert [script.path for script in found.scripts] == [f"{directory}/50.net.script"]
    assert [(os.path.basename(file.path), file.refusal) for file in found.refused] == [
        ("50.net", Refusal.HIDDEN),
        ("50.net-orig", Refusal.LEFT_OUT),
    ]
    assert found.refused[1].reason == (
        "its name doesn't end in .script, as others here do; with [eventd] script names = auto only those run"
    )


@pytest.mark.parametrize("rule", ["auto", "both"])
def test_a_hidden_script_is_none(directory: Path, rule: NameRule) -> None:
    write(directory, "50.net")
    write(directory, "50.net.script")
    found = inspect_component(str(directory), "legacy", rule)
    assert [script.path for script in found.scripts] == [f"{directory}/50.net.script"]
    (refused,) = found.refused
    assert (refused.path, refused.refusal) == (f"{directory}/50.net", Refusal.HIDDEN)
    assert refused.reason == "hidden by 50.net.script, which has the same name and takes precedence"


# ---------------------------------------------------------------------- directories


def test_names_need_not_be_text(directory: Path) -> None:
    name = os.fsdecode(b"50.\xff\x1b.script")
    write(directory, name)
    assert only(directory).path == f"{directory}/{name}"


def test_without_a_directory_there_is_no_component(tmp_path: Path) -> None:
    with pytest.raises(NoSuchComponent):
        inspect_component(str(tmp_path / "none"), "none")


def test_another_tree_is_looked_at_by_its_own_names(tmp_path: Path) -> None:
    for name in ("etc/legacy", "usr/share", "bin"):
        (tmp_path / name).mkdir(parents=True)
    file = write(tmp_path / "usr/share", "net", "#!/bin/shell\n# ctdb-eventd-locks: a\n")
    write(tmp_path / "bin", "shell")
    (tmp_path / "etc/legacy/10.net.script").symlink_to("/usr/share/net")
    write(tmp_path / "etc/legacy", "README")
    found = inspect_component("/etc/legacy", "legacy", tree=Tree(root=str(tmp_path)))
    assert [attrs.asdict(script) for script in found.scripts] == [
        {
            **{"name": "10.net", "path": "/etc/legacy/10.net.script", "target": "/usr/share/net", "bare": False},
            **{"reason": None, "warnings": (), "locks": ("a",), "handled": None},
            **{"owner": file.stat().st_uid, "modified": file.stat().st_mtime},
            "digest": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
    ]
    assert [file.path for file in found.refused] == ["/etc/legacy/README"]
