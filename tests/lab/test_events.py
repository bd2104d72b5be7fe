"""The events of CTDB on three real nodes: docs/events.md promises nothing that isn't seen here.

What happened, and in which order, is what the scripts of all nodes wrote down in one file.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from ctdb_lab import Lab, LabError, Node, Plan, wait_until
from ctdb_lab.plan import NODE_INTERFACE, PUBLIC_INTERFACE, eventd_path
from ctdb_versions import SENDS_STARTIPREALLOCATE

from .steps import restore

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("able")]

VICTIM = 1
ALL = {0, 1, 2}
OTHERS = {0, 2}
SOON = 60
INTERVAL = 3
"""The lab's MonitorInterval."""
ADDRESS_EVENTS = ("takeip", "releaseip", "updateip")

# An append is one write, so lines never mix and stand in the order in which things happened. The pause is for others to
# begin in the meantime, if they may.
_RECORD = """#!/bin/sh
node=@NODE@
say() { read -r up _ </proc/uptime; echo "$up ${node##*/node} $*" >>@NODE@/../story; }
say begin "$@"
case "$1" in
init | setup) timeout 2 ctdb ping >/dev/null 2>&1 && say answers "$@" ;;
takeip | releaseip | updateip) sleep 0.3 ;;
esac
if [ -e "@NODE@/fail-$1" ]; then
  echo "told to fail"
  say fail "$@"
  exit 1
fi
say end "$@"
"""
_AFTER = """#!/bin/sh
node=@NODE@
echo "0 ${node##*/node} after $*" >>@NODE@/../story
"""


@attrs.frozen
class Entry:
    """A line that a script wrote."""

    at: float
    """Seconds since the machine started; only of the first script."""
    node: int
    what: str
    """`begin`, `end` or `fail`; `answers` if ctdbd's socket did; `after` by the next script."""
    event: str
    args: tuple[str, ...]


