"""What is decided without a single namespace: numbering, limits, what is drawn, and what may be removed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from ctdb_lab import CTDB_EVENTD, LabError, Plan, wait_until
from ctdb_lab.__main__ import main
from ctdb_lab.failover import why_not
from ctdb_lab.files import MARK, create, remove
from ctdb_lab.plan import eventd_path, own_eventd
from ctdb_lab.processes import catches
from ctdb_lab.requirements import missing_requirements

from .faults import Part, Phase, faults


def test_every_address_is_there_once() -> None:
    plan = Plan(eventd="x", nodes=16, addresses4=1000, addresses6=1000)
    addresses = [*plan.node_addresses, *(public.address for public in plan.public_addresses)]
    assert len(set(addresses)) == len(addresses) == 2016


def test_a_public_address_is_written_as_ctdb_reads_it() -> None:
    plan = Plan(eventd="x", addresses4=1, addresses6=1)
    assert [public.line for public in plan.public_addresses] == ["10.100.1.0/16 pub0", "fd00:c7db::100/64 pub0"]


@pytest.mark.parametrize("wrong", [{"nodes": 0}, {"nodes": 17}, {"addresses4": -1}, {"addresses6": 1001}])
def test_a_plan_that_can_not_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a lab has"):
        Plan(eventd="x", **wrong)  # type: ignore[arg-type]


def test_a_plan_is_saved_and_read_again(tmp_path: Path) -> None:
    plan = Plan(eventd="x", nodes=2, tunables={"MonitorInterval": 9}, scripts={"50.x": "#!/bin/sh\n"})
    plan.save(tmp_path / "plan")
    assert Plan.load(tmp_path / "plan") == plan


def test_more_of_ctdbs_own_scripts_are_enabled_each_once(tmp_path: Path) -> None:
    plan = Plan(eventd="x", provided=("11.natgw", "10.interface", "50.samba"), samba=True)
    assert plan.enabled == ("00.ctdb", "10.interface", "11.natgw", "50.samba")
    plan.save(tmp_path / "plan")
    assert Plan.load(tmp_path / "plan") == plan


@pytest.mark.parametrize("name", ["11.natgw.script", "natgw", "../11.natgw", "11.", ""])
def test_a_name_that_no_script_of_ctdb_has_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"names such as 11\.natgw, not '{re.escape(name)}'"):
        Plan(eventd="x", provided=("00.ctdb", name))


def test_a_script_that_ctdb_lacks_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"CTDB has no script 98\.nothing in /"):
        create(tmp_path / "lab", Plan(eventd="x", provided=("98.nothing",)))
    assert not (tmp_path / "lab").exists()


def test_a_tunable_replaces_the_labs_own() -> None:
    assert Plan(eventd="x", tunables={"MonitorInterval": 9}).all_tunables["MonitorInterval"] == 9


def test_names_of_event_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/venv/bin/python")
    monkeypatch.chdir("/tmp")
    paths = [eventd_path(name) for name in ("ctdb", "ours", "/x/eventd", "eventd")]
    assert paths == [CTDB_EVENTD, "/venv/bin/ctdb-eventd", "/x/eventd", "/tmp/eventd"]


def test_ctdbs_own_daemon_is_what_the_installer_keeps(tmp_path: Path) -> None:
    """Where ours has been put into its place; else ours would be compared with ours."""
    helper = tmp_path / "ctdb-eventd"
    assert own_eventd(str(helper)) == str(helper)
    (tmp_path / "ctdb-eventd.ctdb").touch()
    assert own_eventd(str(helper)) == f"{helper}.ctdb"


@pytest.mark.parametrize(
    ("nodes", "addresses4", "addresses6", "possible"),
    [(3, 6, 3, True), (3, 0, 3, True), (2, 2, 0, True), (1, 6, 3, False), (3, 2, 0, False), (3, 0, 0, False)],
)
def test_a_lab_too_small_for_a_failover_is_told_apart(
    nodes: int, addresses4: int, addresses6: int, possible: bool
) -> None:
    problem = why_not(Plan(eventd="x", nodes=nodes, addresses4=addresses4, addresses6=addresses6))
    assert (not problem) == possible
    assert possible or f"this lab has {nodes} nodes, {addresses4} IPv4" in problem


@pytest.mark.parametrize("place", ["/run/lab", "/var/lib/ctdb/x", "/nonexistent/x", "/dev/null/x"])
def test_a_directory_where_no_lab_can_be(place: str) -> None:
    with pytest.raises(LabError, match=r"a lab can't be in|is not a directory: choose a LAB"):
        create(Path(place), Plan(eventd="x"))
    assert not Path(place).exists()


def test_a_file_is_no_lab(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="file is not a directory, so not that of a lab; it is not removed"):
        remove(tmp_path / "file")
    assert (tmp_path / "file").exists()


@pytest.fixture
def kept_handlers() -> Iterator[None]:
    """What the command line's start does to this process's signals is undone."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("kept_handlers")
def test_what_the_system_refuses_needs_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for directory, command in ((tmp_path / "file", "down"), (tmp_path / "file/x", "status"), (tmp_path, "failover")):
        assert main(["--directory", str(directory), command]) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_who_has_a_handler_survives_the_signal() -> None:
    former = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        assert catches(os.getpid(), signal.SIGUSR2)
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        assert not catches(os.getpid(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, former)


def test_what_is_missing_is_named_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name, path: None if name == "ethtool" else name)
    assert missing_requirements("/nowhere/ctdb-eventd") == (
        "the lab needs root: run it with sudo; and ethtool: apt-get install --no-install-recommends ethtool; "
        "and /nowhere/ctdb-eventd: make venv"
    )


def test_only_a_labs_directory_is_removed(tmp_path: Path) -> None:
    """LAB=/etc by mistake must not hurt."""
    (tmp_path / "precious").touch()
    with pytest.raises(LabError, match="is not the directory of a lab"):
        remove(tmp_path)
    assert (tmp_path / "precious").exists()
    (tmp_path / MARK).touch()
    remove(tmp_path)
    assert not tmp_path.exists()
    remove(tmp_path)


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(LabError, match="waited 0 s in vain for the tide\nit is low"):
        wait_until(lambda: False, 0, "the tide", lambda: "it is low")


def test_faults_are_the_same_for_the_same_seed() -> None:
    assert faults(50, 1, 3)[:7] == faults(7, 1, 3)
    assert faults(7, 1, 3) != faults(7, 2, 3)


def test_nine_faults_have_every_part_in_every_phase() -> None:
    for begin in (0, 9, 18):
        drawn = {(fault.part, fault.phase) for fault in faults(27, 1, 3)[begin : begin + 9]}
        assert drawn == {(part, phase) for part in Part for phase in Phase}
