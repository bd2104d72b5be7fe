"""Upgrades under a real ctdbd: it notices nothing of them, and no address moves because of one.

LAB_UPGRADES is the number on each node (20 for a full run).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator

import pytest
from ctdb_lab import Lab, Node, Plan, wait_until
from ctdb_lab.plan import eventd_path

from .steps import restore, wait_until_quiet

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("able")]

ROUNDS = int(os.environ.get("LAB_UPGRADES") or 3)
_BUSY = """#!/bin/sh
case "$1" in
takeip | releaseip) sleep 0.2 ;;
monitor) sleep 0.3 ;;
esac
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, able: None) -> Iterator[Lab]:
    plan = Plan(eventd=eventd_path("ours"), addresses4=9, addresses6=3, scripts={"50.busy": _BUSY})
    with Lab(tmp_path_factory.mktemp("lab") / "lab", plan) as made:
        made.wait_until_settled()
        yield made


def upgrade(node: Node) -> None:
    """Has a node's daemon upgraded."""
    done = node.ctdb_event("upgrade")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{node.explain()}"
    assert "Upgraded to version" in done.stdout


def started(node: Node) -> str:
    """When a node's ctdbd was started, as it says itself."""
    found = re.search(r"^Ctdbd start time .*: *(.*)$", node.ctdb("uptime").stdout, re.MULTILINE)
    assert found is not None, node.explain()
    return found[1].partition(") ")[2] or found[1]


def eventd(node: Node) -> int:
    """The process of a node's event daemon."""
    found = node.daemon("eventd")
    assert found is not None, node.explain()
    return found.pid


def test_where_nothing_happens_an_upgrade_moves_nothing(lab: Lab) -> None:
    lab.wait_until_settled()
    before = [(eventd(node), started(node)) for node in lab.nodes]
    hosting, logs = lab.hosting(), [len(node.log) for node in lab.nodes]
    for _ in range(ROUNDS):
        for node in lab.nodes:
            upgrade(node)
    assert [(eventd(node), started(node)) for node in lab.nodes] == before
    assert lab.hosting() == hosting
    for node, length in zip(lab.nodes, logs, strict=True):
        since = node.log[length:]
        assert since.count("upgraded to version") == ROUNDS
        for word in ("takeip", "releaseip", "Recovery has started", "UNHEALTHY"):
            assert word not in since, since
    # it is the new program that ctdbd asks from now on
    for node in lab.nodes:
        wait_until(lambda node=node: _monitors(node), 60, f"a monitor event on node {node.number}", node.explain)  # type: ignore[misc]


def _monitors(node: Node) -> bool:
    return "monitor" in node.ctdb_event("history", "--event", "monitor", "--since", "10s").stdout


def test_in_failovers_every_address_is_hosted_once_afterwards(lab: Lab) -> None:
    before = [(eventd(node), started(node)) for node in lab.nodes]
    over = threading.Event()
    trouble: list[BaseException] = []

    def upgrades(node: Node) -> None:
        try:
            while not over.is_set():
                upgrade(node)
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=upgrades, args=(node,)) for node in lab.nodes]
    for thread in threads:
        thread.start()
    try:
        for number in range(ROUNDS):
            moved = lab.nodes[number % len(lab.nodes)]
            moved.order("disable")
            lab.wait_until_hosted({node.number for node in lab.nodes} - {moved.number})
            moved.order("enable")
            lab.wait_until_healthy()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert trouble == []
    restore(lab)
    assert [(eventd(node), started(node)) for node in lab.nodes] == before
    for node in lab.nodes:
        wait_until_quiet(node)
        assert "this is a bug" not in node.log
