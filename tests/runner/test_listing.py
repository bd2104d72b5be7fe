"""Which scripts an event runs: read afresh whenever the directory may have changed."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from ctdb_eventd import scripts
from ctdb_eventd.errors import NoSuchComponent, UnreadableComponent
from ctdb_eventd.runner.listing import Listings
from ctdb_eventd.runner.notices import ScriptWarnings


@pytest.fixture
def component(tmp_path: Path) -> Path:
    """A component's directory with one script."""
    directory = tmp_path / "legacy"
    directory.mkdir()
    add(directory, "10.b.script")
    return directory


def add(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)


def make_listings(events_dir: str) -> Listings:
    return Listings(events_dir, ScriptWarnings(events_dir))


def names(listings: Listings, rule: scripts.NameRule = "both") -> list[str]:
    return [script.name for script in listings.of("legacy", rule)]


@pytest.fixture
def _an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of a directory counts as long ago."""
    monkeypatch.setattr(time, "time_ns", lambda now=time.time_ns: now() + 3600 * 10**9)


def test_scripts_come_in_the_order_in_which_they_run(component: Path) -> None:
    add(component, "00.z.script", "10.a.script", "20.bare", "no script")
    assert names(make_listings(os.fspath(component.parent))) == ["00.z", "10.a", "10.b", "20.bare"]


def test_a_script_that_was_added_or_removed_just_now_counts(component: Path) -> None:
    listings = make_listings(os.fspath(component.parent))
    assert names(listings) == ["10.b"]
    add(component, "00.a.script")
    assert names(listings) == ["00.a", "10.b"]
    (component / "10.b.script").unlink()
    assert names(listings) == ["00.a"]


def test_a_directory_that_has_just_changed_is_read_again(component: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listings = make_listings(os.fspath(component.parent))
    assert listings.of("legacy", "both") is not listings.of("legacy", "both")


@pytest.mark.usefixtures("_an_hour_later")
def test_a_directory_that_has_settled_is_read_once(component: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listings = make_listings(os.fspath(component.parent))
    first = listings.of("legacy", "both")
    monkeypatch.setattr(os, "listdir", None)
    assert listings.of("legacy", "both") is first


@pytest.mark.usefixtures("_an_hour_later")
def test_a_settled_directory_that_changes_is_read_again(component: Path) -> None:
    listings = make_listings(os.fspath(component.parent))
    assert names(listings) == ["10.b"]
    add(component, "00.a.script")
    os.utime(component, ns=(1, 1))
    assert names(listings) == ["00.a", "10.b"]


@pytest.mark.usefixtures("_an_hour_later")
def test_another_directory_in_its_place_is_read(component: Path) -> None:
    listings = make_listings(os.fspath(component.parent))
    assert names(listings) == ["10.b"]
    component.rename(component.with_name("old"))
    component.mkdir()
    assert names(listings) == []


@pytest.mark.usefixtures("_an_hour_later")
def test_another_rule_for_names_counts_at_once(component: Path) -> None:
    add(component, "20.bare")
    listings = make_listings(os.fspath(component.parent))
    assert names(listings, "both") == ["10.b", "20.bare"]
    assert names(listings, "suffix") == ["10.b"]
    assert names(listings, "bare") == ["20.bare"]
    assert names(listings, "auto") == ["10.b"]


@pytest.mark.usefixtures("_an_hour_later")
def test_whether_a_script_may_run_is_not_remembered(component: Path) -> None:
    listings = make_listings(os.fspath(component.parent))
    assert [script.enabled() for script in listings.of("legacy", "both")] == [True]
    (component / "10.b.script").chmod(0o644)
    assert [script.enabled() for script in listings.of("legacy", "both")] == [False]


def test_a_component_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(NoSuchComponent) as caught:
        make_listings(os.fspath(tmp_path)).of("legacy", "both")
    assert str(caught.value) == f"component legacy does not exist: {tmp_path}/legacy is not a directory"


def test_a_component_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "legacy").write_text("")
    with pytest.raises(NoSuchComponent):
        make_listings(os.fspath(tmp_path)).of("legacy", "both")


@pytest.mark.usefixtures("_an_hour_later")
def test_a_component_that_vanishes_and_comes_back(component: Path) -> None:
    listings = make_listings(os.fspath(component.parent))
    assert names(listings) == ["10.b"]
    away = component.rename(component.with_name("away"))
    with pytest.raises(NoSuchComponent):
        names(listings)
    away.rename(component)
    assert names(listings) == ["10.b"]


def test_a_directory_that_vanishes_between_the_two_looks(component: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(directory: str) -> list[str]:
        raise FileNotFoundError(errno.ENOENT, "gone", directory)

    monkeypatch.setattr(os, "listdir", gone)
    with pytest.raises(NoSuchComponent):
        names(make_listings(os.fspath(component.parent)))


def test_a_component_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "legacy").symlink_to("legacy")
    with pytest.raises(UnreadableComponent) as caught:
        make_listings(os.fspath(tmp_path)).of("legacy", "both")
    assert str(caught.value) == f"{tmp_path}/legacy can't be read: {os.strerror(errno.ELOOP)}"


def test_an_empty_component_has_no_scripts(tmp_path: Path) -> None:
    (tmp_path / "legacy").mkdir()
    assert names(make_listings(os.fspath(tmp_path))) == []


def test_what_is_worth_a_word_is_logged(component: Path, caplog: pytest.LogCaptureFixture) -> None:
    add(component, "20.bare")
    names(make_listings(os.fspath(component.parent)))
    assert [record.getMessage().split()[0] for record in caplog.records] == [f"{component}/20.bare"]
