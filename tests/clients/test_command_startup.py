"""What `ctdb-event ps --plain` and `ctdb-event complete` import: prompts and completions wait for them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import samples
from fake_broker import FakeBroker

# the interpreter alone, and then the command: what makes the difference is what the command costs
REPORT = """
import sys
import socket, msgpack
before = set(sys.modules)
from ctdb_event.cli import main
assert main(sys.argv[1:]) == 0
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
OURS = {
    *("ctdb_event", "ctdb_event.argv", "ctdb_event.cli", "ctdb_event.console", "ctdb_event.framing"),
    *("ctdb_event.dialects", "ctdb_event.core", "ctdb_event.errors", "ctdb_event.transport"),
    *("ctdb_eventd", "ctdb_eventd.errors", "ctdb_eventd.paths", "ctdb_eventd.protocol", "ctdb_eventd.protocol.frames"),
    *("ctdb_eventd.protocol.packet", "ctdb_event.commands", "ctdb_event.commands.arguments"),
    *(
        "ctdb_event.commands.catalogue",
        "ctdb_event.commands.connection",
        "ctdb_event.cli_commands",
        "ctdb_event.commands.lists",
    ),
    *("ctdb_event.commands.screen", "ctdb_event.commands.session", "ctdb_event.commands.table"),
    *(
        "ctdb_event.commands.table_events",
        "ctdb_event.commands.table_past",
        "ctdb_event.commands.table_scripts",
        "ctdb_event.commands.table_state",
    ),
    *("ctdb_event.cli_places", "ctdb_event.commands.times", "ctdb_eventd.places", "ctdb_eventd.text"),
}
HEAVY = {"attr", "attrs", "argparse", "json", "typing", "rich", "re", "dataclasses", "asyncio", "anyio", "subprocess"}


def imported(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", REPORT, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.split()) - {"__future__"}


def check(found: set[str]) -> None:
    """Of the standard library nothing that is slow to load: what little it takes besides differs between versions."""
    assert {name for name in found if name.startswith("ctdb_event")} == OURS
    assert found.isdisjoint(HEAVY)


def test_ps_imports_its_own_modules_and_no_others(broker: FakeBroker) -> None:
    broker.reply("status", samples.status(jobs=[samples.job(), samples.queued()]))
    check(imported("ps", "--plain"))


@pytest.mark.parametrize(
    ("asked", "line"), [("status", ["cancel", ""]), ("components", ["status", ""]), ("locks", ["lock", ""])]
)
def test_completing_is_as_light(asked: str, line: list[str], broker: FakeBroker) -> None:
    broker.reply(asked, samples.status() if asked == "status" else [])
    found = imported("complete", "--", *line)
    assert {name for name in found if name.startswith("ctdb_event")} <= OURS | {"ctdb_event.commands.complete"}
    assert found.isdisjoint(HEAVY)


def test_only_json_needs_json(broker: FakeBroker) -> None:
    broker.reply("status", samples.status())
    assert imported("ps").isdisjoint(HEAVY)
    assert imported("results").isdisjoint(HEAVY)
    assert imported("ps", "--json") & {"ctdb_event.commands.jsonic", "rich"} == {"ctdb_event.commands.jsonic"}
