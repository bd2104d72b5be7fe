"""What a lab consists of: pure description, and the numbering of everything in it."""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import attrs

__all__ = [
    "CLIENT_ADDRESSES",
    "CTDBD",
    "CTDB_EVENTD",
    "CTDB_HELPER",
    "CTDB_HELPERS",
    "CTDB_TOOL",
    "NODE_INTERFACE",
    "PROVIDED_SCRIPTS",
    "PUBLIC_INTERFACE",
    "Plan",
    "PublicAddress",
    "eventd_path",
    "own_eventd",
]

CTDBD = "/usr/sbin/ctdbd"
CTDB_TOOL = "/usr/bin/ctdb"
CTDB_HELPERS = "/usr/libexec/ctdb"
"""Where CTDB has the programs that it starts itself."""
CTDB_HELPER = f"{CTDB_HELPERS}/ctdb-eventd"
"""What every ctdbd starts: CTDB's own event daemon, or what was put in its place."""
PROVIDED_SCRIPTS = "/usr/share/ctdb/events/legacy"
PROVIDED = ("00.ctdb", "10.interface")
"""Those of CTDB's scripts that every lab runs."""
NODE_INTERFACE = "node0"
PUBLIC_INTERFACE = "pub0"


def own_eventd(helper: str = CTDB_HELPER) -> str:
    """The path of CTDB's own event daemon; ctdb-eventd-install keeps it beside ours, which has its place then."""
    kept = f"{helper}.ctdb"
    return kept if Path(kept).exists() else helper


CTDB_EVENTD = own_eventd()

# The recovery suppression after the first recovery (10 s) is most of what a cluster takes to become healthy. A ban
# of five minutes would outlive most tests. The rest is left alone, the time for a takeover above all.
DEFAULT_TUNABLES = {"RerecoveryTimeout": 2, "MonitorInterval": 3, "RecoveryBanPeriod": 10}

# No network of the machine's: nothing of a lab ever leaves its namespaces, but a person reads the numbers.
_NODE_NETWORK = ipaddress.ip_network("10.99.0.0/24")
_PUBLIC_4 = ipaddress.ip_network("10.100.0.0/16")
_PUBLIC_6 = ipaddress.ip_network("fd00:c7db::/64")
CLIENT_ADDRESSES = (f"{_PUBLIC_4[-2]}/{_PUBLIC_4.prefixlen}", f"{_PUBLIC_6[0xFFFF]}/{_PUBLIC_6.prefixlen}")
"""The bridge's own: what a client in the lab's network has."""
_MOST_NODES = 16


@attrs.frozen(kw_only=True)
class PublicAddress:
    """An address that moves between nodes."""

    address: str
    bits: int
    """Of the netmask."""

    @property
    def line(self) -> str:
        """As it stands in CTDB's file of public addresses."""
        return f"{self.address}/{self.bits} {PUBLIC_INTERFACE}"


def _node_count(_: object, __: object, value: int) -> None:
    if not 1 <= value <= _MOST_NODES:
        raise ValueError(f"a lab has 1 to {_MOST_NODES} nodes, not {value}")


def _address_count(_: object, __: object, value: int) -> None:
    if not 0 <= value <= 1000:
        raise ValueError(f"a lab has 0 to 1000 public addresses of a kind, not {value}")


@attrs.frozen(kw_only=True)
class Plan:
    """A lab that could be."""

    eventd: str
    """Path of the event daemon that every ctdbd starts."""
    nodes: int = attrs.field(default=3, validator=_node_count)
    addresses4: int = attrs.field(default=6, validator=_address_count)
    """Public IPv4 addresses."""
    addresses6: int = attrs.field(default=3, validator=_address_count)
    """Public IPv6 addresses. Each takes two seconds, since the kernel asks the network first whether it is free."""
    tunables: Mapping[str, int] = attrs.field(factory=dict)
    """Besides the lab's own, or instead of them."""
    scripts: Mapping[str, str] = attrs.field(factory=dict)
    """More event scripts: name without `.script`, and text. `@NODE@` becomes the node's directory."""

    configuration: str = ""
    """More of ctdb.conf, with `@NODE@` likewise."""
    samba: bool = False
    """Each node has an smbd, which 50.samba starts and watches."""

    @property
    def enabled(self) -> tuple[str, ...]:
        """CTDB's own scripts that are to run."""
        return (*PROVIDED, "50.samba") if self.samba else PROVIDED

    @property
    def all_tunables(self) -> dict[str, int]:
        """What ctdb.tunables shall say."""
        return DEFAULT_TUNABLES | dict(self.tunables)

    @property
    def node_addresses(self) -> list[str]:
        """The address of each node, in order."""
        return [str(_NODE_NETWORK[number + 1]) for number in range(self.nodes)]

    @property
    def public_addresses(self) -> list[PublicAddress]:
        """All of them, IPv4 first."""
        four = [PublicAddress(address=str(_PUBLIC_4[256 + number]), bits=16) for number in range(self.addresses4)]
        six = [PublicAddress(address=str(_PUBLIC_6[256 + number]), bits=64) for number in range(self.addresses6)]
        return four + six

    def save(self, path: Path) -> None:
        """Writes it down for whoever attaches to the lab later."""
        path.write_text(json.dumps(attrs.asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Reads what `save` wrote."""
        return cls(**json.loads(path.read_text()))


def eventd_path(wanted: str) -> str:
    """The path behind what people write: `ctdb`, `ours` or a path.

    Ours is the one beside this interpreter.
    """
    if wanted == "ctdb":
        return own_eventd()
    if wanted == "ours":
        # not resolved: in a virtual environment the interpreter is a link to one that has no programs beside it
        return str(Path(sys.executable).parent / "ctdb-eventd")
    return str(Path(wanted).absolute())
