"""Daemon, command line and library on a node whose CTDB has its places elsewhere, sockets and pid files apart."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_ctdb_path import answers_for, ctdb_path, write_program
from nodes import TIMEOUT, Node

import ctdb_event

READY = struct.pack("=I", 0)
_WITH_A_PROBLEM = """
import os, sys
import ctdb_eventd.cli as cli
from ctdb_eventd.paths import Paths
class Inquiry:
    def __init__(self, *_): pass
    def paths(self):
        paths = Paths(os.environ)
        paths.problem = "`/x/ctdb-path vardir` ended with exit status 1"
        return paths
cli.Inquiry = Inquiry
sys.exit(cli.main())
"""


class Elsewhere:
    """Such a node; its programs run outside of CTDB's test mode."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.helpers = base / "helpers"
        for name in ("etc/events/legacy", "data/events/legacy", "sockets", "pids", "var"):
            (base / name).mkdir(parents=True)
        (base / "etc/node.conf").write_text(f"[logging]\n  location = file:{base}/log\n")
        self.script("events/legacy/00.test.script", '#!/bin/sh\nls -d "$(command -v iptables)" || echo "$PATH"\n')
        ctdb_path(self.helpers, answers_for(base))
        named = {name: value for name, value in os.environ.items() if not name.startswith("CTDB_")}
        self.environ = {**named, "CTDB_HELPER_BINDIR": str(self.helpers)}

    def script(self, name: str, text: str) -> None:
        """Writes an event script."""
        path = self.base / "etc" / name
        path.write_text(text)
        path.chmod(0o755)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs our command line."""
        command = [sys.executable, "-m", "ctdb_event", *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=TIMEOUT)

    @contextlib.contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """Runs the daemon, told where the helpers are as the shell file tells it."""
        environ = {name: value for name, value in self.environ.items() if name != "CTDB_HELPER_BINDIR"}
        with _started(environ, "-m", "ctdb_eventd", "--helper-dir", str(self.helpers)) as process:
            yield process


@contextlib.contextmanager
def _started(environ: dict[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
    read_end, write_end = os.pipe()
    process = subprocess.Popen([sys.executable, *command, "-S", str(write_end)], env=environ, pass_fds=[write_end])
    os.close(write_end)
    try:
        with open(read_end, "rb", buffering=0) as pipe:
            assert pipe.read(4) == READY
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


def test_daemon_command_line_and_library_meet_where_ctdb_says(elsewhere: Elsewhere) -> None:
    base = elsewhere.base
    with elsewhere.daemon() as process:
        assert (base / "sockets/eventd.socket").is_socket()
        assert (base / "pids/eventd.pid").read_text() == f"{process.pid}\n"
        ran = elsewhere.cli("run", "30", "legacy", "monitor")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert f"{base}/var/eventd/bin" in elsewhere.cli("status", "legacy", "monitor").stdout, "wrappers are found"
        assert (base / "pids/eventd.locks").is_dir()
        assert "legacy" in elsewhere.cli("components").stdout
        with ctdb_event.Client(environ=elsewhere.environ) as client:
            assert client.path == f"{base}/sockets/eventd.socket"
            assert client.run("legacy", "monitor").scripts[0].name == "00.test"
    assert not list((base / "sockets").iterdir())
    assert not (base / "pids/eventd.pid").exists()
    assert "warning" not in (base / "log").read_text()


def test_scripts_and_configuration_are_found_without_a_daemon(elsewhere: Elsewhere) -> None:
    provided = elsewhere.base / "data/events/legacy/10.more.script"
    provided.write_text("#!/bin/sh\n")
    provided.chmod(0o755)
    assert elsewhere.cli("script", "list", "legacy").stdout == "  10.more\n\n* 00.test\n"
    assert elsewhere.cli("script", "enable", "legacy", "10.more").returncode == 0
    assert (elsewhere.base / "etc/events/legacy/10.more.script").readlink() == provided
    (elsewhere.base / "etc/node.conf").write_text("nonsense\n")
    assert f"{elsewhere.base}/etc/node.conf" in elsewhere.cli("lint").stdout


def test_without_an_answer_the_command_line_says_why_it_finds_nothing(elsewhere: Elsewhere) -> None:
    if Path("/run/ctdb/eventd.socket").exists():
        pytest.skip("an event daemon listens in the built-in place on this machine")
    write_program(elsewhere.helpers, "exit 1")
    for command in (["status", "legacy", "monitor"], ["ps"]):
        done = elsewhere.cli(*command)
        assert done.returncode == 1
        assert "can't get the path of the event daemon's socket from CTDB: `" in done.stderr
        assert f"{elsewhere.helpers}/ctdb-path config` ended with exit status 1" in done.stderr
        assert "--socket PATH" in done.stderr
    with pytest.raises(ctdb_event.BrokerUnavailable, match="can't get the path of the broker's socket from CTDB: `"):
        ctdb_event.Client(environ=elsewhere.environ)
    listed = elsewhere.cli("script", "list", "no-such-component")
    assert "using the built-in paths, /etc/ctdb/ctdb.conf and /etc/ctdb/events" in listed.stderr
    assert "using the built-in ones, /etc/ctdb/ctdb.conf" in elsewhere.cli("lint", "no-such-component").stderr


def test_with_the_socket_named_nobody_is_asked(elsewhere: Elsewhere) -> None:
    write_program(elsewhere.helpers, f"touch {elsewhere.base}/asked; exit 1")
    for command in (["status", "legacy", "monitor"], ["ps"]):
        done = elsewhere.cli("--socket", "/nonexistent/socket", *command)
        assert "no event daemon listens on /nonexistent/socket" in done.stderr
    assert not (elsewhere.base / "asked").exists()


def test_without_an_answer_the_daemon_warns_and_goes_on(tmp_path: Path) -> None:
    node = Node(tmp_path)
    with _started(node.environ, "-c", _WITH_A_PROBLEM):
        pass
    assert "can't get CTDB's paths: `/x/ctdb-path vardir` ended with exit status 1" in node.log
    assert f"using the built-in paths, which may be wrong: {node.socket}, " in node.log


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_daemons_help_into_a_closed_pipe_is_no_traceback(option: str, buffered: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    environ = {**os.environ, "PYTHONUNBUFFERED": buffered}
    command = [sys.executable, "-m", "ctdb_eventd", option]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, env=environ, timeout=TIMEOUT)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_configuration_that_others_can_change_is_refused_at_the_start_and_at_a_reload(tmp_path: Path) -> None:
    node = Elsewhere(tmp_path)
    path = tmp_path / "etc/node.conf"
    complaint = f"{path}:0: others can change it: {path} is writable by everybody; chmod go-w {path}"
    path.chmod(0o646)
    command = [sys.executable, "-m", "ctdb_eventd", "--helper-dir", str(node.helpers)]
    refused = subprocess.run(command, env=node.environ, capture_output=True, text=True, timeout=TIMEOUT)
    assert (refused.returncode, refused.stderr.count(complaint)) == (1, 1)
    path.chmod(0o644)
    with node.daemon():
        path.chmod(0o646)
        asked = node.cli("reload")
        assert asked.returncode != 0
        assert complaint in asked.stderr


@pytest.mark.parametrize("place", ["var", "pids"])
def test_a_place_that_others_can_change_is_refused_at_the_start(tmp_path: Path, place: str) -> None:
    """Programs are executed there, and locks and the table of scripts are there."""
    node = Elsewhere(tmp_path)
    path = tmp_path / place
    planted = [path / name for name in ("eventd.pid", "eventd.scripts", "eventd.socket")]
    for each in planted:
        each.write_text("untouched")
    path.chmod(0o777)
    command = [sys.executable, "-m", "ctdb_eventd", "--helper-dir", str(node.helpers)]
    refused = subprocess.run(command, env=node.environ, capture_output=True, text=True, timeout=TIMEOUT)
    assert {each.read_text() for each in planted} == {"untouched"}
    for each in planted:
        each.unlink()
    complaint = f"others can change what is in {path}: {path} is writable by everybody; chmod go-w {path}"
    assert (refused.returncode, refused.stderr.count(complaint)) == (1, 1)
    path.chmod(0o1777)
    with node.daemon():
        pass