class Story:
    """What the scripts of all nodes have written since some moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = len(self._lines())

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []

    def entries(self, what: str = "", *events: str, node: int | None = None) -> list[tuple[int, Entry]]:
        """The entries of a kind, each with its place in the order."""
        found = []
        for place, line in enumerate(self._lines()[self._from :]):
            at, its_node, its_what, event, *args = line.split()
            entry = Entry(float(at), int(its_node), its_what, event, tuple(args))
            if what in ("", entry.what) and (not events or event in events) and node in (None, entry.node):
                found.append((place, entry))
        return found

    def places(self, what: str, *events: str, node: int | None = None) -> list[int]:
        """Where the entries of a kind stand in the order."""
        return [place for place, _ in self.entries(what, *events, node=node)]

    def nodes(self, what: str, event: str) -> set[int]:
        """On which nodes there are entries of a kind."""
        return {entry.node for _, entry in self.entries(what, event)}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, able: None) -> Iterator[Lab]:
    """Without IPv6, whose addresses take two seconds each."""
    scripts = {"01.record": _RECORD, "90.after": _AFTER}
    plan = Plan(eventd=eventd_path("ours"), addresses4=9, addresses6=0, scripts=scripts)
    with Lab(tmp_path_factory.mktemp("lab") / "lab", plan) as made:
        yield made


@pytest.fixture
def healthy(lab: Lab) -> Lab:
    """The lab with all nodes in health and every address hosted, at rest."""
    for node in lab.nodes:
        for flag in node.directory.glob("fail-*"):
            flag.unlink()
    restore(lab)
    lab.wait_until_settled()
    return lab


@pytest.fixture
def victim(healthy: Lab) -> Node:
    """The node that things happen to."""
    return healthy.nodes[VICTIM]


@pytest.fixture
def story(healthy: Lab) -> Story:
    """What happens from now on."""
    return Story(healthy.directory / "story")


@contextlib.contextmanager
def failing(node: Node, event: str) -> Iterator[None]:
    """A script of the node fails in this event."""
    flag = node.directory / f"fail-{event}"
    flag.touch()
    try:
        yield
    finally:
        flag.unlink()


def await_entries(lab: Lab, there: Callable[[], object], what: str) -> None:
    wait_until(there, SOON, what, lab.explain)


def started_again(lab: Lab, node: Node) -> Story:
    """Stops and starts a node; what happened since it was stopped."""
    node.stop()
    story = Story(lab.directory / "story")
    node.start()
    lab.wait_until_healthy()
    return story


# ---------------------------------------------------------------------- a node's start and end


def test_the_order_of_a_start(healthy: Lab, victim: Node) -> None:
    """First init, then setup, a recovery, startup, and monitor from then on; init and setup once."""
    story = started_again(healthy, victim)
    firsts = [
        story.places("begin", event, node=VICTIM)[0]
        for event in ("init", "setup", "startrecovery", "recovered", "startup", "monitor")
    ]
    assert firsts == sorted(firsts)
    for event in ("init", "setup", "startup"):
        assert len(story.places("begin", event, node=VICTIM)) == 1, event
    (init_end,) = story.places("end", "init", node=VICTIM)
    assert init_end < story.places("begin", "setup", node=VICTIM)[0]


def test_ctdbd_listens_in_setup_and_not_yet_in_init(healthy: Lab, victim: Node) -> None:
    story = started_again(healthy, victim)
    assert [entry.event for _, entry in story.entries("answers", node=VICTIM)] == ["setup"]


@pytest.mark.parametrize("event", ["init", "setup"])
def test_a_failure_before_startup_ends_ctdbd(healthy: Lab, victim: Node, event: str) -> None:
    victim.stop()
    story = Story(healthy.directory / "story")
    with failing(victim, event):
        # in setup it answers already, so it may seem to have started
        with contextlib.suppress(LabError):
            victim.start()
        victim.wait_until_empty()
    assert len(story.places("fail", event, node=VICTIM)) == 1, "no second try"
    later = {entry.event for _, entry in story.entries("begin", node=VICTIM)} - {"init", "setup", "shutdown"}
    assert later == set()


def test_startup_is_tried_until_it_succeeds(healthy: Lab, victim: Node) -> None:
    victim.stop()
    story = Story(healthy.directory / "story")
    with failing(victim, "startup"):
        victim.start()
        await_entries(healthy, lambda: len(story.places("fail", "startup", node=VICTIM)) >= 3, "three tries")
        assert not victim.is_healthy()
        assert not story.places("begin", "monitor", node=VICTIM)
    healthy.wait_until_healthy()
    assert len(story.places("end", "startup", node=VICTIM)) == 1


def test_shutdown_is_the_last_event(healthy: Lab, victim: Node, story: Story) -> None:
    victim.stop()
    assert story.entries(node=VICTIM)[-1][1].event == "shutdown"
    assert len(story.places("end", "shutdown", node=VICTIM)) == 1
    assert {entry.node for _, entry in story.entries("begin", "shutdown")} == {VICTIM}


def test_ctdbd_ends_though_shutdown_fails(victim: Node, story: Story) -> None:
    with failing(victim, "shutdown"):
        victim.stop()
    assert len(story.places("fail", "shutdown", node=VICTIM)) == 1


# ---------------------------------------------------------------------- monitor


def test_monitor_comes_again_after_its_interval(healthy: Lab, victim: Node, story: Story) -> None:
    """The pause lies between the end of one and the beginning of the next; it is a tunable."""

    def pauses() -> list[float]:
        ends = story.entries("end", "monitor", node=VICTIM)
        begins = story.entries("begin", "monitor", node=VICTIM)
        pairs = [(end, begin) for end, begin in itertools.product(ends, begins) if end[0] < begin[0]]
        nearest = {begin[0]: begin[1].at - end[1].at for end, begin in pairs}
        return list(nearest.values())

    await_entries(healthy, lambda: len(pauses()) >= 2, "three monitor events")
    assert min(pauses()) > INTERVAL - 0.5
    victim.order("setvar", "MonitorInterval", "1")
    try:
        await_entries(healthy, lambda: min(pauses()) < INTERVAL - 1, "a shorter pause")
    finally:
        victim.order("setvar", "MonitorInterval", str(INTERVAL))


def test_monitor_decides_on_the_nodes_health(healthy: Lab, victim: Node, story: Story) -> None:
    """The first script that fails ends the event; the addresses go to others, and come back."""
    with failing(victim, "monitor"):
        wait_until(lambda: "UNHEALTHY" in victim.ctdb("nodestatus").stdout, SOON, "UNHEALTHY", healthy.explain)
        healthy.wait_until_hosted(OTHERS)
        failed = story.places("fail", "monitor", node=VICTIM)[0]
        await_entries(healthy, lambda: len(story.places("fail", "monitor", node=VICTIM)) > 1, "the next one")
        assert not [place for place in story.places("after", "monitor", node=VICTIM) if place > failed]
    healthy.wait_until_healthy()


# ---------------------------------------------------------------------- recoveries


def test_a_recovery_begins_and_ends_with_an_event_on_every_node(healthy: Lab, victim: Node, story: Story) -> None:
    victim.order("recover")
    await_entries(healthy, lambda: story.nodes("end", "recovered") == ALL, "recovered on every node")
    for node in ALL:
        assert story.places("end", "startrecovery", node=node)[0] < story.places("begin", "recovered", node=node)[0]


# ---------------------------------------------------------------------- addresses


def _moved(lab: Lab, order: str) -> Story:
    """Takes the victim out or in, and returns what happened until the cluster was at rest."""
    story = Story(lab.directory / "story")
    lab.nodes[VICTIM].order(order)
    if order == "disable":
        lab.wait_until_hosted(OTHERS)
        await_entries(lab, lambda: _is_over(story), "ipreallocated behind everything")
    else:
        lab.wait_until_settled()
    return story


def _is_over(story: Story) -> bool:
    last = max(story.places("begin", *ADDRESS_EVENTS), default=0)
    return all(max(story.places("end", "ipreallocated", node=node), default=-1) > last for node in ALL)


@pytest.fixture(scope="module")
def away(lab: Lab) -> Iterator[Story]:
    """The victim is disabled."""
    restore(lab)
    lab.wait_until_settled()
    yield _moved(lab, "disable")
    restore(lab)


@pytest.fixture(scope="module")
def back(away: Story, lab: Lab) -> Story:
    """The victim is enabled again."""
    return _moved(lab, "enable")


def test_startipreallocate_is_over_on_every_node_before_an_address_is_released(away: Story) -> None:
    release = away.places("begin", "releaseip")[0]
    before = {entry.node for place, entry in away.entries("end", "startipreallocate") if place < release}
    assert before == (ALL if SENDS_STARTIPREALLOCATE.here else set())


def test_arguments_of_address_events(away: Story, lab: Lab) -> None:
    """Interface, address, and bits of the netmask, of the addresses that move and no other."""
    moved = {entry.args for _, entry in away.entries("begin", "releaseip", node=VICTIM)}
    assert len(moved) == 3
    assert moved <= {(PUBLIC_INTERFACE, one.address, str(one.bits)) for one in lab.plan.public_addresses}
    assert {entry.args for _, entry in away.entries("begin", "takeip")} == moved


def test_an_address_is_released_before_it_is_taken(away: Story) -> None:
    for place, entry in away.entries("begin", "takeip"):
        released = [at for at, other in away.entries("end", "releaseip") if other.args == entry.args]
        assert min(released) < place, entry


def test_ipreallocated_comes_last_and_on_every_node(away: Story) -> None:
    """On each: when all nodes are done with all addresses."""
    last = max(away.places("end", *ADDRESS_EVENTS))
    behind = {entry.node for place, entry in away.entries("begin", "ipreallocated") if place > last}
    assert behind == ALL


def test_events_of_different_addresses_run_side_by_side(away: Story, back: Story) -> None:
    """CTDB's own daemon runs them one after another."""
    assert _most_at_once(away, "releaseip") == 3
    assert _most_at_once(back, "takeip") == 3


