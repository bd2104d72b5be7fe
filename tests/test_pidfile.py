"""The pid file: one instance at a time, by a lock that ends with its process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctdb_eventd.errors import AlreadyRunning, StartupError
from ctdb_eventd.pidfile import PidFile

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
file.write(sys.argv[2])
file.flush()
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, content: str) -> Iterator[None]:
    """Another process holds the lock and has written `content`."""
    command = [sys.executable, "-c", HOLD, os.fspath(path), content]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        yield


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_it_holds_our_pid_until_it_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "eventd.pid"
    descriptors = open_descriptors()
    pid_file = PidFile(os.fspath(path))
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.remove()
    assert not path.exists()
    assert open_descriptors() == descriptors


def test_what_a_dead_instance_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "eventd.pid"
    path.write_text("123456789012345\n")
    pid_file = PidFile(os.fspath(path))
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.remove()


def test_nobody_else_can_lock_it(tmp_path: Path) -> None:
    """Whoever can open it can lock it."""
    path = tmp_path / "eventd.pid"
    path.touch(0o644)
    pid_file = PidFile(os.fspath(path))
    assert path.stat().st_mode & 0o777 == 0o600
    pid_file.remove()


def test_a_read_lock_is_no_running_daemon(tmp_path: Path) -> None:
    """Any user could take one while CTDB's daemon left the file readable."""
    path = tmp_path / "eventd.pid"
    path.write_text("1\n")
    hold = "import fcntl, sys; fcntl.lockf(sys.stdin, fcntl.LOCK_SH); print('locked', flush=True); sys.stderr.read()"
    reader, writer = os.pipe()
    with (
        path.open() as file,
        subprocess.Popen(
            [sys.executable, "-c", hold.replace("sys.stderr.read()", f"__import__('os').read({reader}, 1)")],
            stdin=file,
            stdout=subprocess.PIPE,
            pass_fds=[reader],
        ) as stranger,
    ):
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == b"locked\n"
        pid_file = PidFile(os.fspath(path))
        assert path.read_text() == f"{os.getpid()}\n"
        pid_file.remove()
        os.write(writer, b"x")
    os.close(reader)
    os.close(writer)


def test_a_second_instance_is_refused_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "eventd.pid"
    descriptors = open_descriptors()
    with held(path, "4711\n"):
        before = open_descriptors()
        with pytest.raises(AlreadyRunning) as caught:
            PidFile(os.fspath(path))
        assert (caught.value.pid_file, caught.value.pid) == (os.fspath(path), 4711)
        assert path.read_text() == "4711\n"
        assert open_descriptors() == before
    assert open_descriptors() == descriptors


@pytest.mark.parametrize("content", ["", "starting"])
def test_a_holder_that_has_not_written_its_pid_is_another_process(tmp_path: Path, content: str) -> None:
    path = tmp_path / "eventd.pid"
    with held(path, content), pytest.raises(AlreadyRunning, match=r"^another process already runs"):
        PidFile(os.fspath(path))


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "eventd.pid"
    with held(path, "4711\n"):
        pass
    PidFile(os.fspath(path)).remove()


def test_a_file_that_cannot_be_made_is_a_startup_error(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "eventd.pid"
    with pytest.raises(StartupError) as caught:
        PidFile(os.fspath(path))
    assert str(caught.value) == f"can't open the pid file {path}: No such file or directory"


def test_a_file_that_cannot_be_written_is_a_startup_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StartupError, match="No space left on device"):
        PidFile(os.fspath(tmp_path / "eventd.pid"))


def test_a_file_that_somebody_removed_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "eventd.pid"
    pid_file = PidFile(os.fspath(path))
    path.unlink()
    pid_file.remove()


def test_another_instances_file_stays(tmp_path: Path) -> None:
    """Somebody removed ours, so another daemon could start."""
    path = tmp_path / "eventd.pid"
    first = PidFile(os.fspath(path))
    path.unlink()
    path.write_text("4711")
    first.remove()
    assert path.read_text() == "4711"
