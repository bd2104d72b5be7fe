"""What is to be rehearsed: from options and files, with messages that say what is wrong where."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from ctdb_node.errors import NodeError
from ctdb_node.rehearsal.observed import Request, from_json, to_json
from ctdb_node.rehearsal.options import add_arguments
from ctdb_node.rehearsal.request import Wanted, against, wanted


def _arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def _wanted(base: Path, *words: str) -> Wanted:
    return wanted(_arguments(*words), str(base))


def test_addresses_and_interfaces_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "public_addresses").write_text("10.0.0.1/24 gone0,lo\nfd00::1/64 gone1\n")
    found = _wanted(tmp_path)
    assert [(each.address, each.bits, each.interface) for each in found.request.addresses] == [
        ("10.0.0.1", 24, "gone0"),
        ("fd00::1", 64, "gone1"),
    ]
    assert found.request.interfaces == ("gone0", "gone1")
    assert found.absent == ("gone0", "gone1")
    assert (found.budget, found.request.timeout, found.request.rounds, found.request.made_up) == (27.0, 30, 3, 0)


def test_more_addresses_are_made_up_and_fewer_taken(tmp_path: Path) -> None:
    (tmp_path / "public_addresses").write_text("198.18.0.1/24 if0\n10.0.0.1/24 if1\n")
    more = _wanted(tmp_path, "--addresses", "5").request
    assert (len(more.addresses), more.made_up) == (5, 3)
    assert len({each.address for each in more.addresses}) == 5
    assert {each.interface for each in more.addresses} == {"if0", "if1"}
    assert len(_wanted(tmp_path, "--addresses", "1").request.addresses) == 1


def test_without_a_file_they_are_on_an_interface_of_their_own(tmp_path: Path) -> None:
    found = _wanted(tmp_path, "--addresses", "2")
    assert ({each.interface for each in found.request.addresses}, found.absent) == ({"public0"}, ())
    assert _wanted(tmp_path).request.addresses == ()


def test_broken_lines_are_named_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "public_addresses").write_text("10.0.0.1 eth0\n\n10.0.0.2/24 eth0\n10.0.0.2/24 eth1\n")
    with pytest.raises(NodeError) as caught:
        _wanted(tmp_path)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path}/public_addresses:1: '10.0.0.1' has no mask")
    assert second.startswith(f"{tmp_path}/public_addresses:4: 10.0.0.2 is in line 3 too")


def test_tunables_of_the_node_count(tmp_path: Path) -> None:
    (tmp_path / "ctdb.tunables").write_text("# x\nTakeoverTimeout=20\neventscripttimeout = 60\nOther=x\n")
    found = _wanted(tmp_path)
    assert (found.budget, found.request.timeout) == (60.0, 60)


@pytest.mark.parametrize("value", ["", "0", "-1", "x", "1.5", "9" * 20])
def test_a_tunable_that_is_no_number(tmp_path: Path, value: str) -> None:
    (tmp_path / "ctdb.tunables").write_text(f"\nTakeoverTimeout={value}\n")
    with pytest.raises(NodeError, match=rf"ctdb\.tunables:2: TakeoverTimeout can't be '{value}'; expected a whole"):
        _wanted(tmp_path)


def test_a_directory_that_is_not_there() -> None:
    with pytest.raises(NodeError, match="/nowhere is not a directory; --config-dir names"):
        _wanted(Path("/nowhere"))


def test_a_file_that_is_no_script(tmp_path: Path) -> None:
    (tmp_path / "dns.sh").write_text("")
    with pytest.raises(NodeError, match=r"dns\.sh: expected a file whose name is that of a script, such as"):
        _wanted(tmp_path, "--script", str(tmp_path / "dns.sh"))
    with pytest.raises(NodeError, match=r"77\.x\.script: there is no such file"):
        _wanted(tmp_path, "--script", str(tmp_path / "77.x.script"))


def test_a_command_that_is_no_stub(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="--real ls: it has no stub, so it runs as it is; stubs are ctdb apache2"):
        _wanted(tmp_path, "--real", "mount", "ls")
    assert _wanted(tmp_path, "--real", "mount", "ctdb").request.real == ("mount", "ctdb")


def test_a_daemon_that_is_not_there() -> None:
    with pytest.raises(NodeError, match="--against /nowhere/x: /nowhere/x: no such program"):
        against("/nowhere/x")
    assert against("/bin/sh") == ("/bin/sh",)


@pytest.mark.parametrize("words", [("--addresses", "0"), ("--addresses", "x"), ("--rounds", "-1")])
def test_numbers_that_cannot_be(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        _arguments(*words)
    assert caught.value.code == 2
    assert "a whole number from 1 to" in capsys.readouterr().err


def test_a_request_comes_back_from_json(tmp_path: Path) -> None:
    (tmp_path / "public_addresses").write_text("10.0.0.1/24 eth0,eth1\n")
    request = _wanted(tmp_path).request
    assert from_json(Request, to_json(request)) == request