def _most_at_once(story: Story, event: str) -> int:
    """Of the victim's events of a name: how many ran at the same time."""
    running = most = 0
    for _, entry in story.entries("", event, node=VICTIM):
        running += {"begin": 1, "end": -1, "fail": -1}.get(entry.what, 0)
        most = max(most, running)
    return most


def test_ipreallocated_runs_though_nothing_has_changed(healthy: Lab, victim: Node, story: Story) -> None:
    victim.order("ipreallocate")
    await_entries(healthy, lambda: story.nodes("end", "ipreallocated") == ALL, "ipreallocated on every node")
    assert not story.places("begin", *ADDRESS_EVENTS)
    assert story.nodes("begin", "startipreallocate") == (ALL if SENDS_STARTIPREALLOCATE.here else set())


@pytest.mark.parametrize(
    ("event", "number"),
    [("startipreallocate", 0), ("releaseip", VICTIM), ("takeip", 0), ("takeip", 2), ("ipreallocated", 0)],
)
def test_a_failure_makes_ctdb_try_again(healthy: Lab, victim: Node, story: Story, event: str, number: int) -> None:
    if event == "startipreallocate" and not SENDS_STARTIPREALLOCATE.here:
        assert not story.places("begin", event)
        return
    with failing(healthy.nodes[number], event):
        victim.ctdb("disable")  # fails if it waits for what fails
        await_entries(
            healthy, lambda: len(story.places("fail", event, node=number)) >= 2, f"another {event} on node {number}"
        )
    wait_until(lambda: _is_healthy_but_the_victim(healthy), SOON, "the addresses to be hosted", healthy.explain)


