"""The installer's command line: what it says, and its exit statuses."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from modes import modes_at, umask

from ctdb_eventd import __version__
from ctdb_eventd_install import cli, problems
from ctdb_eventd_install.places import HELPER_DIRS, NodePlaces, find_places
from ctdb_eventd_install.records import choose_record
from ctdb_eventd_install.review import Severity
from ctdb_eventd_install.running import running_daemon

from .tree import HELPERS, OWN_DAEMON, PROGRAM, FakeNode


def error_of(node: FakeNode, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert node.run(*arguments) == cli.EXIT_ERROR
    return capsys.readouterr().err


# ---------------------------------------------------------------------- usage


def test_a_wrong_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--rem"], ["--remove", "--status"], ["now"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2
        assert "usage: ctdb-eventd-install" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"ctdb-eventd-install {__version__}\n"


def test_it_is_a_module_and_a_program(rpm_node: FakeNode) -> None:
    command = [sys.executable, "-m", "ctdb_eventd_install", *rpm_node.arguments, "--status"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == cli.EXIT_NOT_INSTALLED
    assert "In place: CTDB's own event daemon, /usr/libexec/ctdb/ctdb-eventd\n" in run.stdout


def test_names_of_any_bytes_can_be_shown(rpm_node: FakeNode) -> None:
    (rpm_node.root / os.fsdecode(b"etc/ctdb/events/legacy/60.\xff")).write_text("")
    os.chmod(rpm_node.root / os.fsdecode(b"etc/ctdb/events/legacy/60.\xff"), 0o755)
    command = [sys.executable, "-m", "ctdb_eventd_install", *rpm_node.arguments, "--dry-run"]
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
    assert (run.returncode, run.stderr) == (0, "")
    assert "60.\\udcff" in run.stdout


# ---------------------------------------------------------------------- where CTDB is


def test_the_helper_directory_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(problems.NoEventDaemon, match="install CTDB first, or name its directory"):
        find_places(str(tmp_path))
    for directory in HELPER_DIRS[1:]:
        (tmp_path / directory.lstrip("/")).mkdir(parents=True)
    (tmp_path / HELPER_DIRS[1].lstrip("/") / "ctdb-eventd").write_text("")
    assert find_places(str(tmp_path)).helper_dir == HELPER_DIRS[1]
    (tmp_path / HELPER_DIRS[2].lstrip("/") / "ctdb-eventd.ctdb").write_text("")
    with pytest.raises(problems.SeveralHelperDirectories, match="choose one with --helper-dir"):
        find_places(str(tmp_path))
    assert find_places(str(tmp_path), HELPER_DIRS[2]).helper_dir == HELPER_DIRS[2]


def test_an_unusual_directory_can_be_named(rpm_node: FakeNode) -> None:
    rpm_node.file("opt/ctdb/helpers/ctdb-eventd", OWN_DAEMON)
    assert rpm_node.run("--helper-dir", "/opt/ctdb/helpers") == 0
    assert PROGRAM in (rpm_node.root / "opt/ctdb/helpers/ctdb-eventd").read_text()
    assert rpm_node.helper.read_text() == OWN_DAEMON


# ---------------------------------------------------------------------- refusals


def test_our_own_daemon_has_to_be_there(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    (node.root / PROGRAM.lstrip("/")).unlink()
    assert f"{PROGRAM} can't be used as event daemon: it can't be read" in error_of(node, capsys)
    assert not node.is_ours()


def test_our_own_daemon_has_to_run(rpm_node: FakeNode) -> None:
    places = find_places(str(rpm_node.root))
    rpm_node.answer()
    program = rpm_node.file("opt/broken/ctdb-eventd", f"#!{sys.executable}\nimport no_such_module\n")
    root = NodePlaces(root="/", helper_dir=str(rpm_node.root / HELPERS))
    task = cli._Task(places=root, record=choose_record(places, None), program=str(program), dry_run=False)
    findings = cli._review_ours(task, str(program))
    assert [finding.text for finding in findings if finding.severity is Severity.ERROR] == [
        f"our daemon {program} can't run: ModuleNotFoundError: No module named 'no_such_module'"
    ]
    program.write_text(f"#!{sys.executable}\nimport ctdb_eventd.cli\n")
    assert cli._review_ours(task, str(program))[-1].text == f"our daemon {program} can run"


def test_status_tells_that_ours_has_gone(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.run()
    (node.root / PROGRAM.lstrip("/")).unlink()
    assert node.run("--status") == cli.EXIT_DAMAGED
    said = capsys.readouterr().out
    assert "can't be read: No such file or directory. CTDB's own daemon is started instead" in said
    assert node.run("--remove") == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_only_root_may(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.helpers.chmod(0o555)
    assert "run this as root (sudo), or with --dry-run" in error_of(node, capsys)
    assert node.run("--dry-run") == 0


def test_who_may_not_write_is_told_to_be_root(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "run this as root (sudo), or with --dry-run" in error_of(node, capsys)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    error = error_of(node, capsys)
    assert "is not writable, even for root: nothing was changed" in error
    assert "sudo" not in error


def test_two_installers_at_once_are_one_too_many(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    path = node.helpers / "ctdb-eventd.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        error = error_of(node, capsys)
        assert "another ctdb-eventd-install is running" in error
        assert f"(process {os.getpid()}, `" in error
        assert f"of user {os.geteuid()} has locked {path}): wait until it has ended, or end that" in error
        assert path.exists()
    finally:
        os.close(descriptor)
    assert node.run() == 0
    assert not path.exists()


def test_a_lock_that_can_not_be_made_is_named(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    path = node.helpers / "ctdb-eventd.lock"
    path.mkdir()
    assert f"could not make and lock {path}: Is a directory. The node still has" in error_of(node, capsys)


def test_nobody_else_can_hold_up_an_installer(node: FakeNode) -> None:
    directory = os.open(node.helpers, os.O_RDONLY)  # every user can lock that
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        with umask(0), modes_at(fcntl, "flock") as modes:
            assert node.run() == 0
    finally:
        os.close(directory)
    assert modes == [0o600]


def test_a_damaged_shell_file_is_shown_as_such(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.run()
    node.helper.write_text(node.helper.read_text().replace(f"program={PROGRAM}\n", "program='\n"))
    assert node.run("--status") == cli.EXIT_DAMAGED
    said = capsys.readouterr().out
    assert "is damaged, it names no program: run ctdb-eventd-install again" in said
    assert "In place: our daemon, which one is unknown" in said
    assert node.run() == 0
    assert node.run("--status") == 0


# ---------------------------------------------------------------------- dpkg


def divert(node: FakeNode, *arguments: str) -> str:
    command = ["dpkg-divert", "--root", str(node.root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_diversion_of_somebody_else_is_left_alone(dpkg_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    helper = f"/{HELPERS}/ctdb-eventd"
    for owner, who in ((["--local"], "the administrator"), (["--package", "other"], "the package other")):
        divert(dpkg_node, *owner, "--add", "--no-rename", "--divert", f"{helper}.mine", helper)
        for arguments in ([], ["--remove"], ["--status"]):
            assert f"{who} has diverted {helper} to {helper}.mine" in error_of(dpkg_node, capsys, *arguments)
        divert(dpkg_node, *owner, "--remove", "--no-rename", helper)


def test_a_package_and_an_administrator_can_undo_each_others(
    dpkg_node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    dpkg_node.run()
    assert divert(dpkg_node, "--listpackage", f"/{HELPERS}/ctdb-eventd") == "LOCAL\n"
    monkeypatch.setenv("DPKG_MAINTSCRIPT_PACKAGE", "ctdb-eventd")
    assert dpkg_node.run() == 0
    assert dpkg_node.run("--remove") == 0
    assert dpkg_node.run() == 0
    assert divert(dpkg_node, "--listpackage", f"/{HELPERS}/ctdb-eventd") == "ctdb-eventd\n"
    monkeypatch.delenv("DPKG_MAINTSCRIPT_PACKAGE")
    assert dpkg_node.run("--remove") == 0
    assert divert(dpkg_node, "--list", f"/{HELPERS}/*") == ""


def test_dpkg_may_fail(
    dpkg_node: FakeNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = dpkg_node.file("bin/dpkg-divert", "#!/bin/sh\n[ $4 = --truename ] || exit 2\necho $5\n")
    monkeypatch.setenv("PATH", f"{failing.parent}:{os.environ['PATH']}")
    assert "dpkg-divert failed with exit status 2. The node still has an event daemon" in error_of(dpkg_node, capsys)
    assert dpkg_node.works()
    dpkg_node.file("bin/dpkg-divert", "#!/bin/sh\necho broken database >&2\nexit 2\n")
    assert "can't find out whether" in error_of(dpkg_node, capsys, "--status")


def test_without_dpkg_there_is_a_marker(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert node.run() == 0
    assert (node.helpers / "ctdb-eventd.installed").exists()
    assert node.run("--remove") == 0
    assert not (node.helpers / "ctdb-eventd.installed").exists()


# ---------------------------------------------------------------------- who runs


def test_who_runs_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / "eventd.pid"
    assert running_daemon(str(pid_file)) == "no event daemon"
    pid_file.write_text("nonsense")
    assert running_daemon(str(pid_file)) == "no event daemon"
    pid_file.write_text(f"{os.getpid()}\n")
    assert running_daemon(str(pid_file)) == f"our daemon, process {os.getpid()}"
    refused = PermissionError(13, "Permission denied")
    with monkeypatch.context() as patch:
        patch.setattr(os, "readlink", Mock(side_effect=refused))
        text = f"an event daemon, process {os.getpid()}; only root can see which (sudo)"
        assert running_daemon(str(pid_file)) == text
        patch.setattr("builtins.open", Mock(side_effect=refused))
        assert running_daemon(str(pid_file)) == "only root can see it (sudo)"
    own = tmp_path / "ctdb-eventd.ctdb"
    own.write_bytes(Path("/bin/sleep").read_bytes())
    own.chmod(0o755)
    for program, text in ((str(own), "CTDB's own event daemon"), ("/bin/sleep", os.path.realpath("/bin/sleep"))):
        process = subprocess.Popen([program, "60"])
        pid_file.write_text(f"{process.pid}\n")
        assert running_daemon(str(pid_file)) == f"{text}, process {process.pid}"
        process.kill()
        process.wait()


def test_a_daemon_from_before_an_upgrade_that_moved_its_pid_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, before, never = (str(tmp_path / name) for name in ("now", "before", "never"))
    elsewhere = (never, now, before)
    assert running_daemon(now, elsewhere) == "no event daemon"
    Path(before).write_text(f"{os.getpid()}\n")
    who = f"our daemon, process {os.getpid()}"
    why = f"started before an upgrade of CTDB moved its pid file from {before}"
    assert running_daemon(now, elsewhere) == f"{who}, {why}: `ctdb event` doesn't find it until CTDB is restarted"
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", Mock(side_effect=[FileNotFoundError, PermissionError]))
        assert running_daemon(now, elsewhere) == "only root can see it (sudo)"
    Path(now).write_text(f"{os.getpid()}\n")
    assert running_daemon(now, elsewhere) == who


# ---------------------------------------------------------------------- texts


def test_each_error_says_what_to_do() -> None:
    assert str(problems.NoEventDaemon(("/a", "/b"))).startswith("CTDB's event daemon, ctdb-eventd, is not in /a or /b")
    assert "/a and in /b" in str(problems.SeveralHelperDirectories(("/a", "/b")))
    assert str(problems.KeptIsMissing("/k")).startswith("CTDB's own event daemon is missing, it should be /k")
    assert str(problems.ReviewFailed(2)) == "nothing was changed: correct the 2 errors above and run this again"
    assert "or go back with --remove" in str(problems.StepFailed("do it", "no"))
