"""Describes a node in sentences. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["health_line", "printable", "status_line"]

_MOST = 500
"""Characters of a script's output in the reason why a node is unhealthy."""


def health_line(described: Mapping[str, Any]) -> str:
    """Returns state and health of a node, from the result of `Node.describe`."""
    word = "HEALTHY" if described["healthy"] else f"UNHEALTHY: {described['reason']}"
    return f"{described['state']}{', stopped' if described['stopped'] else ''}, {word}"


def status_line(described: Mapping[str, Any]) -> str:
    """Returns state, health and number of hosted addresses in one line, for the service manager."""
    addresses = described["addresses"]
    here = sum(each["interface"] is not None for each in addresses)
    return f"{health_line(described)}; {here} of {len(addresses)} addresses are here"


def printable(output: str) -> str:
    """Returns a script's output as one short line, with control characters escaped."""
    text = " ".join(output.split())
    if len(text) > _MOST:
        text = text[:_MOST] + "…"
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
