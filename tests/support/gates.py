"""Gates: named pipes at which a test's scripts wait until the test lets them go on."""

from __future__ import annotations

import os

from nodes import Node

__all__ = ["gate", "open_gate"]


def gate(node: Node, event: str) -> None:
    """Makes an event wait until `open_gate`; its script has to read from $CTDB_BASE/var/gate-EVENT if that exists."""
    os.mkfifo(node.var / f"gate-{event}")


def open_gate(node: Node, event: str) -> None:
    """Lets the event go on, as soon as its script stands there."""
    path = node.var / f"gate-{event}"
    with open(path, "w") as pipe:
        pipe.write("go\n")
    path.unlink()