def _is_healthy_but_the_victim(lab: Lab) -> bool:
    return lab.is_hosted_once(OTHERS)


def test_updateip_moves_an_address_to_another_interface_of_its_node(healthy: Lab, victim: Node) -> None:
    """Its arguments are the interface so far, the new one, the address and the bits of the netmask."""
    both = "".join(
        f"{one.address}/{one.bits} {PUBLIC_INTERFACE},{NODE_INTERFACE}\n" for one in healthy.plan.public_addresses
    )
    addresses = victim.directory / "etc" / "public_addresses"
    options = victim.directory / "etc" / "script.options"
    former = addresses.read_text(), options.read_text() if options.exists() else ""
    try:
        _restarted(healthy, victim, {addresses: both, options: f"{former[1]}\nCTDB_PARTIALLY_ONLINE_INTERFACES=yes\n"})
        story = Story(healthy.directory / "story")
        shown = victim.run("ip", "-o", "-4", "addr", "show", "dev", PUBLIC_INTERFACE).stdout
        held = {word.partition("/")[0] for word in shown.split() if word.endswith("/16")}
        assert held
        healthy.plug(VICTIM, PUBLIC_INTERFACE, put_in=False)
        await_entries(
            healthy,
            lambda: {entry.args[2] for _, entry in story.entries("end", "updateip", node=VICTIM)} >= held,
            "updateip of every address",
        )
        for _, entry in story.entries("begin", "updateip", node=VICTIM):
            assert (entry.args[0], entry.args[1], entry.args[3]) == (PUBLIC_INTERFACE, NODE_INTERFACE, "16")
        assert _most_at_once(story, "updateip") == len(held)
    finally:
        healthy.plug(VICTIM, PUBLIC_INTERFACE, put_in=True)
        _restarted(healthy, victim, {addresses: former[0], options: former[1]})


def _restarted(lab: Lab, node: Node, files: dict[Path, str]) -> None:
    """With other files: ctdbd reads which interfaces may host an address at its start only."""
    node.stop()
    for path, text in files.items():
        path.write_text(text)
    node.start()
    lab.wait_until_settled()
