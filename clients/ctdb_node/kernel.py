"""Reads the kernel's interfaces and addresses with `ip`."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import anyio
import attrs

from ctdb_node.errors import NodeError

__all__ = ["Interfaces", "interfaces"]


@attrs.frozen
class Interfaces:
    """A snapshot of the kernel's interfaces and addresses."""

    up: frozenset[str]
    """Names of the interfaces that are up and have a carrier."""
    names: frozenset[str]
    """Names of all interfaces."""
    addresses: dict[str, str]
    """Address → interface."""


async def interfaces() -> Interfaces:
    """Returns the present state.

    Raises:
        NodeError: `ip` isn't installed, or fails.
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
