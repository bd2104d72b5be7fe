"""How a node is described in words. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["health_line", "printable", "status_line"]

_MOST = 500
"""Characters of a script's output that make a reason."""


def health_line(described: Mapping[str, Any]) -> str:
    """Says of what `Node.describe` returns: its state, and whether it is healthy."""
    word = "HEALTHY" if described["healthy"] else f"UNHEALTHY: {described['reason']}"
    return f"{described['state']}{', stopped' if described['stopped'] else ''}, {word}"


def status_line(described: Mapping[str, Any]) -> str:
    """The same, with how many addresses are here; shorter, for a service manager."""
    addresses = described["addresses"]
    here = sum(each["interface"] is not None for each in addresses)
    return f"{health_line(described)}; {here} of {len(addresses)} addresses are here"


def printable(output: str) -> str:
    """Makes one short line of a script's output, with nothing in it that a terminal would obey."""
    text = " ".join(output.split())
    if len(text) > _MOST:
        text = text[:_MOST] + "…"
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
