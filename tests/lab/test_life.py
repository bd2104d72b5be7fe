"""A lab leaves nothing behind, however it ends and however far it came."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ctdb_lab import CTDB_EVENTD, Lab, LabError, NoAnswer, Plan, wait_until
from ctdb_lab.lab import take_down
from ctdb_lab.plan import eventd_path
from ctdb_lab.processes import find_holder
from ctdb_lab.show import status

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("able")]

SOON = 20
_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT / "contrib" / "lab")}
_SMALL = ("--nodes", "2", "--addresses4", "2", "--addresses6", "0")


def _links() -> list[str]:
    # by the lab's own names: others may make links meanwhile
    return [name for _, name in socket.if_nameindex() if re.match(r"lab0|node\d|pub0", name)]


def _mounts() -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "ctdb" in line]


def _processes(directory: Path) -> list[str]:
    """Command lines that name the lab's directory, as those of all holders do; the rest goes with them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(directory) in command:
                found.append(command)
    return found


def _run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(directory, *arguments), env=_ENVIRONMENT, capture_output=True, text=True, check=False
    )


def _unread(directory: Path, *arguments: str) -> tuple[int, bytes]:
    """Runs it with an output that nobody reads; returns the exit status and what it said on stderr."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    run = subprocess.run(_command(directory, *arguments), env=_ENVIRONMENT, stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)
    return run.returncode, run.stderr


def _command(directory: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ctdb_lab", "--directory", str(directory), *arguments]


def test_nothing_of_it_is_outside_and_nothing_is_left(tmp_path: Path) -> None:
    """While it is there too, this machine's own links and mounts are what they were."""
    before = _links(), _mounts()
    with Lab(tmp_path / "lab", Plan(eventd=eventd_path("ours"), nodes=1)) as lab:
        daemons = [process.pid for process in lab.nodes[0].processes()]
        assert len(daemons) >= 3
        assert (_links(), _mounts()) == before
    assert not (tmp_path / "lab").exists()
    assert not _processes(tmp_path)
    assert (_links(), _mounts()) == before
    assert not [pid for pid in daemons if Path(f"/proc/{pid}/ns/net").exists()]


