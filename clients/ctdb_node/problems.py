"""What a user of `ctdb-node` is told when something can't be done."""

__all__ = ["NodeError"]


class NodeError(Exception):
    """Something can't be done; its text says what, and what was expected."""
