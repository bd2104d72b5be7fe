"""Compares the scripts of nodes. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["differences"]

_COMPARED = ("state", "owner", "digest")


def differences(nodes: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Returns an item for each node and each script that isn't the same on all nodes.

    Args:
        nodes: The scripts of each node, with `component`, `name`, `state`, and `owner` and `digest` if known.

    Returns:
        Items with these keys and `node`, by component and name; `state` is `missing` if the node doesn't have the
        script.
    """
    scripts: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for node, items in nodes.items():
        for item in items:
            scripts.setdefault((item["component"], item["name"]), {})[node] = item
    found: list[dict[str, Any]] = []
    for (component, name), by_node in sorted(scripts.items()):
        each = {node: _compared(by_node.get(node, {"state": "missing"})) for node in nodes}
        if len({tuple(values.values()) for values in each.values()}) > 1:
            found += [{"component": component, "name": name, "node": node, **values} for node, values in each.items()]
    return found


def _compared(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item.get(key) for key in _COMPARED}
