"""The output of `make lab-status`."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from ctdb_lab.errors import LabError, NoAnswer
from ctdb_lab.lab import Lab
from ctdb_lab.node import ANSWER_SECONDS, Node
from ctdb_lab.processes import Process, catches, executable
from ctdb_lab.waiting import wait_until

__all__ = ["status"]

_STATE_SECONDS = 3


def status(lab: Lab) -> Iterator[str]:
    """Yields the state of a lab by lines: the cluster, the addresses, then each node. Takes seconds if a node hangs."""
    running = [node for node in lab.nodes if node.is_running()]
    if running:
        yield from _command(running[0], "status")
    yield ""
    yield "public address        on the interface of     by ctdbd's account"
    account = _account(running[0]) if running else None
    for address, hosts in lab.hosting().items():
        actual = ", ".join(f"node {number} ({state.value})" for number, state in hosts.items()) or "no node"
        yield f"{address:<20}  {actual:<22}  {_by_account(account, address)}"
    for node in lab.nodes:
        yield ""
        yield from _node(node, answers=node in running, samba=lab.plan.samba)


def _account(node: Node) -> dict[str, int] | None:
    with contextlib.suppress(NoAnswer):
        return node.hosts_by_ctdb(ANSWER_SECONDS)
    return None


def _by_account(account: dict[str, int] | None, address: str) -> str:
    if account is None:
        return "no answer"
    number = account.get(address, -1)
    return f"node {number}" if number >= 0 else "no node"


def _node(node: Node, *, answers: bool, samba: bool) -> Iterator[str]:
    eventd = node.daemon("eventd")
    yield f"--- node {node.number}, {node.address}, files in {node.directory}"
    yield f"    a shell on it: {' '.join(node.shell())}"
    if eventd is None:
        yield "    no event daemon runs: ctdbd is down"
        return
    if not answers:
        yield f"    ctdbd: no answer within {ANSWER_SECONDS} s"
    yield f"    event daemon: {eventd.command}"
    yield f"    process {eventd.pid}, {_usage(eventd.pid)}, {len(node.scripts())} scripts run"
    if _is_ours(eventd):
        yield from _own_account(node, eventd)
    if samba:
        yield _smbd(node)
    yield from _command(node, "scriptstatus")


def _smbd(node: Node) -> str:
    smbd = node.smbd()
    if smbd is None:
        return "    smbd: doesn't run"
    sessions = sum(process.parent == smbd.pid and "smbd" in process.command for process in node.processes())
    return f"    smbd: process {smbd.pid}, {_usage(smbd.pid)}, {sessions} children"


def _is_ours(eventd: Process) -> bool:
    """Returns whether it is our daemon, which logs its state at a signal that ends any other daemon."""
    is_python = os.path.basename(executable(eventd.pid)).startswith("python")
    return is_python and catches(eventd.pid, signal.SIGUSR2)


def _command(node: Node, *argv: str) -> Iterator[str]:
    try:
        done = node.ctdb(*argv, timeout=ANSWER_SECONDS)
    except NoAnswer:
        yield f"    `ctdb {' '.join(argv)}`: no answer within {ANSWER_SECONDS} s"
        return
    yield from (f"    {line}" for line in (done.stdout + done.stderr).splitlines())


def _usage(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/status").read_text().splitlines()
        memory = next(line.split()[1] for line in fields if line.startswith("VmRSS:"))
        return f"{int(memory) / 1024:.1f} MiB, {len(os.listdir(f'/proc/{pid}/fd'))} descriptors"
    except (OSError, StopIteration):
        return "just ended"


def _own_account(node: Node, eventd: Process) -> Iterator[str]:
    """Returns the state that our daemon writes to its log on request: what runs, what waits and for what."""
    begin = len(node.log)
    node.kill(eventd, signal.SIGUSR2)

    def lines() -> list[str]:
        return [line.partition("state: ")[2] for line in node.log[begin:].splitlines() if "state: " in line]

    try:
        wait_until(lines, _STATE_SECONDS, "the event daemon to tell its state")
    except LabError:
        yield f"    the event daemon: no answer within {_STATE_SECONDS} s"
        return
    yield from (f"    state: {line}" for line in lines())
