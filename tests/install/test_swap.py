"""From CTDB's daemon to ours and back: repeatable, dry, and broken off at every point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from modes import modes_at, umask

from ctdb_eventd_install import cli, swap
from ctdb_eventd_install.places import find_places
from ctdb_eventd_install.problems import StepFailed

from .tree import HELPERS, NEWER_DAEMON, OWN_DAEMON, FakeNode

# Ends the installer like SIGKILL does, right after the Nth call that changes something or asks dpkg.
_KILLED = """
import os, signal, subprocess, sys
left = int(sys.argv[1])
def deadly(function):
    def call(*args, **kwargs):
        global left
        result = function(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call
from ctdb_eventd_install import cli
for name in ("link", "rename", "unlink", "chmod", "fchmod", "fsync"):
    setattr(os, name, deadly(getattr(os, name)))
subprocess.run = deadly(subprocess.run)
sys.exit(cli.main(sys.argv[2:]))
"""
_MOST_CALLS = 60


def killed(node: FakeNode, calls: int, *arguments: str) -> bool:
    """Runs the installer to its Nth system call; False if it was through before."""
    command = [sys.executable, "-c", _KILLED, str(calls), *node.arguments, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode in (0, -signal.SIGKILL), run.stderr
    return run.returncode != 0


# ---------------------------------------------------------------------- the plain way


def test_ours_comes_into_place_and_the_other_is_kept(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert node.run() == 0
    assert node.is_ours()
    assert node.kept.read_text() == OWN_DAEMON
    assert os.stat(node.helper).st_mode & 0o7777 == 0o755
    said = capsys.readouterr().out
    assert said.index("Will:") < said.index("Done:") < said.index("takes effect")
    assert "dpkg-divert" in said if node.dpkg else "marker" in said
    assert node.run("--status") == 0


def test_the_way_back_leaves_everything_as_it_was(node: FakeNode) -> None:
    before = node.snapshot()
    assert node.run() == 0
    assert node.run("--remove") == 0
    assert node.snapshot() == before
    assert node.run("--status") == cli.EXIT_NOT_INSTALLED


def test_a_strict_umask_keeps_nobody_from_starting_it(node: FakeNode) -> None:
    with umask(0o077):
        assert node.run() == 0
    assert os.stat(node.helper).st_mode & 0o7777 == 0o755


def test_nobody_else_can_open_it_while_it_is_written(node: FakeNode) -> None:
    """Who has a program open for writing can change it later too."""
    with umask(0), modes_at(os, "fchmod") as before:
        assert node.run() == 0
    assert before
    assert all(mode & 0o077 == 0 for mode in before)


def test_repeating_changes_nothing(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.run()
    installed = node.snapshot()
    assert node.run() == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert node.snapshot() == installed
    node.run("--remove")
    removed = node.snapshot()
    assert node.run("--remove") == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert node.snapshot() == removed


def test_a_dry_run_says_all_and_changes_nothing(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    before = node.snapshot()
    assert node.run("--dry-run") == 0
    assert node.snapshot() == before
    wanted = [line[5:] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    node.run()
    done = [line[6:] for line in capsys.readouterr().out.splitlines() if line.startswith("Done: ")]
    assert wanted == done
    installed = node.snapshot()
    assert node.run("--remove", "--dry-run") == 0
    assert "Would:" in capsys.readouterr().out
    assert node.snapshot() == installed


def test_another_program_takes_the_place_of_the_former(node: FakeNode) -> None:
    node.run()
    other = node.file("/opt/other venv/ctdb-eventd", f"#!{sys.executable}\n")
    assert cli.main(["--root", str(node.root), "--program", "/opt/other venv/ctdb-eventd"]) == 0
    assert "program='/opt/other venv/ctdb-eventd'\n" in node.helper.read_text()
    assert node.kept.read_text() == OWN_DAEMON
    assert other.exists()


# ---------------------------------------------------------------------- broken off


@pytest.mark.parametrize("upgraded", [False, True], ids=["", "upgraded"])
@pytest.mark.parametrize("task", ["install", "remove"])
def test_killed_at_any_point_the_node_works_and_both_ways_are_open(node: FakeNode, task: str, upgraded: bool) -> None:
    """Both ways: repeated to the end, and undone; with an upgrade of CTDB in between too."""
    arguments = ["--remove"] if task == "remove" else []
    for calls in range(1, _MOST_CALLS):
        if task == "remove":
            assert node.run() == 0
        if not killed(node, calls, *arguments):
            assert calls > 5
            return
        assert node.works()
        if upgraded:
            node.upgrade()
            assert node.works()
        assert node.run("--dry-run") == 0
        assert node.run(*arguments) == 0
        _check_finished(node, upgraded)
        assert node.run("--remove" if task == "install" else "--status") in (0, cli.EXIT_NOT_INSTALLED)
        assert os.listdir(node.helpers) == ["ctdb-eventd"]
        assert node.helper.read_text() == (NEWER_DAEMON if upgraded else OWN_DAEMON)
        _fresh(node)
    raise AssertionError("the installer never came to its end")


def _check_finished(node: FakeNode, upgraded: bool) -> None:
    assert node.works()
    daemon = node.kept if node.is_ours() else node.helper
    assert daemon.read_text() == (NEWER_DAEMON if upgraded else OWN_DAEMON)
    assert not (node.helpers / "ctdb-eventd.new").exists()


def _fresh(node: FakeNode) -> None:
    node.file(f"{HELPERS}/ctdb-eventd", OWN_DAEMON)


def test_a_half_done_installation_is_shown_as_such(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    os.link(node.helper, node.kept)
    assert node.run("--status") == cli.EXIT_DAMAGED
    assert "an installation or removal was interrupted" in capsys.readouterr().out


def test_what_was_left_unfinished_is_tidied_up(node: FakeNode) -> None:
    before = node.snapshot()
    unfinished = node.file(f"{HELPERS}/ctdb-eventd.new", "half")
    assert node.run("--status") == cli.EXIT_DAMAGED
    assert node.run("--remove") == 0
    assert node.snapshot() == before
    node.run()
    unfinished.write_text("half")
    assert node.run() == 0
    assert not unfinished.exists()


def test_a_step_that_fails_says_which_and_the_node_still_works(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fchmod", full)
        assert node.run() == cli.EXIT_ERROR
    assert "could not put a shell file" in capsys.readouterr().err
    assert node.works()
    assert not node.is_ours()
    assert node.run("--remove") == 0
    assert os.listdir(node.helpers) == ["ctdb-eventd"]


def test_steps_after_a_failed_one_are_not_tried(node: FakeNode) -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError(5, "Input/output error")

    places = find_places(str(node.root))
    steps = [swap.Step("fail", fail), swap.Step("go on", lambda: done.append("went on"))]
    with pytest.raises(StepFailed, match="could not fail: Input/output error"):
        swap.carry_out(steps, places, done.append)
    assert done == []


# ---------------------------------------------------------------------- CTDB changes underneath


def test_an_upgrade_under_dpkg_renews_the_kept_daemon(dpkg_node: FakeNode) -> None:
    dpkg_node.run()
    dpkg_node.upgrade()
    assert dpkg_node.run("--status") == 0
    assert dpkg_node.is_ours()
    dpkg_node.run("--remove")
    assert dpkg_node.helper.read_text() == NEWER_DAEMON


def test_an_upgrade_under_rpm_wants_the_installer_again(rpm_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    rpm_node.run()
    rpm_node.upgrade()
    assert rpm_node.run("--status") == cli.EXIT_DAMAGED
    assert "was upgraded" in capsys.readouterr().out
    assert rpm_node.run("--reapply") == 0
    assert rpm_node.is_ours()
    assert rpm_node.kept.read_text() == NEWER_DAEMON


def test_going_back_after_an_upgrade_under_rpm_keeps_the_newer_daemon(rpm_node: FakeNode) -> None:
    rpm_node.run()
    rpm_node.upgrade()
    assert rpm_node.run("--remove") == 0
    assert rpm_node.helper.read_text() == NEWER_DAEMON
    assert os.listdir(rpm_node.helpers) == ["ctdb-eventd"]


def test_reapply_does_nothing_where_nothing_was_installed(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    before = node.snapshot()
    assert node.run("--reapply") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert node.snapshot() == before


def test_without_ctdbs_daemon_there_is_no_way_on_nor_back(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.run()
    node.kept.unlink()
    for arguments in ([], ["--remove"]):
        assert node.run(*arguments) == cli.EXIT_ERROR
        assert "reinstall ctdb" in capsys.readouterr().err
    assert node.run("--status") == cli.EXIT_DAMAGED
    assert "nothing to fall back on" in capsys.readouterr().out
    assert node.is_ours()
    node.file(f"{HELPERS}/ctdb-eventd.ctdb", NEWER_DAEMON)
    assert node.run("--remove") == 0
    assert node.helper.read_text() == NEWER_DAEMON


def test_where_ctdb_was_removed_nothing_of_ours_stays(node: FakeNode) -> None:
    node.run()
    node.kept.unlink()
    (node.root / "usr/sbin/ctdbd").unlink()
    assert node.run("--remove") == 0
    assert os.listdir(node.helpers) == []


def test_where_rpm_removed_ctdb_nothing_stays(rpm_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows nothing of the second name, and removes our file under the first."""
    rpm_node.run()
    rpm_node.helper.unlink()
    (rpm_node.root / "usr/sbin/ctdbd").unlink()
    assert rpm_node.run("--status") == cli.EXIT_DAMAGED
    said = capsys.readouterr().out
    assert "CTDB was removed, and parts of the installation are left: run ctdb-eventd-install --remove" in said
    assert "In place: nothing" in said
    assert "back in place" not in said
    assert rpm_node.run("--remove") == 0
    assert os.listdir(rpm_node.helpers) == []


def test_a_ctdbd_in_an_unusual_place_still_wants_its_daemon(rpm_node: FakeNode) -> None:
    """The kept one is the only one there is."""
    helper = rpm_node.file("opt/ctdb/libexec/ctdb/ctdb-eventd", OWN_DAEMON)
    rpm_node.file("opt/ctdb/sbin/ctdbd", "")
    rpm_node.file("usr/sbin/ctdbd", "").unlink()
    assert rpm_node.run("--helper-dir", "/opt/ctdb/libexec/ctdb") == 0
    helper.unlink()
    assert rpm_node.run("--helper-dir", "/opt/ctdb/libexec/ctdb", "--remove") == 0
    assert helper.read_text() == OWN_DAEMON


def test_a_lost_helper_is_put_back(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.run()
    node.helper.unlink()
    assert node.run("--status") == cli.EXIT_DAMAGED
    assert "is missing" in capsys.readouterr().out
    assert node.run() == 0
    assert node.is_ours()
    node.helper.unlink()
    assert node.run("--remove") == 0
    assert node.helper.read_text() == OWN_DAEMON
