"""CTDB's own event daemon gives way to ours and comes back, node by node, while the cluster works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ctdb_lab import CTDB_EVENTD, Lab, Plan, wait_until
from ctdb_lab.plan import eventd_path

from .steps import Outages, shares

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("able")]

# An IPv4 address is away for as long as a takeover run takes, and CTDB's own daemon needs 0.2 s for each address.
LONGEST_OUTAGE = 15


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, able: None) -> Iterator[Lab]:
    """Without IPv6, whose addresses take CTDB's own daemon 2 s each."""
    with Lab(tmp_path_factory.mktemp("lab") / "lab", Plan(eventd=CTDB_EVENTD, addresses4=6, addresses6=0)) as made:
        made.wait_until_healthy()
        yield made


@pytest.mark.parametrize("eventd", [eventd_path("ours"), CTDB_EVENTD], ids=["to-ours", "back"])
def test_a_rolling_swap(lab: Lab, eventd: str) -> None:
    """Out of the cluster in order, restarted with the other daemon, and in again: no address is away for long."""
    with Outages(lab) as outages:
        for number in range(lab.plan.nodes):
            _swap(lab, number, eventd)
    for node in lab.nodes:
        running = node.daemon("eventd")
        assert running is not None, node.explain()
        assert eventd in running.command
    assert max(outages.longest.values(), default=0) < LONGEST_OUTAGE, outages.longest
    assert all(shares(lab).values()), shares(lab)


def _swap(lab: Lab, number: int, eventd: str) -> None:
    node = lab.nodes[number]
    node.order("disable")
    lab.wait_until_hosted(set(range(lab.plan.nodes)) - {number})
    node.stop()
    node.eventd = eventd
    node.start()
    lab.wait_until_healthy()
    wait_until(lambda: shares(lab)[number] and lab.is_hosted_once(), 30, "the node to get its share", lab.explain)
