"""The locks of a script: from its head, read again when the file changes, and from the configuration."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from ctdb_eventd.config import Config
from ctdb_eventd.handled import Handled, Origin, Table
from ctdb_eventd.runner.declarations import Declarations
from ctdb_eventd.scripts import Script

NONE = Config()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    made = Script("10.a", os.fspath(tmp_path / "10.a.script"), bare=False)
    write(made, "iptables routes")
    return made


def write(script: Script, locks: str, *, age: int = 0) -> None:
    """Writes the script anew, under its old name; `age` makes each time of change another one."""
    path = Path(script.path)
    path.with_suffix(".new").write_text(f"#!/bin/sh\n# ctdb-eventd-locks: {locks}\n")
    path.with_suffix(".new").chmod(0o755)
    os.utime(path.with_suffix(".new"), ns=(age, age))
    path.with_suffix(".new").rename(path)


def locks(declarations: Declarations, script: Script, config: Config = NONE) -> tuple[str, ...]:
    return declarations.locks(script, os.stat(script.path), config)


def test_the_head_declares_locks(script: Script) -> None:
    assert locks(Declarations("/nowhere"), script) == ("iptables", "routes")


def test_the_configuration_adds_locks_by_the_shown_name(script: Script) -> None:
    config = Config(locks={"nfs": ("10.a", "20.b"), "other": ("20.b",), "none": (), "last": ("10.a",)})
    assert locks(Declarations("/nowhere"), script, config) == ("iptables", "routes", "nfs", "last")


def test_a_script_without_any_needs_none(script: Script) -> None:
    write(script, "")
    assert locks(Declarations("/nowhere"), script) == ()
    assert locks(Declarations("/nowhere"), script, Config(locks={"nfs": ("10.a",)})) == ("nfs",)


def test_a_head_is_read_once(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    declarations = Declarations("/nowhere")
    first = locks(declarations, script)
    monkeypatch.delattr("builtins.open")
    assert locks(declarations, script) == first


def test_a_script_that_changed_is_read_again(script: Script) -> None:
    declarations = Declarations("/nowhere")
    locks(declarations, script)
    write(script, "elsewhere", age=1)
    assert locks(declarations, script) == ("elsewhere",)


def test_another_configuration_counts_at_once(script: Script) -> None:
    declarations = Declarations("/nowhere")
    assert locks(declarations, script, Config(locks={"nfs": ("10.a",)})) == ("iptables", "routes", "nfs")
    assert locks(declarations, script) == ("iptables", "routes")


def test_a_name_that_no_lock_can_have_is_ignored_and_logged_once(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    write(script, "good a/b address:10.0.0.1")
    declarations = Declarations("/nowhere")
    assert locks(declarations, script) == locks(declarations, script) == ("good",)
    assert caplog.messages == [
        f"{script.path}: its head declares an invalid lock name, which is ignored: {name!r}"
        for name in ("a/b", "address:10.0.0.1")
    ]


# ---------------------------------------------------------------------- events


def declare(script: Script, *lines: str) -> None:
    Path(script.path).write_text("".join(f"{line}\n" for line in ("#!/bin/sh", *lines)))
    os.utime(script.path, ns=(0, 0))


def handled(script: Script, config: Config = NONE) -> Handled | None:
    return Declarations("/nowhere").handled(script, os.stat(script.path), config)


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        ((), None),
        (("# ctdb-eventd-events: takeip  releaseip takeip",), ("takeip", "releaseip")),
        (("# ctdb-eventd-events: takeip", "exit 0", "# ctdb-eventd-events: made-up"), ("takeip", "made-up")),
        ((" # ctdb-eventd-events: takeip",), None),
        (("#" * 4096, "# ctdb-eventd-events: takeip"), None),
        (("# ctdb-eventd-events:",), None),
        (("# ctdb-eventd-events: takeip ..",), None),
        (("# ctdb-eventd-events: takeip all",), None),
    ],
)
def test_the_head_declares_events(script: Script, lines: tuple[str, ...], events: tuple[str, ...] | None) -> None:
    declare(script, *lines)
    assert handled(script) == (None if events is None else Handled(events, Origin.HEAD))


def test_the_configuration_comes_before_the_head(script: Script) -> None:
    declare(script, "# ctdb-eventd-events: takeip")
    config = Config(events={"10.a": ("monitor",)})
    assert handled(script, config) == Handled(("monitor",), Origin.CONFIGURATION)
    assert handled(script, Config(events={"10.a": ("all",)})) is None


def test_a_file_that_has_just_changed_is_read_again(script: Script) -> None:
    declarations = Declarations("/nowhere")
    declare(script, "# ctdb-eventd-events: takeip")
    now = time.time_ns()
    os.utime(script.path, ns=(now, now))
    status = os.stat(script.path)
    assert declarations.handled(script, status, NONE) == Handled(("takeip",), Origin.HEAD)
    # within one tick of the file system's clock nothing tells the two apart
    declare(script, "# ctdb-eventd-events: setup-")
    assert declarations.handled(script, status, NONE) == Handled(("setup-",), Origin.HEAD)


# ---------------------------------------------------------------------- CTDB's own scripts


@pytest.fixture
def known(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declarations:
    """Knows the script, with the content that it has now, as one of CTDB's."""
    (tmp_path / "functions").write_text("library\n")
    rows = f"functions {digest(tmp_path / 'functions')} 4.22\n10.a {digest(Path(script.path))} 4.17,4.22: init\n"
    monkeypatch.setattr("ctdb_eventd.handled.provided", lambda: Table(rows))
    monkeypatch.setattr("ctdb_eventd.runner.declarations.provided", lambda: Table(rows))
    return Declarations(os.fspath(tmp_path))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_script_of_ctdbs_is_known_by_its_content(script: Script, known: Declarations) -> None:
    assert known.handled(script, os.stat(script.path), NONE) == Handled(("init",), Origin.TABLE)
    assert known.handled(script, os.stat(script.path), Config(start_idle_scripts=True)) is None
    write(script, "changed", age=1)
    assert known.handled(script, os.stat(script.path), NONE) is None


def test_its_content_is_read_once(script: Script, known: Declarations, monkeypatch: pytest.MonkeyPatch) -> None:
    first = known.handled(script, os.stat(script.path), NONE)
    monkeypatch.delattr("builtins.open")
    assert known.handled(script, os.stat(script.path), NONE) == first is not None


def test_the_table_counts_only_beside_the_functions_of_the_same_version(
    script: Script, known: Declarations, tmp_path: Path
) -> None:
    (tmp_path / "functions").write_text("changed\n")
    assert known.handled(script, os.stat(script.path), NONE) is None
