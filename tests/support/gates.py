"""Gates: named pipes on which a test's scripts block until the test opens them."""

from __future__ import annotations

import os

from nodes import Node

__all__ = ["gate", "open_gate"]


def gate(node: Node, event: str) -> None:
    """Makes an event block until `open_gate`: its script must read $CTDB_BASE/var/gate-EVENT if that exists."""
    os.mkfifo(node.var / f"gate-{event}")


def open_gate(node: Node, event: str) -> None:
    """Lets the event continue; waits until its script reads the pipe."""
    path = node.var / f"gate-{event}"
    with open(path, "w") as pipe:
        pipe.write("go\n")
    path.unlink()
