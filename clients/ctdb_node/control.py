"""The node's control socket: a request is one line of JSON, and so is the answer."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc

from ctdb_node.errors import NodeError
from ctdb_node.node import Node
from ctdb_node.states import Trigger

__all__ = ["ask", "serve"]

_LONGEST = 1 << 16
_TIMEOUT = 10.0


async def _listen(path: str) -> anyio.abc.SocketListener:
    """Creates the socket, which only its owner may use."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            pass
        else:
            raise NodeError(f"another ctdb-node listens on {path}; end it with `ctdb-node shutdown`")
    try:
        return await anyio.create_unix_listener(path, mode=0o600)
    except OSError as error:
        raise NodeError(
            f"can't listen on {path}: {error.strerror or error}; its directory must be there and writable"
        ) from None


async def serve(path: str, node: Node, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Listens and answers until it is cancelled.

    Raises:
        NodeError: The socket can't be made, or another node listens there.
    """

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                with anyio.fail_after(_TIMEOUT):
                    asked = _words(await _line(stream))
                    await stream.send(json.dumps(_execute(node, asked)).encode() + b"\n")
            except (OSError, ValueError, RecursionError, anyio.EndOfStream, anyio.BrokenResourceError):
                pass  # a malformed request gets no answer

    listener = await _listen(path)
    try:
        task_status.started()
        await listener.serve(handle)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with anyio.CancelScope(shield=True):
            await listener.aclose()


async def _line(stream: anyio.abc.SocketStream) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < _LONGEST:
        data += await stream.receive()
    return data


def _words(line: bytes) -> list[str]:
    """Decodes a command and its arguments; raises ValueError if the line is no list of strings."""
    words = json.loads(line)
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError("not a list of strings")
    return words


def _execute(node: Node, asked: list[str]) -> dict[str, Any]:
    command, *arguments = asked
    try:
        if command == "set":
            node.tune("".join(arguments[:1]))
        elif command in _ACTIONS:
            _ACTIONS[command](node)
        elif command != "status":
            raise NodeError(f"unknown command {command!r}")
    except NodeError as error:
        return {"error": str(error)}
    return node.describe()


def _stop(node: Node, stopped: bool) -> None:
    node.stopped = stopped
    node.want()


_ACTIONS: dict[str, Callable[[Node], None]] = {
    "reallocate": Node.want,
    "recover": lambda node: node.want(recover=True),
    "stop": lambda node: _stop(node, True),
    "continue": lambda node: _stop(node, False),
    "shutdown": lambda node: node.trigger(Trigger.END_REQUESTED),
}


def ask(path: str, command: str, *arguments: str) -> dict[str, Any]:
    """Sends a command to a running node and waits for the answer.

    Returns:
        The result of `Node.describe` after the command.

    Raises:
        NodeError: No node answers, or the node refuses the command.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(path)
            connection.sendall(json.dumps([command, *arguments]).encode() + b"\n")
            with connection.makefile("rb") as reader:
                answer: dict[str, Any] = json.loads(reader.readline())
                if not isinstance(answer, dict):
                    raise ValueError("its reply is not a JSON object")
    except (OSError, ValueError) as error:
        advice = "start one with `ctdb-node run`" if not os.path.exists(path) else "see its log"
        raise NodeError(f"no ctdb-node answers on {path}: {error}; {advice}") from None
    if "error" in answer:
        raise NodeError(answer["error"])
    return answer
