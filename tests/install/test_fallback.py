"""The shell file in the helper's place: it starts ours if that runs, else CTDB's, as the same process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import TIMEOUT, Node

from ctdb_eventd_install.fallback import CHECK, Daemon, find_daemon, why_it_does_not_run

from .helper_place import READY, SHELL, Place, check_fell_back

_LEAVES_A_CHILD = """import os, subprocess
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
with open(os.path.join(os.path.dirname(__file__), "child"), "w") as file:
    file.write(str(child.pid))
raise ImportError("here it is")
"""
_NO_PIDFDS = """import os
def pidfd_open(*_):
    raise OSError(38, os.strerror(38))
os.pidfd_open = pidfd_open
"""
_NO_STANDARD_LIBRARY = """Fatal Python error: init_fs_encoding: failed to get the Python codec
Python runtime state: core initialized
ModuleNotFoundError: No module named 'encodings'

Current thread 0x00007f0000000000 (most recent call first):
  <no Python frame>
"""


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


@pytest.mark.parametrize("what", ["python", "program"])
def test_python_or_the_program_is_replaced_while_it_is_tried(place: Place, what: str) -> None:
    """As by an upgrade that is at work: what was tried is not what would be started."""
    python = place.directory / "python"
    python.symlink_to(sys.executable)
    place.program("later", "#!/bin/sh\nexit 1\n")
    replaced = python if what == "python" else place.directory / "venv/ctdb-eventd"
    program = place.program(
        "venv/ctdb-eventd", f"import os\nos.rename({str(place.directory / 'later')!r}, {str(replaced)!r})\n"
    )
    place.install(program, python=str(python))
    # by its new name Python doesn't find the environment's modules
    ended = place.run(environ={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    check_fell_back(place, ended, "replaced while it was tried: an upgrade is in progress")


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


def test_what_keeps_its_output_open_does_not_outlast_the_limit(place: Place) -> None:
    """Neither in the shell nor in the installer; the try itself ends at once, with its error."""
    place.install(place.program("venv/ctdb-eventd", _LEAVES_A_CHILD))
    process, read_end = place.start()
    child = 0
    try:
        with open(read_end, "rb") as pipe:
            assert pipe.read(4) == READY
        assert process.wait(timeout=TIMEOUT) == 0
        assert place.logged.read_text().count("(ImportError: here it is)") == 1
        child = int((place.directory / "venv/child").read_text())
        assert Path(f"/proc/{child}").exists(), "the child has to outlive what tried the daemon"
    finally:
        os.kill(child, signal.SIGKILL) if child else None
    process.communicate(timeout=TIMEOUT)
    program = place.program("venv/installer", f"#!{sys.executable}\n{_LEAVES_A_CHILD}")
    assert why_it_does_not_run(find_daemon(program, program), str(place.directory)) == "ImportError: here it is"
    os.kill(int((place.directory / "venv/child").read_text()), signal.SIGKILL)


def test_what_a_damaged_python_adds_is_not_the_reason(place: Place) -> None:
    """Such a one has no traceback: it ends with where each thread was."""
    python = place.program("python", f"#!/bin/sh\ncat >&2 <<'END'\n{_NO_STANDARD_LIBRARY}END\nexit 1\n")
    program = place.program("venv/ctdb-eventd", f"#!{python}\n")
    place.install(program, python=python)
    check_fell_back(place, place.run(), "(ModuleNotFoundError: No module named 'encodings')")
    daemon = Daemon(program=program, python=python)
    assert why_it_does_not_run(daemon, str(place.directory)) == "ModuleNotFoundError: No module named 'encodings'"


@pytest.mark.parametrize(("option", "reason"), [("ST_NOEXEC", "noexec"), ("ST_RDONLY", "read-only")])
def test_a_state_directory_where_programs_cant_be_put_or_run(place: Place, option: str, reason: str) -> None:
    """The daemon refuses to start on such a node."""
    mounted = next(filter(lambda path: _is_mounted(path, option), _mount_points()), None)
    if mounted is None:
        pytest.skip(f"no file system that is mounted {reason}")
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": f"{mounted}/not/there/yet"}
    place.install(place.program("venv/ctdb-eventd", f"#!{sys.executable}\n"))
    ended = place.run(environ=environ)
    check_fell_back(place, ended, f"{mounted}/not/there/yet/var is on a file system that is mounted {reason}")


def _mount_points() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if "\\" not in line.split()[4]]


def _is_mounted(path: str, option: str) -> bool:
    """Returns whether it is so and nothing else is wrong with it."""
    both = os.ST_NOEXEC | os.ST_RDONLY
    try:
        return os.path.isdir(path) and os.statvfs(path).f_flag & both == getattr(os, option)
    except OSError:
        return False


def test_a_kernel_without_pidfds(place: Place) -> None:
    """Linux before 5.3, or a container that forbids them."""
    place.install(place.program("venv/ctdb-eventd", _NO_PIDFDS))
    check_fell_back(place, place.run(), "Linux 5.3 or later is needed: pidfd_open: [Errno 38] Function not implemented")


def test_the_current_directory_has_no_say(place: Place) -> None:
    """What a stranger has put into /tmp is neither run nor found: root may stand there when he looks at the node."""
    trap = place.directory / "trap"
    for name in ("argparse", "runpy", "os", "anyio", "stray"):
        place.program(f"trap/{name}.py", f"open({str(place.said) + name!r}, 'w')\n")
    good = place.program("venv/good", "import argparse, os, sys\nfrom ctdb_eventd.cli import main\nsys.exit(main())\n")
    stray = place.program("venv/stray", f"#!{sys.executable}\nimport stray\n")
    script = "import sys\nfrom ctdb_eventd_install.fallback import *\n" + (
        f"d = {str(place.directory)!r}\n"
        f"print([why_it_does_not_run(Daemon(program=p, python=sys.executable), d) for p in ({good!r}, {stray!r})])"
    )
    run = subprocess.run([sys.executable, "-P", "-c", script], cwd=trap, capture_output=True, text=True, check=True)
    missing = "ModuleNotFoundError: No module named 'stray'"
    assert run.stdout == f"{[None, missing]}\n"
    place.install(stray)
    check_fell_back(place, place.run(cwd=trap), missing)
    assert not list(place.directory.glob("said?*"))


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


def test_what_was_tried_is_what_is_started(place: Place) -> None:
    """Whatever the program's first line says by now: a shell whose exec fails could not fall back any more."""
    program = place.program("venv/ctdb-eventd", "#!/nonexistent/python3.10\nimport sys\nprint(sys.argv[1:3])\n")
    place.install(program)
    process, read_end = place.start()
    with open(read_end, "rb") as pipe:
        assert pipe.read() == b""
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert not place.logged.exists()


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
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        assert command[:2] == [os.fsencode(sys.executable), os.fsencode(program)]
        process.send_signal(signal.SIGTERM)
        assert pipe.read() == b""
    assert process.communicate(timeout=TIMEOUT)[1] == ""
    assert process.returncode == 0
    assert not place.logged.exists()
    assert not place.said.exists()


def test_the_real_program_passes_the_check(place: Place) -> None:
    place.install(place.program("venv/ctdb-eventd", "import sys\nfrom ctdb_eventd.cli import main\nsys.exit(main())\n"))
    program, helpers = str(place.directory / "venv/ctdb-eventd"), str(place.directory)
    subprocess.run([sys.executable, "-c", CHECK, program, helpers], check=True)
