"""`ctdb-event lint` on the event scripts that CTDB comes with: nothing to find fault with."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ctdb_event.lint.command import EXIT_CLEAN, lint
from ctdb_event.lint.outdated import COMMANDS_GONE, FUNCTIONS_GONE, FUNCTIONS_LATER, defined_functions

pytestmark = pytest.mark.interop

PROVIDED = "/usr/share/ctdb/events/legacy"
OWN_EVENTS = {"updatenatgw", "removenatgw", "reconfigure"}
"""What these scripts handle besides CTDB's events: administrators ask for them."""


@pytest.mark.parametrize("directory", [PROVIDED, "/etc/ctdb/events/legacy"])
def test_ctdbs_own_scripts_are_good(directory: str, capfd: pytest.CaptureFixture[str]) -> None:
    code = lint(["--json", "--strict", directory], {})
    said = capfd.readouterr()
    found = json.loads(said.out)
    assert (code, said.err) == (EXIT_CLEAN, "")
    assert found["components"][0]["scripts"] >= 4
    assert {finding["check"] for finding in found["findings"]} <= {"event", "number", "disabled", "function"}


def test_every_label_of_theirs_is_understood(capfd: pytest.CaptureFixture[str]) -> None:
    lint(["--json", PROVIDED], {})
    found = json.loads(capfd.readouterr().out)["findings"]
    events = {finding["message"].split('"')[1] for finding in found if finding["check"] == "event"}
    assert events <= OWN_EVENTS
    assert events, "the labels were not even read"


def test_a_slip_in_one_of_them_is_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o755)
    text = Path(PROVIDED, "10.interface.script").read_text()
    (tmp_path / "10.interface.script").write_text(text.replace("\nreleaseip)", "\nreleseip)"))
    (tmp_path / "10.interface.script").chmod(0o755)
    lint(["--json", f"{tmp_path}/"], {})
    found = json.loads(capfd.readouterr().out)["findings"]
    # a copy is for any node: what came after 4.17 is noted
    (finding,) = (finding for finding in found if finding["check"] != "function")
    assert (finding["check"], finding["line"]) == ("event", text[: text.index("\nreleaseip)")].count("\n") + 2)


def test_the_tables_say_which_functions_this_ctdb_has() -> None:
    functions = defined_functions(Path("/etc/ctdb/functions").read_text())
    version = _version()
    assert functions & FUNCTIONS_GONE.keys() == set()
    for name, (without, since) in FUNCTIONS_LATER.items():
        assert name not in functions if version <= _numbers(without) else name in functions, name
        assert _numbers(without) < _numbers(since)


def test_the_tables_say_which_commands_this_ctdb_has_not() -> None:
    for name in COMMANDS_GONE:
        if " " not in name:  # the others are words of a command that asks ctdbd first
            said = subprocess.run(["ctdb", name], capture_output=True, text=True, check=False)
            assert f"Unknown command '{name}'" in said.stdout + said.stderr


def test_the_nodes_own_scripts_call_what_its_functions_have(capfd: pytest.CaptureFixture[str]) -> None:
    assert lint(["--json", "--strict", PROVIDED], {}) == EXIT_CLEAN
    found = json.loads(capfd.readouterr().out)["findings"]
    assert [finding for finding in found if finding["check"] in ("function", "command", "events-d", "last-line")] == []


def test_a_mount_without_exec(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,mode=755", "none", str(tmp_path)], check=True)
    try:
        (tmp_path / "50.web.script").write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / "50.web.script").chmod(0o755)
        with pytest.raises(PermissionError):
            subprocess.run([tmp_path / "50.web.script"], check=False)
        lint(["--json", f"{tmp_path}/"], {})
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    (finding,) = json.loads(capfd.readouterr().out)["findings"]
    assert finding["check"] == "noexec"
    assert f"{os.path.realpath(tmp_path)} is mounted noexec" in finding["message"]


def _version() -> tuple[int, ...]:
    said = subprocess.run(["ctdb", "version"], capture_output=True, text=True, check=True).stdout
    return _numbers(said.split()[-1])


def _numbers(version: str) -> tuple[int, ...]:
    """Returns major and minor number."""
    return tuple(int(part) for part in version.split(".")[:2])
