"""CTDB's own scripts aren't started for events that the table leaves out: each row's proof, and what a daemon does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ctdb_versions import ctdb_version
from native_client import native_client
from nodes import Node, running_daemon

from ctdb_eventd.handled import Row, provided

from .programs import PROVIDED_SCRIPTS

pytestmark = pytest.mark.interop

TOOL = Path(__file__).parents[2] / "contrib/tools/provided_events.py"
FUNCTIONS = Path("/etc/ctdb/functions")


@pytest.fixture(scope="module")
def version() -> str:
    version = "{}.{}".format(*ctdb_version())
    if version not in provided().functions(str(FUNCTIONS)):
        pytest.skip(f"{FUNCTIONS} is not the one of CTDB {version} that the table was made with")
    return version


def rows(version: str) -> dict[str, Row]:
    """What the table says of the scripts that are installed here."""
    found = {
        script.name.removesuffix(".script"): provided().row(script.name.removesuffix(".script"), str(script))
        for script in sorted(Path(PROVIDED_SCRIPTS).glob("*.script"))
    }
    return {name: row for name, row in found.items() if row is not None and version in row.versions}


def test_every_row_is_proved(version: str) -> None:
    command = [sys.executable, str(TOOL), "--here", version]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    proved = {}
    for line in done.stdout.splitlines():
        left, _, events = line.partition(":")
        proved[left.split()[0]] = tuple(events.split())
    assert proved.pop("functions") == ()
    known = rows(version)
    assert {name: row.events for name, row in known.items()} == {name: proved.get(name) for name in known}
    assert len(known) >= 15


@pytest.mark.parametrize("anyway", [False, True])
async def test_a_daemon_does_not_start_them(version: str, anyway: bool, tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.configure(f"[eventd]\nstart idle scripts = {'yes' if anyway else 'no'}\n")
    shutil.copy(FUNCTIONS, tmp_path / "functions")
    for script in Path(PROVIDED_SCRIPTS).glob("*.script"):
        shutil.copy(script, node.base / "events/legacy" / script.name)
    with (node.base / "events/legacy/05.system.script").open("a") as changed:
        changed.write("# by this site\n")
    known = rows(version).keys() - {"05.system"}
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        result = await client.call("run", component="legacy", event="startrecovery")
        files = await client.call("scripts", component="legacy")
    left_out = {script["name"] for script in result["scripts"] if script["state"] == "not-handled"}
    assert left_out == (set() if anyway else known)
    assert {script["known_from"] for script in result["scripts"] if script["name"] in left_out} <= {"table"}
    assert {file["name"] for file in files["scripts"] if file["known_from"] == "table"} == left_out
