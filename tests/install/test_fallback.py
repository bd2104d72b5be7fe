"""The shell file in the helper's place: it starts ours if that runs, else CTDB's, as the same process."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest
from nodes import PATIENCE, Node

from ctdb_eventd_install.fallback import CHECK, Daemon, find_daemon, is_ours, program_in, render, why_it_does_not_run
from ctdb_eventd_install.places import NodePlaces
from ctdb_eventd_install.problems import NotAPythonProgram

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
    """A helper directory with the shell file in it, CTDB's daemon beside it, and a logger that notes what it's told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said = directory / "said"
        self.logged = directory / "logged"
        self.places = NodePlaces(root="/", helper_dir=str(directory))
        self.program("ctdb-eventd.ctdb", OWN_DAEMON.format(said=self.said))
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
        self, lowest_fd: int = 3, environ: dict[str, str] | None = None, shell: str = SHELL
    ) -> tuple[subprocess.Popen[str], int]:
        """Starts it as ctdbd does; returns the process and our end of its start-up pipe."""
        read_end, write_end = os.pipe()
        fd = fcntl.fcntl(write_end, fcntl.F_DUPFD, lowest_fd)
        path = f"{self.directory}/bin:{os.environ['PATH']}"
        command = [shell, self.places.helper, "-P", str(os.getpid()), "-S", str(fd)]
        process = subprocess.Popen(
            command,
            pass_fds=[fd],
            env={**os.environ, **(environ or {}), "PATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(write_end)
        os.close(fd)
        return process, read_end

    def run(self, lowest_fd: int = 3, shell: str = SHELL) -> Ended:
        """Starts it and waits for its end."""
        process, read_end = self.start(lowest_fd, shell=shell)
        with open(read_end, "rb") as pipe:
            told = pipe.read()
        stderr = process.communicate(timeout=PATIENCE)[1]
        return Ended(told=told, pid=process.pid, status=process.returncode, stderr=stderr)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty helper directory."""
    return Place(tmp_path)


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


# ---------------------------------------------------------------------- kinds of breakage


def test_the_whole_installation_has_gone(place: Place) -> None:
    place.install("/nonexistent/venv/bin/ctdb-eventd", python="/nonexistent/venv/bin/python")
    check_fell_back(place, place.run(), "it is missing, or is not executable")


def test_the_link_to_python_leads_nowhere(place: Place) -> None:
    python = place.directory / "python"
    python.symlink_to("/usr/bin/python2.99")
    program = place.program("venv/ctdb-eventd", f"#!{python}\n")
    place.install(program, python=str(python))
    check_fell_back(place, place.run(), f"its Python, {python}, is missing")


def test_the_package_is_missing_for_this_python(place: Place) -> None:
    """As after an upgrade of Python: without the site directory it finds nothing that was installed."""
    program = place.program("venv/ctdb-eventd", f"#!{sys.executable} -IS\nimport ctdb_eventd.cli\n")
    place.install(program, option="-IS")
    check_fell_back(place, place.run(), "ModuleNotFoundError: No module named 'ctdb_eventd'")


def test_a_module_is_damaged(place: Place) -> None:
    """As after an upgrade that was broken off."""
    place.program("venv/broken.py", "def half(:\n")
    path = f"import sys\nsys.path.insert(0, {str(place.directory / 'venv')!r})\n"
    place.install(place.program("venv/ctdb-eventd", f"{path}import broken\n"))
    check_fell_back(place, place.run(), "SyntaxError: invalid syntax")


def test_anyio_is_damaged_where_only_an_event_loop_notices(place: Place) -> None:
    damage = "import anyio\ndef run(*_): raise ImportError('no back end')\nanyio.run = run\n"
    place.install(place.program("venv/ctdb-eventd", damage))
    check_fell_back(place, place.run(), "ImportError: no back end")


def test_python_itself_crashes(place: Place) -> None:
    program = place.program("venv/ctdb-eventd", "import os, signal\nos.kill(os.getpid(), signal.SIGABRT)\n")
    place.install(program)
    check_fell_back(place, place.run(), "with exit status 134")


def test_the_program_gives_up_without_a_word(place: Place) -> None:
    place.install(place.program("venv/ctdb-eventd", "raise SystemExit(3)\n"))
    check_fell_back(place, place.run(), "trying it ended with exit status 3")


def test_trying_it_takes_too_long(place: Place) -> None:
    """The limit is the command timeout's; this one doesn't make us wait for it."""
    place.program("bin/timeout", '#!/bin/sh\ncase "$*" in *logger*) shift; exec "$@" ;; esac\nexit 124\n')
    place.install(place.program("venv/ctdb-eventd", ""))
    check_fell_back(place, place.run(), "took more than 5 seconds")


@pytest.mark.parametrize("shell", [SHELL, "bash"])
def test_descriptors_of_two_digits_reach_the_daemon(place: Place, shell: str) -> None:
    """Shells have the file that they read open themselves, as 10 or 255; on RPM systems sh is bash."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    place.install("/nonexistent")
    check_fell_back(place, place.run(lowest_fd=10, shell=shell), "it is missing")


def test_the_log_can_be_broken_as_well(place: Place) -> None:
    place.program("bin/logger", "#!/bin/sh\nexit 1\n")
    place.install("/nonexistent")
    ended = place.run()
    assert (ended.told, ended.status) == (READY, 0)


def test_with_neither_daemon_it_says_so_and_fails(place: Place) -> None:
    place.install("/nonexistent")
    (place.directory / "ctdb-eventd.ctdb").unlink()
    ended = place.run()
    assert (ended.told, ended.status) == (b"", 1)
    assert "Install CTDB's package again" in ended.stderr
    assert "Install CTDB's package again" in place.logged.read_text()


# ---------------------------------------------------------------------- ours is fine


@pytest.mark.parametrize("lowest_fd", [3, 10])
def test_ours_is_started_as_the_very_process(place: Place, tmp_path: Path, lowest_fd: int) -> None:
    node = Node(tmp_path / "node")
    program = place.program(
        "with space/ctdb-eventd",
        f"#!{sys.executable}\nimport sys\nfrom ctdb_eventd.cli import main\nsys.exit(main())\n",
    )
    place.install(program)
    process, read_end = place.start(lowest_fd, node.environ)
    with open(read_end, "rb", buffering=0) as pipe:
        assert pipe.read(4) == READY
        assert int((node.base / "run" / "eventd.pid").read_text()) == process.pid
        assert Path(f"/proc/{process.pid}/comm").read_text() == "ctdb-eventd\n"
        process.send_signal(signal.SIGTERM)
        assert pipe.read() == b""
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0
    assert not place.logged.exists()
    assert not place.said.exists()


def test_the_check_is_soon_over(place: Place) -> None:
    """ctdbd waits for ten seconds altogether; what is typical is in the manual."""
    place.install(place.program("venv/ctdb-eventd", "import sys\nfrom ctdb_eventd.cli import main\nsys.exit(main())\n"))
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", CHECK, str(place.directory / "venv/ctdb-eventd")], check=True)
    assert time.monotonic() - began < 5


# ---------------------------------------------------------------------- making and recognising the file


def test_the_installer_makes_the_same_check(place: Place) -> None:
    good = place.program(
        "good", f"#!{sys.executable}\nimport sys\nfrom ctdb_eventd.cli import main\nsys.exit(main())\n"
    )
    assert why_it_does_not_run(find_daemon(good, good)) is None
    bad = place.program("bad", f"#!{sys.executable}\nimport no_such_module\n")
    assert why_it_does_not_run(find_daemon(bad, bad)) == "ModuleNotFoundError: No module named 'no_such_module'"
    silent = place.program("silent", f"#!{sys.executable}\nraise SystemExit(3)\n")
    assert why_it_does_not_run(find_daemon(silent, silent)) == "trying it ended with exit status 3"
    gone = Daemon(program=good, python="/nonexistent/python", python_option="-I")
    assert why_it_does_not_run(gone) == "/nonexistent/python: No such file or directory"


def test_a_check_without_an_end_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctdb_eventd_install.fallback._CHECK_SECONDS", 0.01)
    program = place.program("slow", f"#!{sys.executable}\n")
    assert why_it_does_not_run(find_daemon(program, program)) == "trying it took more than 0.01 seconds"


@pytest.mark.parametrize(
    ("first_line", "python", "option"),
    [
        ("#!/opt/venv/bin/python3", "/opt/venv/bin/python3", ""),
        ("#!/usr/bin/python3 -IS", "/usr/bin/python3", "-IS"),
        ("#!/bin/sh", sys.executable, ""),
    ],
)
def test_the_first_line_names_the_python(place: Place, first_line: str, python: str, option: str) -> None:
    program = place.program("program", f"{first_line}\n")
    assert find_daemon("/shown", program) == Daemon(program="/shown", python=python, python_option=option)


def test_what_is_no_python_program_is_refused(place: Place) -> None:
    for text in ("", "#!/usr/bin/perl\n", "#!\n", "\x7fELF"):
        with pytest.raises(NotAPythonProgram, match=r"/shown can't be used .* names no Python"):
            find_daemon("/shown", place.program("program", text))
    with pytest.raises(NotAPythonProgram, match="No such file"):
        find_daemon("/shown", "/nonexistent")
    plain = place.program("plain", f"#!{sys.executable}\n")
    os.chmod(plain, 0o644)
    with pytest.raises(NotAPythonProgram, match="not executable"):
        find_daemon("/shown", plain)


def test_paths_are_quoted(place: Place) -> None:
    awkward = "/opt/it's $HOME `here`/ctdb-eventd"
    place.install(awkward)
    assert is_ours(place.places.helper)
    assert program_in(place.places.helper) == awkward
    assert awkward in place.run().stderr


def test_other_files_are_not_ours(place: Place) -> None:
    other = place.program("other", "#!/bin/sh\n")
    assert not is_ours(other)
    assert program_in(other) is None
    assert not is_ours("/nonexistent")


def test_what_it_says_is_in_the_manual() -> None:
    top = Path(__file__).resolve().parents[2]
    manual = (top / "docs/installation.md").read_text()
    text = (top / "contrib/install/ctdb_eventd_install/ctdb-eventd.sh").read_text()
    said = re.findall(r'(?:reason=|say )"((?!\$[({])[^"]+)"', text)
    assert len(said) == 6
    words = {"$program": "PROGRAM", "$python": "PATH", "$reason": "REASON", "$kept": "KEPT", "$status": "N"}
    for message in said:
        for variable, shown in words.items():
            message = message.replace(variable, shown)
        assert f"`{message}`" in manual
