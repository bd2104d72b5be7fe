"""Runs a command on all nodes of the cluster by CTDB's `onnode`, and splits the output by node.

The nodes are asked one after the other, since `onnode -p` mixes the output of several nodes.
"""

from __future__ import annotations

import json
import re
import subprocess

from ctdb_event.console import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["NOT_ASKED", "json_list", "last_line", "on_all_nodes", "said_by_node"]

NOT_ASKED = 2
"""The exit status if a node could not be asked."""
_NODE = re.compile(r">> NODE: (.+) <<\r?")


def on_all_nodes(command: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the command's output by the node's address; it includes error messages of ssh.

    Args:
        command: A command line for the nodes' shells.
        environ: Selects CTDB's list of nodes.

    Raises:
        Failure: onnode is not installed, or finds no nodes.
    """
    # -v: print the node's name even if there is only one
    words = ["onnode", "-v", "all", command]
    try:
        done = subprocess.run(
            words, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except OSError as error:
        advice = f"it comes with CTDB; without it run `{command}` on each node"
        raise Failure(f"can't run onnode: {error.strerror}; {advice}", NOT_ASKED) from None
    output = done.stdout.decode("utf-8", "surrogateescape")
    said = said_by_node(output)
    if not said:
        why = last_line(output) or f"it printed nothing, exit status {done.returncode}"
        raise Failure(f"onnode lists no nodes: {why}; `onnode -v all hostname` must work", NOT_ASKED)
    return said


def said_by_node(output: str) -> dict[str, str]:
    """Splits the output of `onnode -v all` by the nodes' addresses."""
    said: dict[str, str] = {}
    node = None
    for line in output.splitlines(keepends=True):
        if head := _NODE.fullmatch(line.rstrip("\n")):
            node = head[1]
            said.setdefault(node, "")
        elif node is not None:
            said[node] += line
    return said


def json_list(said: str) -> list[Any] | None:
    """Returns the first JSON list in an output that may also have other text, such as ssh's warnings; None if none."""
    for begin in re.finditer(r"^\[", said, re.MULTILINE):
        try:
            found = json.JSONDecoder().raw_decode(said, begin.start())[0]
        except ValueError:
            continue
        assert isinstance(found, list)
        return found
    return None


def last_line(text: str) -> str:
    """Returns the last line that isn't empty, which usually is a program's error message; empty if there is none."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
