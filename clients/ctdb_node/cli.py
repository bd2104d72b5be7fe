"""`ctdb-node`: the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ctdb_node.errors import NodeError, first_error
from ctdb_node.rehearsal.options import add_arguments
from ctdb_node.words import health_line

__all__ = ["main", "parser"]

_HEALTHY, _UNHEALTHY, _UNKNOWN, _NO_ANSWER = 0, 1, 2, 3
"""Exit statuses of `ctdb-node health`, as of `ctdb-event health`."""
_INTERRUPTED = 130
_BASE = "/etc/ctdb"
_NOT_REHEARSED = 2
"""Exit status of `ctdb-node rehearse` if it is not possible; 0 is ready, 1 is not ready."""
_SIGPIPE_STATUS = 141
_WRONG_USAGE = 2
"""argparse's exit status, which means something else for `health`."""

_COMMANDS = {
    "status": "show the state of the node",
    "health": "show whether the node is healthy; exit status: 0 yes, 1 no, 2 not known yet, 3 no answer",
    "addresses": "list the public addresses with their interfaces, and where the kernel differs",
    "reallocate": "run the events of a reallocation",
    "stop": "release all addresses",
    "continue": "take addresses again, after stop",
    "recover": "run startrecovery and recovered, then a reallocation",
    "shutdown": "end the node, after its shutdown event",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:2] == ["complete", "--"]:
        from ctdb_node.complete import candidates

        return _printed("\n".join(candidates(parser(), words[2:])))
    try:
        arguments = parser().parse_args(words)
    except SystemExit as error:
        if "health" in words and error.code == _WRONG_USAGE:
            return _NO_ANSWER
        raise
    try:
        path = arguments.socket or _usual_path()
        if arguments.command == "run":
            return _run(path, look=not arguments.no_interfaces)
        if arguments.command == "rehearse":
            return _rehearse(arguments)
        asked = arguments.command if arguments.command not in ("health", "addresses") else "status"
        from ctdb_node.control import ask  # late, as all that takes time: Ctrl-C may come meanwhile

        found = ask(path, asked, *([arguments.assignment] if asked == "set" else []))
    except NodeError as error:
        print(f"ctdb-node: {error}", file=sys.stderr)
        return {"health": _NO_ANSWER, "rehearse": _NOT_REHEARSED}.get(arguments.command, 1)
    except KeyboardInterrupt:
        return _INTERRUPTED
    status = _printed("\n".join([json.dumps(found)] if arguments.json else _shown(arguments.command, found)))
    return _health_status(found) if arguments.command == "health" and not status else status


def _printed(text: str) -> int:
    """Prints a text, and returns the exit status."""
    try:
        if text:
            print(text, flush=True)
    except OSError as error:
        # or the interpreter would fail to flush the rest of the buffer when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return _SIGPIPE_STATUS
        print(f"ctdb-node: can't write to standard output: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Returns the option parser, from which the man page and completions are made too."""
    parser = argparse.ArgumentParser(prog="ctdb-node", description="Runs a CTDB node on one machine, without ctdbd.")
    parser.add_argument("--socket", metavar="PATH", help="the control socket (node.socket beside the event daemon's)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="start the event daemon and run the node until it is shut down")
    run.add_argument("--no-interfaces", action="store_true", help="don't ask the kernel: all interfaces count as up")
    rehearse = "run the scripts one after another and side by side in namespaces, without effects outside"
    add_arguments(commands.add_parser("rehearse", help=rehearse, description=f"As root: {rehearse}."))
    for name, what in _COMMANDS.items():
        commands.add_parser(name, help=what)
    commands.add_parser("set", help="change a tunable").add_argument("assignment", metavar="NAME=VALUE")
    return parser


def _usual_path() -> str:
    import ctdb_event

    try:
        return os.path.join(os.path.dirname(ctdb_event.default_path(os.environ)), "node.socket")
    except ctdb_event.BrokerError as error:
        raise NodeError(f"{error.message}; --socket PATH names the node's own socket") from None


def _run(path: str, look: bool) -> int:
    import anyio

    from ctdb_node.running import run

    base = _base()
    try:
        return anyio.run(run, base, path, look)
    except* NodeError as group:
        problem = first_error(group)
    raise problem


def _rehearse(arguments: argparse.Namespace) -> int:
    from ctdb_node.rehearsal.cli import rehearse

    status, text = rehearse(arguments, _base())
    return _printed(text) or status


def _base() -> str:
    """Returns the configuration directory; as for the event daemon, the variable counts in test mode only."""
    return os.environ.get("CTDB_BASE", _BASE) if "CTDB_TEST_MODE" in os.environ else _BASE


def _health_status(found: dict[str, Any]) -> int:
    if found["state"] != "running":
        return _UNKNOWN
    return _HEALTHY if found["healthy"] else _UNHEALTHY


def _shown(command: str, found: dict[str, Any]) -> Iterator[str]:
    if command in ("status", "health"):
        yield health_line(found)
    if command in ("status", "addresses"):
        for each in found["addresses"]:
            yield f"{each['address']}/{each['bits']}  {each['interface'] or '-'}"
        yield from (f"differs: {text}" for text in found["differences"])
    if command in ("status", "set"):
        yield from (f"{name}={value}" for name, value in found["tunables"].items())
