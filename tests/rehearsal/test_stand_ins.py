"""The stubs and the stand-in for `ctdb`, run by a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ctdb_node.rehearsal.stubs import STUBBED, ctdb_stub, stubs


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "public").write_text("10.0.0.1 eth0,eth1\n10.0.0.2 eth1\n")
    (tmp_path / "hosted").write_text("10.0.0.2 eth1\n")
    (tmp_path / "unanswered").write_text("")
    (tmp_path / "ctdb").write_text(ctdb_stub(str(tmp_path)))
    return tmp_path


def _ctdb(state: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", str(state / "ctdb"), *words], input=given, capture_output=True, text=True, check=False)


def test_a_stub_writes_down_what_it_is_asked_and_succeeds(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    stub = tmp_path / "systemctl"
    stub.write_text(stubs(str(calls), ())["systemctl"])
    assert subprocess.run(["sh", stub, "restart", "nfs server"], check=False).returncode == 0
    assert calls.read_text() == "systemctl restart nfs server\n"


def test_no_process_has_the_name_that_killall_is_asked_for(tmp_path: Path) -> None:
    stub = tmp_path / "killall"
    stub.write_text(stubs(str(tmp_path / "calls"), ())["killall"])
    assert subprocess.run(["sh", stub, "-0", "smbd"], check=False).returncode == 1


def test_a_real_command_is_no_stub() -> None:
    assert set(stubs("/calls", ("mount", "systemctl"))) == STUBBED - {"mount", "systemctl"}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("pnn", "0\n"),
        ("-X ip", "|Public IP|Node|\n|10.0.0.1|-1|\n|10.0.0.2|0|\n"),
        (
            "ip -v -X",
            "|Public IP|Node|ActiveInterface|AvailableInterfaces|ConfiguredInterfaces|\n"
            "|10.0.0.1|-1||eth0,eth1|eth0,eth1|\n|10.0.0.2|0|eth1|eth1|eth1|\n",
        ),
        ("ip all", "Public IPs on node 0\n10.0.0.1 -1\n10.0.0.2 0\n"),
        ("-X ifaces", "|Name|LinkStatus|References|\n|eth0|1|1|\n|eth1|1|1|\n"),
        ("-t 10 runstate", "RUNNING\n"),
        ("gratarp 10.0.0.1 eth0", ""),
    ],
)
def test_ctdb_answers_as_of_a_healthy_node_alone(state: Path, asked: str, answer: str) -> None:
    done = _ctdb(state, *asked.split())
    assert (done.stdout, done.stderr, done.returncode) == (answer, "", 0)


def test_the_node_is_this_one_and_well(state: Path) -> None:
    assert _ctdb(state, "-X", "nodestatus").stdout.splitlines()[1] == "|0|127.0.0.1|0|0|0|0|0|0|0|0|Y|"


def test_somebody_listens_on_every_port(state: Path) -> None:
    assert _ctdb(state, "checktcpport", "445").returncode == 98


def test_what_cannot_be_answered_is_written_down(state: Path) -> None:
    done = _ctdb(state, "getdbmap", "x")
    assert (done.returncode, done.stderr) == (1, "ctdb getdbmap x: can't be answered in a rehearsal\n")
    assert (state / "unanswered").read_text() == "getdbmap x\n"


def test_records_are_taken(state: Path) -> None:
    assert _ctdb(state, "ptrans", "ctdb.tdb", given='"a" "b"\n').returncode == 0
