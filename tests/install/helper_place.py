"""A helper directory with the shell file in it, started as ctdbd does it."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import attrs
from fake_ctdb_path import answers_for, ctdb_path
from nodes import TIMEOUT

from ctdb_eventd_install.fallback import Daemon, render
from ctdb_eventd_install.places import NodePlaces

READY = struct.pack("=I", 0)
# What every event daemon does first; /proc, since the shell knows no descriptors of two digits.
OWN_DAEMON = """#!/bin/sh
printf '\\0\\0\\0\\0' >/proc/self/fd/"$4"
echo "$$ $*" >{said}
"""
SHELL = shutil.which("dash") or "/bin/sh"


@attrs.frozen(kw_only=True)
class Ended:
    """How a start through the shell file ended."""

    told: bytes
    """What came through the start-up descriptor."""
    pid: int
    status: int
    stderr: str


class Place:
    """A helper directory with the shell file in it, CTDB's programs beside it, and a logger that notes all."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said = directory / "said"
        self.logged = directory / "logged"
        self.places = NodePlaces(root="/", helper_dir=str(directory))
        self.program("ctdb-eventd.ctdb", OWN_DAEMON.format(said=self.said))
        ctdb_path(directory, answers_for(directory / "node"))
        self.program("bin/logger", f'#!/bin/sh\necho "$*" >>{self.logged}\n')

    def program(self, name: str, text: str) -> str:
        """Writes an executable file."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def install(self, program: str, python: str = sys.executable, option: str = "") -> None:
        """Writes the shell file."""
        daemon = Daemon(program=program, python=python, python_option=option)
        self.program("ctdb-eventd", render(daemon, self.places, "forget").decode())

    def start(
        self,
        lowest_fd: int = 3,
        environ: dict[str, str] | None = None,
        shell: str = SHELL,
        cwd: Path | None = None,
    ) -> tuple[subprocess.Popen[str], int]:
        """Starts it as ctdbd does; returns the process and our end of its start-up pipe."""
        read_end, write_end = os.pipe()
        fd = fcntl.fcntl(write_end, fcntl.F_DUPFD, lowest_fd)
        path = f"{self.directory}/bin:{os.environ['PATH']}"
        command = [shell, self.places.helper, "-P", str(os.getpid()), "-S", str(fd)]
        process = subprocess.Popen(
            command,
            cwd=cwd,
            pass_fds=[fd],
            env={**os.environ, **(environ or {}), "PATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(write_end)
        os.close(fd)
        return process, read_end

    def run(
        self,
        lowest_fd: int = 3,
        shell: str = SHELL,
        environ: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Ended:
        """Starts it and waits for its end."""
        process, read_end = self.start(lowest_fd, environ, shell, cwd)
        with open(read_end, "rb") as pipe:
            told = pipe.read()
        stderr = process.communicate(timeout=TIMEOUT)[1]
        return Ended(told=told, pid=process.pid, status=process.returncode, stderr=stderr)


def check_fell_back(place: Place, ended: Ended, reason: str) -> None:
    assert ended.told == READY
    assert ended.status == 0
    pid, *arguments = place.said.read_text().split()
    assert int(pid) == ended.pid, "ctdbd watches and ends the process that it started"
    assert arguments[:3] == ["-P", str(os.getpid()), "-S"]
    logged = place.logged.read_text()
    assert logged.startswith("-t ctdb-eventd -p daemon.err -- can't start ")
    assert reason in logged
    assert "starting CTDB's own event daemon instead" in logged
    assert "ctdb-eventd: can't start " in ended.stderr
    assert reason in ended.stderr
