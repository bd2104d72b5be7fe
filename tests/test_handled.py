"""Which events a script handles: what leaves it out, and the table of CTDB's own scripts."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

import ctdb_eventd
from ctdb_eventd.events import CATALOGUE
from ctdb_eventd.handled import Handled, Library, Origin, Row, Table, handled_events, provided

TAKE = ("eth0", "10.0.0.1", "24")
CONTENT = "#!/bin/sh\nexit 0\n"
DIGEST = hashlib.sha256(CONTENT.encode()).hexdigest()
TABLE_FILE = Path(ctdb_eventd.__file__).with_name("provided.txt")


@pytest.mark.parametrize(
    ("origin", "event", "args", "left_out"),
    [
        (Origin.HEAD, "takeip", TAKE, False),
        (Origin.HEAD, "releaseip", TAKE, True),
        (Origin.HEAD, "made-up", (), True),
        (Origin.CONFIGURATION, "reconfigure", (), True),
        (Origin.TABLE, "takeip", TAKE, False),
        (Origin.TABLE, "takeip", (), False),
        (Origin.TABLE, "releaseip", TAKE, True),
        (Origin.TABLE, "releaseip", TAKE[:2], False),
        (Origin.TABLE, "monitor", (), True),
        (Origin.TABLE, "monitor", ("now",), False),
        (Origin.TABLE, "made-up", (), False),
        (Origin.TABLE, "reconfigure", (), False),
    ],
)
def test_what_a_script_is_not_started_for(origin: Origin, event: str, args: tuple[str, ...], left_out: bool) -> None:
    assert Handled(("takeip",), origin).leaves_out(event, args) is left_out


def test_the_table_comes_last() -> None:
    row = Row(frozenset({"4.22"}), ("init",))
    assert handled_events(None, None, row) == Handled(("init",), Origin.TABLE)
    assert handled_events(["takeip"], None, row) == Handled(("takeip",), Origin.HEAD)
    assert handled_events(None, ("monitor",), row) == Handled(("monitor",), Origin.CONFIGURATION)
    assert handled_events(None, ("all",), row) is None


# ---------------------------------------------------------------------- the table


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "50.x.script"
    path.write_text(CONTENT)
    return path


def test_a_script_is_known_by_name_and_content(script: Path, tmp_path: Path) -> None:
    table = Table(f"# a remark\n50.x {DIGEST} 4.22,4.24: init takeip\n60.y {'0' * 64} 4.22: init\n")
    assert table.row("50.x", str(script)) == Row(frozenset({"4.22", "4.24"}), ("init", "takeip"))
    assert table.row("60.y", str(script)) is None
    assert table.row("70.z", str(script)) is None
    assert table.row("50.x", str(tmp_path / "gone")) is None
    script.write_text(CONTENT + " ")
    assert table.row("50.x", str(script)) is None


def test_a_script_of_another_name_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(f"50.x {DIGEST} 4.22: init\n")
    monkeypatch.delattr("builtins.open")
    assert table.row("51.x", "/any") is None


def test_what_is_longer_than_any_script_is_not_known(script: Path) -> None:
    script.write_bytes(b"\0" * ((1 << 20) + 1))
    digest = hashlib.sha256(script.read_bytes()).hexdigest()
    assert Table(f"50.x {digest} 4.22: init\n").row("50.x", str(script)) is None


def test_the_table_that_comes_with_us() -> None:
    lines = [line for line in TABLE_FILE.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 50
    assert len({tuple(line.split()[:2]) for line in lines}) == len(lines)
    for line in lines:
        found = re.fullmatch(r"(\S+) ([0-9a-f]{64}) (4\.\d+(?:,4\.\d+)*)(?:: ((?:\S+ )*\S+))?", line)
        assert found, line
        assert (found[4] is None) == (found[1] == "functions"), line
        assert set((found[4] or "").split()) <= {*CATALOGUE, ""}, line


def test_without_the_file_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    provided.cache_clear()
    monkeypatch.setattr("ctdb_eventd.handled._TABLE", "/nowhere/provided.txt")
    assert provided().row("00.ctdb", "/bin/sh") is None
    provided.cache_clear()


# ---------------------------------------------------------------------- what the scripts read first


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    (tmp_path / "functions").write_text(CONTENT)
    monkeypatch.setattr("ctdb_eventd.handled.provided", lambda: Table(f"functions {DIGEST} 4.22,4.24\n"))
    return Library(os.fspath(tmp_path))


def test_the_file_functions_must_be_ctdbs(library: Library, tmp_path: Path) -> None:
    assert library.versions() == {"4.22", "4.24"}
    (tmp_path / "functions").write_text(CONTENT + "# changed\n")
    assert library.versions() == set()
    (tmp_path / "functions").unlink()
    assert library.versions() == set()


def test_it_is_read_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.versions()
    monkeypatch.delattr("builtins.open")
    assert library.versions() == {"4.22", "4.24"}


@pytest.mark.parametrize("name", ["rc.local", "rc.local.d"])
def test_a_sites_own_code_makes_the_table_count_for_nothing(library: Library, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert library.versions() == set()
