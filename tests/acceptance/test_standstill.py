"""What a daemon makes of the time that passed while it stood still: stopped by a signal, or without processor time."""

from __future__ import annotations

import errno
import signal
import time
from pathlib import Path

from gates import gate, open_gate
from nodes import Daemon, Node, alive, running_daemon, until

from ctdb_eventd.model import TIMED_OUT
from ctdb_eventd.protocol.messages import StatusRequest

GATED = """
echo $$ > $CTDB_BASE/var/pid-$1
[ -p $CTDB_BASE/var/gate-$1 ] && read line < $CTDB_BASE/var/gate-$1
echo "$1" >> $CTDB_BASE/var/trace
"""


def begun(node: Node, event: str) -> int:
    return int(node.read(f"pid-{event}") or 0)


async def exits_while_stopped(node: Node, daemon: Daemon, seconds: float) -> None:
    """Stops a daemon, lets its script exit, and continues it when more than so many seconds have passed."""
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        since = time.monotonic()
        open_gate(node, "startup")
        await until(lambda: not alive(begun(node, "startup")), "the script to exit")
        await until(lambda: time.monotonic() - since > seconds, f"{seconds} s to pass")
    finally:
        daemon.process.send_signal(signal.SIGCONT)


async def test_a_script_that_exited_meanwhile_has_not_timed_out(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.script("10.gated.script", GATED)
    gate(node, "startup")
    async with running_daemon(node) as daemon, daemon.client() as client:
        run = client.start("startup", limit=1)
        await until(lambda: begun(node, "startup"), "the script to begin")
        await exits_while_stopped(node, daemon, 1.5)
        assert await client.result(run) == 0
        assert "timed out" not in node.log


async def test_the_scripts_after_it_are_not_started_any_more(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.script("10.gated.script", GATED)
    node.script("20.late.script", "echo late >> $CTDB_BASE/var/trace")
    gate(node, "startup")
    async with running_daemon(node) as daemon, daemon.client() as client:
        run = client.start("startup", limit=1)
        await until(lambda: begun(node, "startup"), "the script to begin")
        await exits_while_stopped(node, daemon, 1.5)
        assert await client.result(run) == errno.ETIMEDOUT
        report = await client.status("startup")
    assert [(script.name, script.result) for script in report.scripts] == [("10.gated", 0), ("20.late", TIMED_OUT)]
    assert node.read("trace") == "startup\n"


async def test_a_failure_meanwhile_is_a_failure(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.script("10.gated.script", GATED + "exit 3")
    node.script("20.late.script", "echo late >> $CTDB_BASE/var/trace")
    gate(node, "startup")
    async with running_daemon(node) as daemon, daemon.client() as client:
        run = client.start("startup", limit=1)
        await until(lambda: begun(node, "startup"), "the script to begin")
        await exits_while_stopped(node, daemon, 1.5)
        assert await client.result(run) == errno.ENOEXEC
        assert (await client.status("startup")).summary == 3


async def test_a_request_whose_place_became_free_meanwhile_runs(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.configure("[eventd]\n queue timeout = 1\n")
    node.script("10.gated.script", GATED)
    gate(node, "startup")
    async with running_daemon(node) as daemon, daemon.client() as client:
        runs = [client.start(event, limit=30) for event in ("startup", "recovered")]
        await until(lambda: begun(node, "startup"), "the script to begin")
        # the other has arrived too once what was sent after it is answered
        await client.reply(client.send(StatusRequest("legacy", "startup")))
        await exits_while_stopped(node, daemon, 2.5)
        assert [await client.result(run) for run in runs] == [0, 0]
    assert node.read("trace") == "startup\nrecovered\n"
