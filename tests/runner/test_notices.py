"""What is pointed out about script files that CTDB's own daemon would treat otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctdb_eventd import scripts
from ctdb_eventd.runner.notices import ListingNotices


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level("DEBUG", "ctdb_eventd"):
        yield


def make(directory: Path, *names: str, mode: int = 0o755) -> None:
    for name in names:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(mode)


def look(notices: ListingNotices, directory: Path, rule: scripts.NameRule = "both") -> None:
    notices.look_at(scripts.discover(os.fspath(directory), directory.name, rule))


def test_a_bare_name_that_runs_is_pointed_out_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "10.bare", "20.usual.script")
    notices = ListingNotices()
    look(notices, tmp_path)
    look(notices, tmp_path)
    assert caplog.messages == [
        f"{tmp_path}/10.bare runs here, but not under CTDB's own event daemon: that wants the name 10.bare.script"
    ]
    assert caplog.records[0].levelname == "WARNING"


def test_a_hidden_bare_name_is_pointed_out_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "10.both", "10.both.script")
    notices = ListingNotices()
    look(notices, tmp_path)
    look(notices, tmp_path)
    path = tmp_path / "10.both"
    assert caplog.messages == [f"{path} is ignored: {path}.script has the same name and wins"]


@pytest.mark.parametrize("rule", ["suffix", "both"])
def test_usual_names_are_not_worth_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rule: scripts.NameRule
) -> None:
    make(tmp_path, "10.usual.script", "README")
    look(ListingNotices(), tmp_path, rule)
    assert caplog.messages == []


def test_a_bare_name_is_pointed_out_once_it_is_enabled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "10.bare", mode=0o644)
    notices = ListingNotices()
    look(notices, tmp_path)
    assert caplog.messages == []
    make(tmp_path, "10.bare")
    look(notices, tmp_path)
    assert len(caplog.messages) == 1


def test_a_bare_name_that_was_hidden_is_pointed_out_when_it_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "10.both", "10.both.script")
    notices = ListingNotices()
    look(notices, tmp_path)
    (tmp_path / "10.both.script").unlink()
    look(notices, tmp_path)
    assert ["is ignored" in text for text in caplog.messages] == [True, False]
