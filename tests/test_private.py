"""Files and directories of the daemon's own: nobody else may change them, whatever lies in their place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from modes import umask

from ctdb_eventd.errors import StartupError
from ctdb_eventd.private import own_directory, own_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_umask_doesnt_count(tmp_path: Path) -> None:
    with umask(0):
        own_directory(os.fspath(tmp_path / "above/own"))
        os.close(own_file(os.fspath(tmp_path / "above/own/file")))
    modes = [mode(tmp_path / path) for path in ("above", "above/own", "above/own/file")]
    assert modes == [0o755, 0o700, 0o600]


def test_what_is_too_open_is_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    path.chmod(0o666)
    os.close(own_file(os.fspath(path)))
    assert (mode(path), path.read_text()) == (0o600, "kept")
    assert f"{path} had mode 0666, so that others could change it: now it has 0600" in caplog.text


def a_link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def a_second_name(path: Path, target: Path) -> None:
    path.hardlink_to(target)


def a_directory(path: Path, _: Path) -> None:
    path.mkdir()


def a_fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("obstacle", [a_link, a_second_name, a_directory, a_fifo])
def test_what_is_no_file_of_its_own_is_refused(tmp_path: Path, obstacle: Callable[[Path, Path], None]) -> None:
    other = tmp_path / "other"
    other.write_text("of somebody")
    other.chmod(0o644)
    path = tmp_path / "file"
    obstacle(path, other)
    expected = f"{path} must be a pid file of ctdb-eventd's own, and is not; rm (-r )?{path}"
    with pytest.raises(StartupError, match=f"^{expected}$"):
        own_file(os.fspath(path), "pid file")
    assert (mode(other), other.read_text()) == (0o644, "of somebody")


@pytest.mark.parametrize("obstacle", [a_link, a_fifo])
def test_what_is_no_directory_is_refused(tmp_path: Path, obstacle: Callable[[Path, Path], None]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    path = tmp_path / "own"
    obstacle(path, other)
    expected = f"{path} must be a directory of ctdb-eventd's own, and is not; rm {path}"
    with pytest.raises(StartupError, match=f"^{expected}$"):
        own_directory(os.fspath(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    directory = tmp_path / "own"
    directory.mkdir()
    for place in path, directory:
        os.chown(place, 65534, 65534)
    with pytest.raises(StartupError, match=f"^{path} belongs to user 65534, who could change it; chown root {path}$"):
        own_file(os.fspath(path))
    with pytest.raises(StartupError, match=f"^{directory} belongs to user 65534, who could change it; chown root "):
        own_directory(os.fspath(directory))
