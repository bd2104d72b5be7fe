"""The description of a lab, and the numbering of everything in it. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
import sys
from collections.abc import Iterable, Mapping
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
"""Directory of the programs that CTDB starts itself."""
CTDB_HELPER = f"{CTDB_HELPERS}/ctdb-eventd"
"""The program that every ctdbd starts: CTDB's own event daemon, or a replacement."""
PROVIDED_SCRIPTS = "/usr/share/ctdb/events/legacy"
PROVIDED = ("00.ctdb", "10.interface")
"""CTDB's scripts that every lab runs."""
NODE_INTERFACE = "node0"
PUBLIC_INTERFACE = "pub0"


def own_eventd(helper: str = CTDB_HELPER) -> str:
    """Returns the path of CTDB's own event daemon, which ctdb-eventd-install moves aside when it installs ours."""
    kept = f"{helper}.ctdb"
    return kept if Path(kept).exists() else helper


CTDB_EVENTD = own_eventd()

# Most of the time until a cluster is healthy is the recovery suppression after the first recovery (10 s). A ban of five
# minutes would last longer than most tests. Other tunables are not changed, above all the time for a takeover.
DEFAULT_TUNABLES = {"RerecoveryTimeout": 2, "MonitorInterval": 3, "RecoveryBanPeriod": 10}

# Not a network of this machine: no packet of a lab leaves its namespaces, but users see the numbers.
_NODE_NETWORK = ipaddress.ip_network("10.99.0.0/24")
_PUBLIC_4 = ipaddress.ip_network("10.100.0.0/16")
_PUBLIC_6 = ipaddress.ip_network("fd00:c7db::/64")
CLIENT_ADDRESSES = (f"{_PUBLIC_4[-2]}/{_PUBLIC_4.prefixlen}", f"{_PUBLIC_6[0xFFFF]}/{_PUBLIC_6.prefixlen}")
"""The bridge's own addresses, which clients in the lab's network use."""
_MOST_NODES = 16


@attrs.frozen(kw_only=True)
class PublicAddress:
    """An address that moves between nodes."""

    address: str
    bits: int
    """Length of the netmask."""

    @property
    def line(self) -> str:
        """Its line in CTDB's file of public addresses."""
        return f"{self.address}/{self.bits} {PUBLIC_INTERFACE}"


def _node_count(_: object, __: object, value: int) -> None:
    if not 1 <= value <= _MOST_NODES:
        raise ValueError(f"a lab has 1 to {_MOST_NODES} nodes, not {value}")


def _address_count(_: object, __: object, value: int) -> None:
    if not 0 <= value <= 1000:
        raise ValueError(f"a lab has 0 to 1000 public addresses of a kind, not {value}")


def _as_tuple(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _script_names(_: object, __: object, value: tuple[str, ...]) -> None:
    wrong = next((name for name in value if not re.fullmatch(r"\d\d\.[\w-]+", name)), None)
    if wrong is not None:
        raise ValueError(f"a lab's scripts of CTDB's own have names such as 11.natgw, not {wrong!r}")


@attrs.frozen(kw_only=True)
class Plan:
    """The description of a lab."""

    eventd: str
    """Path of the event daemon that every ctdbd starts."""
    nodes: int = attrs.field(default=3, validator=_node_count)
    addresses4: int = attrs.field(default=6, validator=_address_count)
    """Public IPv4 addresses."""
    addresses6: int = attrs.field(default=3, validator=_address_count)
    """Public IPv6 addresses. Each takes two seconds, since the kernel first checks whether another host has it."""
    tunables: Mapping[str, int] = attrs.field(factory=dict)
    """Tunables that are added to the lab's own, or replace them."""
    provided: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple, validator=_script_names)
    """More of CTDB's own scripts that are enabled, without `.script`."""
    scripts: Mapping[str, str] = attrs.field(factory=dict)
    """More event scripts: name without `.script`, and text. `@NODE@` is replaced by the node's directory."""

    configuration: str = ""
    """More lines of ctdb.conf, with the same replacement."""
    samba: bool = False
    """Whether each node has an smbd, which 50.samba starts and monitors."""

    @property
    def enabled(self) -> tuple[str, ...]:
        """CTDB's own scripts that are enabled."""
        return tuple(sorted({*PROVIDED, *self.provided, *(("50.samba",) if self.samba else ())}))

    @property
    def all_tunables(self) -> dict[str, int]:
        """The content of ctdb.tunables."""
        return DEFAULT_TUNABLES | dict(self.tunables)

    @property
    def node_addresses(self) -> list[str]:
        """The address of each node, in order."""
        return [str(_NODE_NETWORK[number + 1]) for number in range(self.nodes)]

    @property
    def public_addresses(self) -> list[PublicAddress]:
        """All public addresses, IPv4 first."""
        four = [PublicAddress(address=str(_PUBLIC_4[256 + number]), bits=16) for number in range(self.addresses4)]
        six = [PublicAddress(address=str(_PUBLIC_6[256 + number]), bits=64) for number in range(self.addresses6)]
        return four + six

    def save(self, path: Path) -> None:
        """Saves it for processes that attach to the lab later."""
        path.write_text(json.dumps(attrs.asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Loads the file that `save` wrote."""
        return cls(**json.loads(path.read_text()))


def eventd_path(wanted: str) -> str:
    """Returns the path of an event daemon that a user names as `ctdb`, `ours` or a path.

    `ours` is the one beside this interpreter.
    """
    if wanted == "ctdb":
        return own_eventd()
    if wanted == "ours":
        # not resolved: in a virtual environment the interpreter is a link to one that has no programs beside it
        return str(Path(sys.executable).parent / "ctdb-eventd")
    return str(Path(wanted).absolute())
