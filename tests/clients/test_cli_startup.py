"""The command line starts fast because it imports little: what it must not import, told by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fake_ctdb import FakeDaemon

FORBIDDEN = [
    *("anyio", "argparse", "asyncio", "attr", "attrs", "dataclasses", "logging", "subprocess", "typing", "json"),
    *("ctdb_eventd.server", "ctdb_eventd.daemon", "ctdb_eventd.session", "ctdb_eventd.model", "ctdb_eventd.config"),
]
# not -I or -S: a site-packages of the test's environment may itself import something when the interpreter starts
SCRIPT = """
import sys
before = set(sys.modules)
from ctdb_event.cli import main
main(sys.argv[1:])
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("command", [["status", "legacy", "monitor"], ["run", "30", "legacy", "monitor"]])
def test_events_import_little(command: list[str], daemon: FakeDaemon) -> None:
    modules = imported(*command)
    assert len(daemon.requests) == 1
    assert "ctdb_event.cli_events" in modules
    assert modules.isdisjoint(FORBIDDEN)


def test_usage_imports_next_to_nothing(node: Path) -> None:
    """Of the standard library nothing that is slow to load: what little it takes besides differs between versions."""
    modules = imported("--help")
    ours = {name for name in modules if name.startswith("ctdb_event")}
    assert ours == {"ctdb_event", "ctdb_event.argv", "ctdb_event.cli", "ctdb_event.console"}
    assert modules.isdisjoint([*FORBIDDEN, "socket", "msgpack", "re"])


def test_script_commands_import_no_server_and_no_socket(node: Path) -> None:
    modules = imported("script", "list", "one")
    assert "ctdb_event.cli_scripts" in modules
    assert modules.isdisjoint({"socket", "anyio", "asyncio", "argparse", "ctdb_eventd.server", "ctdb_eventd.daemon"})
