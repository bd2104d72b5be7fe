"""CTDB's tunables that concern a single node, with CTDB's defaults. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from ctdb_node.errors import NodeError

__all__ = ["DEFAULTS", "changed"]

DEFAULTS: Mapping[str, int] = {"EventScriptTimeout": 30, "MonitorInterval": 15, "MonitorTimeoutCount": 20}
_MOST = (1 << 31) - 1


def changed(tunables: Mapping[str, int], assignment: str) -> dict[str, int]:
    """Returns the tunables after an assignment `NAME=VALUE`; names are case-insensitive, as in CTDB.

    Raises:
        NodeError: There is no such tunable, or the value is no number from 1 on.
    """
    name, _, value = assignment.partition("=")
    known = {each.lower(): each for each in DEFAULTS}.get(name.strip().lower())
    if known is None:
        raise NodeError(f"{assignment!r} sets no tunable of this program; expected NAME=VALUE with one of {_names()}")
    number = value.strip()
    if not (number.isascii() and number.isdigit() and len(number) <= 10 and 1 <= int(number) <= _MOST):
        raise NodeError(f"{known} can't be {number!r}; expected a whole number from 1 to {_MOST}")
    return {**tunables, known: int(number)}


def _names() -> str:
    return ", ".join(DEFAULTS)