def test_a_lab_of_the_same_name_in_another_root_is_left_alone(tmp_path: Path) -> None:
    """Each root has a /tmp of its own, but the kernel shows the processes of all."""
    directory = tmp_path / "lab"
    with Lab(directory, Plan(eventd=eventd_path("ours"), nodes=1)) as lab:
        elsewhere = 'mount -t tmpfs other "$0" && mkdir "$0/lab" && exec "$@"'
        down = subprocess.run(
            ["unshare", "--mount", "sh", "-c", elsewhere, str(tmp_path), *_command(directory, "down")],
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (down.returncode, down.stderr) == (0, "")
        assert lab.nodes[0].is_running()


def test_a_killed_owner_takes_its_lab_with_it(tmp_path: Path) -> None:
    """Only files are left then, and `down` removes them."""
    program = (
        "import sys; from pathlib import Path; from ctdb_lab import *\n"
        "from ctdb_lab.plan import eventd_path\n"
        "with Lab(Path(sys.argv[1]), Plan(eventd=eventd_path('ours'), nodes=1)):\n"
        "    print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "lab")],
        env=_ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not _processes(tmp_path), SOON, "the lab to end", lambda: str(_processes(tmp_path)))
    assert take_down(tmp_path / "lab")
    assert not (tmp_path / "lab").exists()


def test_the_command_line_brings_it_up_shows_it_and_takes_it_down(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    up = _run(directory, "up", *_SMALL)
    try:
        assert up.returncode == 0, up.stderr
        again = _run(directory, "up", *_SMALL)
        assert again.returncode == 1
        assert "is there already" in again.stderr
        shown = _run(directory, "status")
        assert shown.returncode == 0, shown.stderr
        for text in ("pnn:1 10.99.0.2        OK", "10.100.1.1 ", "00.ctdb", "state: "):
            assert text in shown.stdout, shown.stdout
        assert _unread(directory, "status") == (0, b"")
    finally:
        down = _run(directory, "down")
    assert down.stdout == "The lab is gone, and all of its files\n"
    assert not directory.exists()
    assert not _processes(directory)
    assert _run(directory, "down").stdout == f"There is no lab in {directory}\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_broken_off_half_way(tmp_path: Path, number: signal.Signals) -> None:
    """kill -9 of `make lab` while its nodes come up: `down` finds all of it; other signals need no `down`."""
    directory = tmp_path / "lab"
    with subprocess.Popen(_command(directory, "up", *_SMALL), env=_ENVIRONMENT, stdout=subprocess.PIPE) as up:
        try:
            wait_until(lambda: find_holder(directory, "node0"), SOON, "a node to be made")
        finally:
            up.send_signal(number)
            # it must not wait for its reader
            up.communicate(timeout=SOON)
    assert directory.exists() == (number is signal.SIGKILL)
    down = _run(directory, "down")
    assert down.returncode == 0, down.stderr
    assert not directory.exists()
    assert not _processes(directory)


def test_a_daemon_that_is_not_the_wanted_one_is_no_success(tmp_path: Path) -> None:
    """As when ctdb-eventd-install's shell file falls back on CTDB's own, whatever name that has."""
    kept = tmp_path / "kept-eventd"
    kept.write_bytes(Path(CTDB_EVENTD).read_bytes())
    kept.chmod(0o755)
    other = tmp_path / "other-eventd"
    other.write_text(f'#!/bin/sh\nexec {kept} "$@"\n')
    other.chmod(0o755)
    with pytest.raises(LabError, match=f"the event daemon that runs is not {other}, but: {kept} -P"):
        Lab(tmp_path / "lab", Plan(eventd=str(other), nodes=1)).up()


def test_looking_at_another_daemon_does_not_end_it(tmp_path: Path) -> None:
    """Only ours knows the signal by which it tells its state, wherever CTDB's own lies."""
    copy = tmp_path / "copy"
    copy.write_bytes(Path(CTDB_EVENTD).read_bytes())
    copy.chmod(0o755)
    with Lab(tmp_path / "lab", Plan(eventd=str(copy), nodes=1, addresses4=1, addresses6=0)) as lab:
        before = lab.nodes[0].daemon("eventd")
        shown = "\n".join(status(lab))
        assert before is not None
        assert f"event daemon: {copy} -P" in shown
        assert "state: " not in shown
        assert lab.nodes[0].daemon("eventd") == before


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab", Plan(eventd=eventd_path("ours"), nodes=1, addresses4=1, addresses6=0)) as lab:
        with pytest.raises(NoAnswer, match=r"node 0: `sleep 999` was not over in 0\.1 s"):
            lab.nodes[0].run("sleep", "999", timeout=0.1)
        assert not [process for process in lab.nodes[0].processes() if "sleep 999" in process.command]


def test_the_shell_on_a_node_finds_the_commands(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab", Plan(eventd=eventd_path("ours"), nodes=1, addresses4=1, addresses6=0)) as lab:
        shell = lab.nodes[0].shell()
        assert f"    a shell on it: {' '.join(shell)}" in status(lab)
        asked = [*shell, "-c", "ctdb-event ping && ctdb pnn"]
        done = subprocess.run(asked, env={}, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_events_that_failed_are_named(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab", Plan(eventd=eventd_path("ours"), nodes=1, addresses4=1, addresses6=0)) as lab:
        (node,) = lab.nodes
        script = node.directory / "etc" / "events" / "legacy" / "01.bad.script"
        script.write_text('#!/bin/sh\n[ "$1" != ipreallocated ]\n')
        script.chmod(0o755)
        begin = time.time()
        assert node.ctdb_event("run", "30", "legacy", "ipreallocated").returncode != 0
        wait_until(lambda: node.failed_events(begin), SOON, "the failure to be in the history")
        assert re.match(r"node 0: ipreallocated: failed: 01\.bad; ctdb-event show \S+$", node.failed_events(begin)[0])


def test_sick_nodes_are_shown_as_such_and_the_others_too(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab", Plan(eventd=eventd_path("ours"), nodes=3, addresses4=3, addresses6=0)) as lab:
        for number, name in ((0, "ctdbd"), (1, "eventd")):
            daemon = lab.nodes[number].daemon(name)
            assert daemon is not None
            lab.nodes[number].kill(daemon, signal.SIGSTOP)
        sections = "\n".join(status(lab)).split("--- node ")
    assert len(sections) == 4
    assert "    ctdbd: no answer within 5 s\n" in sections[1]
    assert "    the event daemon: no answer within 3 s\n    `ctdb scriptstatus`: no answer within 5 s" in sections[2]
    assert "state: " in sections[3]


def test_a_node_that_can_not_start_says_why(tmp_path: Path) -> None:
    """And nothing is left of the lab."""
    broken = tmp_path / "broken-eventd"
    broken.write_text("#!/bin/sh\necho 'out of order' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(LabError, match="out of order"):
        Lab(tmp_path / "lab", Plan(eventd=str(broken), nodes=1)).up()
    assert not (tmp_path / "lab").exists()
    assert not _processes(tmp_path / "lab")
