"""Reading what the machine is doing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctdb_eventd.scheduler.admission import Load
from ctdb_eventd.scheduler.load import LoadReader, processors


def reading(path: Path) -> Load | None:
    reader = LoadReader(os.fspath(path))
    try:
        return reader()
    finally:
        reader.close()


@pytest.mark.parametrize(("field", "runnable"), [("1/345", 0), ("3/345", 2), ("0/1", 0), ("1200/99999", 1199)])
def test_whoever_asks_is_not_counted(tmp_path: Path, field: str, runnable: int) -> None:
    (tmp_path / "loadavg").write_text(f"0.42 0.30 0.20 {field} 6789\n")
    assert reading(tmp_path / "loadavg") == Load(runnable)


@pytest.mark.parametrize("text", ["", "0.42 0.30", "0.42 0.30 0.20 many/345 6789\n", "\xff"])
def test_a_file_that_says_something_else_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "loadavg").write_text(text)
    assert reading(tmp_path / "loadavg") is None


def test_without_the_file_every_reading_is_none(tmp_path: Path) -> None:
    assert reading(tmp_path / "gone") is None


def test_each_reading_is_of_its_moment(tmp_path: Path) -> None:
    path = tmp_path / "loadavg"
    path.write_text("0 0 0 3/9 1\n")
    reader = LoadReader(os.fspath(path))
    assert reader() == Load(2)
    path.write_text("0 0 0 5/9 1\n")
    assert reader() == Load(4)
    reader.close()
    reader.close()
    assert reader() is None


def test_this_machine_can_be_read() -> None:
    reader = LoadReader()
    load = reader()
    reader.close()
    assert load is not None
    assert load.runnable >= 0


def test_only_processors_that_may_be_used_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7})
    assert processors() == 3
