"""`ctdb-event health`: its line and its exit status, with a real daemon, with none, and with one that hangs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_broker import FakeBroker
from nodes import TIMEOUT, Node, running_daemon

from ctdb_event import cli
from ctdb_event.commands import health

BLOCKS = """case "$1" in monitor)
\tread x <"$CTDB_BASE/said"; [ "$x" = good ] || { echo; echo "$x"; echo more; exit 3; }
esac"""

TIMES = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d, checked [0-9dhms.]+ ago"


@pytest.fixture
def real(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("50.web.script", BLOCKS)
    node.script("60.off.script", "exit 0", mode=0o644)
    return node


def ask(node: Node, *arguments: str, command: str = "health") -> tuple[int, str]:
    """Returns the exit status and the line; nothing is on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "ctdb_event", command, *arguments],
        env=node.environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def monitor(node: Node, said: str, timeout: int = 30) -> None:
    (node.base / "said").write_text(said + "\n")
    ask(node, str(timeout), "legacy", "monitor", command="run")


async def test_healthy_and_unhealthy(real: Node) -> None:
    async with running_daemon(real):
        reason = "no monitor event of legacy has completed since the event daemon started"
        assert ask(real) == (2, f"UNKNOWN - {reason}\n")
        assert ask(real, "--nagios") == (3, f"UNKNOWN - {reason}\n")
        monitor(real, "good")
        code, line = ask(real)
        assert code == 0
        assert re.fullmatch(rf"OK - legacy healthy since {TIMES}\n", line)
        monitor(real, "port 80\x1b[2J is dead")
        code, line = ask(real, "legacy")
        assert code == 1
        reason = re.escape("50.web: exit status 3: port 80\\x1b[2J is dead")
        assert re.fullmatch(rf"CRITICAL - legacy unhealthy since {TIMES}: {reason}\n", line)
        assert ask(real, "--nagios")[0] == 2
        monitor(real, "good")
        assert ask(real, "--nagios")[0] == 0


async def test_json(real: Node) -> None:
    async with running_daemon(real):
        monitor(real, "bad")
        code, said = ask(real, "--json")
        found: dict[str, Any] = json.loads(said)
        assert code == 1
        assert found["checked"] == pytest.approx(found["since"])
        del found["checked"], found["since"]
        assert found == {
            "component": "legacy",
            "state": "unhealthy",
            "script": "50.web",
            "reason": "exit status 3: bad",
            "own": True,
        }


async def test_other_failures(real: Node) -> None:
    real.script("10.hang.script", 'read x <"$CTDB_BASE/fifo"')
    subprocess.run(["mkfifo", str(real.base / "fifo")], check=True)
    async with running_daemon(real):
        monitor(real, "good", timeout=1)
        code, line = ask(real)
        assert code == 1
        assert line.endswith(": 10.hang: timed-out: no output\n")


async def test_what_can_not_be_told(real: Node) -> None:
    code, line = ask(real)
    assert code == 3
    assert line.startswith(f"UNKNOWN - no event daemon listens on {real.base}/run/eventd.socket: ")
    code, said = ask(real, "--json")
    assert (code, json.loads(said)["state"], json.loads(said)["own"]) == (3, "no-daemon", None)
    async with running_daemon(real):
        code, line = ask(real, "nope")
        assert code == 2
        assert line.startswith("UNKNOWN - component nope does not exist: ")
        assert line.endswith("; there are: legacy\n")
        code, line = ask(real, "../legacy")
        assert code == 3
        assert "../legacy" in line


def test_wrong_usage_is_not_unhealthy(node: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["health", "--no-such-option"]) == health.NOT_ASKED
    assert "unknown option" in capfd.readouterr().err


def test_a_daemon_that_hangs(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broker.rules["status"] = lambda asked: None
    monkeypatch.setattr(health, "_LIMIT", 0.05)
    assert cli.main(["health"]) == 3
    assert capfd.readouterr().out.endswith("has not answered within 0.05 s: it hangs\n")


def test_a_daemon_that_hangs_up_on_this_user(broker: FakeBroker, capfd: pytest.CaptureFixture[str]) -> None:
    broker.old = True
    assert cli.main(["health"]) == 3
    assert capfd.readouterr().out.startswith("UNKNOWN - the event daemon at ")


def test_a_refusal(broker: FakeBroker, capfd: pytest.CaptureFixture[str]) -> None:
    broker.refuse("status", "EAGAIN", "too many clients")
    assert cli.main(["health"]) == 3
    assert capfd.readouterr().out == "UNKNOWN - too many clients\n"


def test_the_outcome_is_the_reason_without_a_script(broker: FakeBroker, capfd: pytest.CaptureFixture[str]) -> None:
    run = {"outcome": "timed-out", "queued": 0.0, "waited": 0.0, "seconds": 0.0, "scripts": []}
    broker.reply("status", {"results": [run], "jobs": [], "health": []})
    assert cli.main(["health"]) == 1
    assert capfd.readouterr().out.endswith("ago: timed-out\n")


def test_a_component_that_is_asked_for_twice(broker: FakeBroker, capfd: pytest.CaptureFixture[str]) -> None:
    """The second question, whether it is there at all, may fail without harm."""
    broker.refuse("status", "EINVAL", "never ran", kind="NeverRan")
    broker.rules["scripts"] = lambda asked: broker.hang_up()
    assert cli.main(["health", "x"]) == 2
    assert capfd.readouterr().out.startswith("UNKNOWN - no monitor event of x has completed")
