"""What `make lab-status` prints."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from ctdb_lab.lab import Lab
from ctdb_lab.node import Node
from ctdb_lab.plan import CTDB_EVENTD
from ctdb_lab.processes import Process
from ctdb_lab.waiting import wait_until

__all__ = ["status"]

_STATE_SECONDS = 3


def status(lab: Lab) -> Iterator[str]:
    """The state of a lab, line by line: the cluster, the addresses, then each node."""
    running = [node for node in lab.nodes if node.is_running()]
    if running:
        yield from _command(running[0], "status")
    yield ""
    yield "public address        on the interface of     by ctdbd's account"
    account = running[0].hosts_by_ctdb() if running else {}
    for address, hosts in lab.hosting().items():
        actual = ", ".join(f"node {number} ({state.value})" for number, state in hosts.items()) or "no node"
        number = account.get(address, -1)
        yield f"{address:<20}  {actual:<22}  {f'node {number}' if number >= 0 else 'no node'}"
    for node in lab.nodes:
        yield ""
        yield from _node(node)


def _node(node: Node) -> Iterator[str]:
    eventd = node.daemon("eventd")
    yield f"--- node {node.number}, {node.address}, files in {node.directory}"
    yield f"    a shell on it: {' '.join(node.entering('sh'))}"
    if eventd is None:
        yield "    no event daemon runs: ctdbd is down"
        return
    yield f"    event daemon: {eventd.command}"
    yield f"    process {eventd.pid}, {_usage(eventd.pid)}, {len(node.scripts())} scripts run"
    if CTDB_EVENTD not in eventd.command:
        yield from _own_account(node, eventd)
    yield from _command(node, "scriptstatus")


def _command(node: Node, *argv: str) -> Iterator[str]:
    done = node.ctdb(*argv)
    yield from (f"    {line}" for line in (done.stdout + done.stderr).splitlines())


def _usage(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/status").read_text().splitlines()
        memory = next(line.split()[1] for line in fields if line.startswith("VmRSS:"))
        return f"{int(memory) / 1024:.1f} MiB, {len(os.listdir(f'/proc/{pid}/fd'))} descriptors"
    except (OSError, StopIteration):
        return "just ended"


def _own_account(node: Node, eventd: Process) -> Iterator[str]:
    """What our daemon writes to its log when it is asked: what runs, what waits and for what."""
    begin = len(node.log)
    node.kill(eventd, signal.SIGUSR2)

    def lines() -> list[str]:
        return [line.partition("state: ")[2] for line in node.log[begin:].splitlines() if "state: " in line]

    wait_until(lines, _STATE_SECONDS, "the event daemon to tell its state", node.explain)
    yield from (f"    state: {line}" for line in lines())
