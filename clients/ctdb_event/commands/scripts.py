"""`ctdb-event scripts`: lists the scripts and why some don't run, on this node, or compares the nodes' scripts."""

from __future__ import annotations

from ctdb_event.commands.arguments import optional_text
from ctdb_event.commands.lists import origin_shown, print_list, state_style
from ctdb_event.commands.times import at
from ctdb_event.console import Failure, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ctdb_event.commands.session import Session

__all__ = ["scripts"]

_ON_EACH_NODE = "ctdb-event scripts --json"
_SHORT_DIGEST = 10
"""Number of digits of a digest that are shown to users."""


def scripts(session: Session) -> int:
    """Lists the scripts of a component or of all, or the differences between nodes."""
    component, flags = optional_text(session.arguments.operand(0)), session.arguments.flags
    if "--nodes" in flags:
        return _compare_nodes(session, component)
    names = [one["name"] for one in session.ask("components")] if component is None else [component]
    found = [session.ask("scripts", component=name) for name in names]
    items = [item for one in found for item in _items(one)]
    value = found if component is None else found[0]
    nothing = "There are no scripts." if component is None else f"There is nothing in {found[0]['directory']}."
    if "--events" in flags:
        return _print_events(session, value, items, nothing)
    heads = ("SCRIPT", "STATE", "OWNER", "CHANGED", "CONTENT", "LOCKS", "REMARKS")
    return _print(session, value, items, heads, _script, nothing)


def _print(
    session: Session,
    value: Any,
    items: list[dict[str, Any]],
    heads: tuple[str, ...],
    row: Callable[[dict[str, Any]], list[str | tuple[str, str]]],
    nothing: str,
) -> int:
    """Prints a list, with a first column for the component if all components are listed."""
    if session.arguments.operand(0) is not None:
        return print_list(session, value, items, heads, row, nothing)
    return print_list(
        session, value, items, ("COMPONENT", *heads), lambda item: [item["component"], *row(item)], nothing
    )


def _items(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the scripts and other files in a component's directory."""
    for script in found["scripts"]:
        yield {**_script_item(script), "component": found["component"]}
    for refused in found["refused"]:
        yield {**_refused_item(refused), "component": found["component"]}


def _print_events(session: Session, found: Any, items: list[dict[str, Any]], nothing: str) -> int:
    """Prints which script is started for which event; the other output forms contain that anyway."""
    known = [event["name"] for event in session.ask("events")]
    scripts = [item for item in items if item["state"] != "refused"]
    events = list(dict.fromkeys((*known, *(event for item in scripts for event in item.get("events") or ()))))

    def row(item: dict[str, Any]) -> list[str | tuple[str, str]]:
        only, origin = item.get("events"), item.get("known_from")
        beyond = [] if origin != "table" else [event for event in events if event not in known]
        starts = [only is None or event in only or event in beyond for event in events]
        marks: list[str | tuple[str, str]] = [("yes", "good") if one else ("-", "dim") for one in starts]
        return [*_script(item)[:2], *marks, "" if origin is None else origin_shown(origin)]

    shown = items if session.json or session.is_plain else scripts
    return _print(session, found, shown, ("SCRIPT", "STATE", *events, "KNOWN FROM"), row, nothing)


def _script_item(script: dict[str, Any]) -> dict[str, Any]:
    warnings = "; ".join(script["warnings"])
    return {**script, "state": "enabled" if script["enabled"] else "disabled", "warnings": warnings}


def _refused_item(refused: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"state": "refused", "locks": [], "warnings": "", "target": None, "events": None}
    return {**refused, **empty, "name": refused["path"].rpartition("/")[2]}


def _script(item: dict[str, Any]) -> list[str | tuple[str, str]]:
    only = item.get("events")
    handled = "" if only is None else f"only for {' '.join(only)} ({origin_shown(item['known_from'])})"
    remarks = "; ".join(filter(None, (item["reason"], item["warnings"], handled)))
    return [
        *(item["name"], (item["state"], state_style(item["state"]))),
        *(_user(item.get("owner")), at(item.get("modified")), _digest(item)),
        *(" ".join(item["locks"]), remarks),
    ]


def _digest(item: dict[str, Any]) -> str:
    return str(item.get("digest") or "")[:_SHORT_DIGEST]


def _user(uid: int | None) -> str:
    if uid is None:
        return ""
    import pwd  # imported here: only this list needs it

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


# ---------------------------------------------------------------------- all nodes


def _compare_nodes(session: Session, component: str | None) -> int:
    """Lists the differences between nodes; returns 1 if there are any, `NOT_ASKED` if a node didn't answer, else 0."""
    from ctdb_event.commands.node_scripts import differences
    from ctdb_event.commands.onnode import NOT_ASKED, json_list, last_line, on_all_nodes

    for name in ("--events", "--socket"):
        if name in session.arguments.flags or name in session.arguments.values:
            raise Failure(f"{name} and --nodes exclude each other: leave one out", NOT_ASKED)
    nodes: dict[str, list[dict[str, Any]]] = {}
    not_asked: list[dict[str, str]] = []
    for node, said in on_all_nodes(_ON_EACH_NODE, session.environ).items():
        items = _node_items(json_list(said))
        if items is None:
            reason = last_line(said) or f"`{_ON_EACH_NODE}` printed nothing there"
            not_asked.append({"node": node, "reason": reason})
            complain(f"ctdb-event: node {node} could not be queried: {session.screen.safe(reason)}")
        else:
            nodes[node] = [item for item in items if component in (None, item["component"])]
    if component is not None and nodes and not any(nodes.values()):
        raise Failure(f"no node has scripts of component {component}; `ctdb-event components` lists them", NOT_ASKED)
    found = differences(nodes)
    value = {"nodes": list(nodes), "differences": found, "not_asked": not_asked}
    heads = ("COMPONENT", "SCRIPT", "NODE", "STATE", "OWNER", "CONTENT")
    nothing = f"The scripts of {len(nodes)} nodes are alike." if len(nodes) > 1 else "There is nothing to compare."
    print_list(session, value, found, heads, _difference, nothing)
    return NOT_ASKED if not_asked else int(bool(found))


def _node_items(printed: list[Any] | None) -> list[dict[str, Any]] | None:
    """Returns a node's scripts; None if its output is something else."""
    try:
        return None if printed is None else [item for one in printed for item in _items(one)]
    except (AttributeError, LookupError, TypeError):
        return None


def _difference(item: dict[str, Any]) -> list[str | tuple[str, str]]:
    state = (item["state"], state_style(item["state"]))
    return [item["component"], item["name"], item["node"], state, _user(item["owner"]), _digest(item)]
