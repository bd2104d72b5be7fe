"""CTDB's own 10.interface, unmodified, with many real addresses at once: the kernel has exactly the right ones then.

Duplicate address detection, secondary addresses and their promotion, firewall rules: all of it is the kernel's own.
"""

from __future__ import annotations

import errno
import re
import time
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from ctdb_versions import UPDATEIP_SAYS
from nodes import Node, alive, until

from .host import (
    INTERFACES,
    Asked,
    Host,
    PublicAddress,
    lay_out,
    provide_interface_script,
    releases,
    running_host,
    takes,
)

pytestmark = pytest.mark.interop

# In every prefix the first address is the primary one and all others are secondary, so a release of the first has the
# kernel promote another one.
IPV4 = [
    *(PublicAddress("pub0", f"10.1.0.{number}", 24) for number in range(1, 91)),
    *(PublicAddress("pub0", f"10.1.1.{number}", 25) for number in range(1, 61)),
    *(PublicAddress("pub1", f"10.2.{number}.1", 16) for number in range(1, 51)),
]
IPV6 = [
    *(PublicAddress("pub0", f"fd00:c7db:1::{number:x}", 64) for number in range(1, 41)),
    *(PublicAddress("pub1", f"fd00:c7db:2::{number:x}", 112) for number in range(1, 21)),
]
ALL = IPV4 + IPV6

_COUNT = """
[ "$1" = ipreallocated ] || exit 0
ip -o addr show scope global | wc -l >"$CTDB_BASE/var/counted"
"""

# Hangs once, for the address in the file; a later event for it tells whether anything of that run is still there.
_HANG = """
[ "$1" = takeip ] && [ "$3" = "$(cat "$CTDB_BASE/var/hanging")" ] || exit 0
if [ -e "$CTDB_BASE/var/hung" ]; then
  kill -0 "$(cat "$CTDB_BASE/var/hung")" 2>/dev/null && echo "overlaps with the one that hangs"
  exit 0
fi
trap '' TERM
echo $$ >"$CTDB_BASE/var/pid"
mv "$CTDB_BASE/var/pid" "$CTDB_BASE/var/hung"
sleep 1000
"""
_HANG_CONFIGURATION = "[eventd]\n  kill grace = 4\n"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with 10.interface and nothing else."""
    node = lay_out(tmp_path)
    provide_interface_script(node, ALL)
    return node


def assert_exactly(host: Host, wanted: list[PublicAddress]) -> None:
    """The kernel has these addresses, no others, and no firewall rule that a release left behind."""
    present = host.addresses()
    missing, surplus = set(wanted) - present, present - set(wanted)
    assert (missing, surplus) == (set(), set()), host.node.log
    assert not host.rules()


async def test_all_are_taken_and_released_at_once(node: Node) -> None:
    """An ipreallocated right behind them sees every one of them in place."""
    node.script("90.check.script", _COUNT)
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, [*takes(ALL), Asked("ipreallocated")])
        assert int(node.read("counted")) == len(ALL)
        assert_exactly(host, ALL)
        await host.ask(client, [*releases(ALL), Asked("ipreallocated")])
        assert int(node.read("counted")) == 0
        assert_exactly(host, [])
    assert node.log == ""


async def test_half_is_released_while_the_other_half_is_taken(node: Node) -> None:
    """The primary addresses among them: their secondaries, old and new, must stay."""
    mine, others = ALL[::2], ALL[1::2]
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, takes(mine))
        assert_exactly(host, mine)
        await host.ask(client, chain.from_iterable(zip(releases(mine), takes(others), strict=True)))
        assert_exactly(host, others)
    assert node.log == ""


async def test_events_of_one_address_keep_their_order(node: Node) -> None:
    """Sent together, the later one decides; the script itself would leave anything if they overlapped."""
    held, absent = [*IPV4[:15], *IPV6[:6]], [*IPV4[15:30], *IPV6[6:12]]
    back = chain.from_iterable(zip(releases(held), takes(held), strict=True))
    forth = chain.from_iterable(zip(takes(absent), releases(absent), strict=True))
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, takes(held))
        await host.ask(client, [*back, *forth])
        assert_exactly(host, held)
    assert node.log == ""


def _moves(addresses: list[PublicAddress]) -> tuple[list[Asked], list[PublicAddress]]:
    """Requests to move addresses to the other interface, and where they are then."""
    moved = [
        PublicAddress(INTERFACES[address.interface == INTERFACES[0]], address.ip, address.bits) for address in addresses
    ]
    asked = [Asked("updateip", (old.interface, *new.args)) for old, new in zip(addresses, moved, strict=True)]
    return asked, moved


async def test_addresses_change_places_between_interfaces(node: Node) -> None:
    """In both directions at once."""
    here = [*IPV4[:15], *IPV4[-15:], *IPV6[:5], *IPV6[-5:]]
    requests, there = _moves(here)
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, takes(here))
        assert_exactly(host, here)
        await host.ask(client, requests)
        assert_exactly(host, there)
    output = re.findall(r"10\.interface: (.*) \((\S+?)(?:, at [0-9:.]+)?\)$", node.log, re.MULTILINE)
    said = [(text.strip(), address) for text, address in output]
    expected = [(text.format(ip=to.ip, interface=to.interface), to.ip) for text in UPDATEIP_SAYS.here for to in there]
    assert Counter(said) == Counter(expected)


async def test_a_hung_event_keeps_its_address_until_it_is_gone(tmp_path: Path) -> None:
    """Its reply is long given by then; other addresses don't wait."""
    node = lay_out(tmp_path, _HANG_CONFIGURATION)
    node.script("05.hang.script", _HANG)
    provide_interface_script(node, ALL)
    mine, *others = IPV4[:6]
    (node.var / "hanging").write_text(mine.ip)
    async with running_host(node) as host, host.daemon.client() as client:
        hung = client.start("takeip", *mine.args, limit=1)
        again = client.start("takeip", *mine.args)
        await host.ask(client, takes(others[:4]))
        assert await client.result(hung) == errno.ETIMEDOUT
        await host.ask(client, takes(others[4:]))
        group = int(node.read("hung"))
        assert alive(group), "the machine is too slow to look while the hung script lives"
        assert_exactly(host, others)
        await until(lambda: not alive(group), "the hung script to be killed")
        begin = time.monotonic()
        assert await client.result(again) == 0, node.log
        assert time.monotonic() - begin < 5
        assert_exactly(host, [mine, *others])
    assert "overlaps" not in node.log
