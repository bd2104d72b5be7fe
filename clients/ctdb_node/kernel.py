"""What the kernel says of interfaces and addresses, asked with `ip`."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import anyio
import attrs

from ctdb_node.problems import NodeError

__all__ = ["Interfaces", "interfaces"]


@attrs.frozen
class Interfaces:
    """As they are at one moment."""

    up: frozenset[str]
    """Those that carry data."""
    names: frozenset[str]
    addresses: dict[str, str]
    """The interface of each address."""


async def interfaces() -> Interfaces:
    """Asks the kernel.

    Raises:
        NodeError: `ip` isn't there, or fails.
    """
    try:
        return _read(json.loads((await anyio.run_process(["ip", "-json", "address"])).stdout))
    except (OSError, ValueError, LookupError, TypeError, subprocess.CalledProcessError) as error:
        raise NodeError(
            f"can't ask `ip -json address` for the interfaces: {error}; install iproute2, or use --no-interfaces"
        ) from None


def _read(found: list[dict[str, Any]]) -> Interfaces:
    return Interfaces(
        up=frozenset(each["ifname"] for each in found if "LOWER_UP" in each["flags"] and "UP" in each["flags"]),
        names=frozenset(each["ifname"] for each in found),
        addresses={one["local"]: each["ifname"] for each in found for one in each["addr_info"] if "local" in one},
    )
