"""A lab whose nodes have Samba: 50.samba starts and watches smbd, and real clients write through a failover."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ctdb_lab import Lab, Plan, wait_until
from ctdb_lab.plan import eventd_path
from ctdb_lab.requirements import missing_requirements
from ctdb_lab.show import status
from ctdb_lab.writers import wait_until_served, writing
from skipping import skip_or_fail

pytestmark = pytest.mark.interop

SOON = 60


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    skip_or_fail(missing_requirements(eventd_path("ours"), samba=True))
    plan = Plan(eventd=eventd_path("ours"), nodes=2, addresses4=4, addresses6=0, samba=True)
    with Lab(tmp_path_factory.mktemp("samba") / "lab", plan) as lab:
        yield lab


@pytest.fixture(autouse=True)
def _healthy(lab: Lab) -> None:
    lab.wait_until_settled()


def _on(lab: Lab, number: int) -> list[str]:
    return [address for address, hosts in lab.hosting().items() if number in hosts]


def test_the_status_tells_of_smbd(lab: Lab) -> None:
    smbd = lab.nodes[1].smbd()
    assert smbd is not None
    assert smbd.command.startswith("/usr/sbin/smbd")
    assert any(line.startswith(f"    smbd: process {smbd.pid}, ") for line in status(lab))


def test_clients_write_on_when_their_node_goes(lab: Lab) -> None:
    addresses = _on(lab, 1)
    assert len(addresses) == 2
    with writing(lab, addresses) as writers:
        begin = time.monotonic()
        lab.nodes[1].order("disable")
        lab.wait_until_hosted(on=[0])
        hosted = time.monotonic()
        wait_until_served(lab, writers, hosted)
        served = time.monotonic()
        gaps = {writer.address: writer.longest_gap(begin) for writer in writers}
    lab.nodes[1].order("enable")
    # both were cut off, and not for longer than it took; a write is what the share's files have on every node
    assert all(0.05 < gap < served - begin for gap in gaps.values()), gaps
    assert set(addresses) <= set(os.listdir(lab.directory / "share"))


def test_a_node_without_smbd_is_unhealthy(lab: Lab) -> None:
    node = lab.nodes[1]
    for process in node.processes():
        if process.command.startswith("/usr/sbin/smbd"):
            node.kill(process)
    wait_until(lambda: not node.is_healthy(), SOON, "the node to be unhealthy", lab.explain)
    assert node.outcomes("monitor")["50.samba"] == "ERROR"
    assert any(line == "    smbd: doesn't run" for line in status(lab))
    lab.wait_until_hosted(on=[0])
    assert node.run("/etc/init.d/smbd", "start").returncode == 0
    lab.wait_until_healthy()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ctdb_lab.requirements._SAMBA", {str(tmp_path / "smbd"): "samba"})
    problem = missing_requirements(eventd_path("ours"), samba=True)
    assert problem == f"the lab needs {tmp_path / 'smbd'}: apt-get install --no-install-recommends samba"
