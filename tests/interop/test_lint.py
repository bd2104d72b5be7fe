"""`ctdb-event lint` on the event scripts that CTDB comes with: nothing to find fault with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctdb_event.lint.command import EXIT_CLEAN, lint

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
    assert {finding["check"] for finding in found["findings"]} <= {"event", "number", "disabled"}


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
    (finding,) = json.loads(capfd.readouterr().out)["findings"]
    assert (finding["check"], finding["line"]) == ("event", text[: text.index("\nreleaseip)")].count("\n") + 2)
