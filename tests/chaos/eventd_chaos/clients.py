"""Clients that ask for what may be asked for, in no particular order, and don't always wait for the answer."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from itertools import count
from typing import Any

from nodes import TIMEOUT, Node

from ctdb_event.dialects import NativeDialect
from ctdb_eventd.protocol import packet

from .scripts import BEHAVIOURS, NEVER_ENDING

__all__ = ["Client", "Impossible"]

_OUTCOMES = frozenset({"success", "failed", "timed-out", "cancelled"})
_numbers = count(1)


class Impossible(Exception):
    """An answer that there can't be."""


class Client:
    """One client after the other, for the same addresses, until it is told to stop.

    Attributes:
        figures: What was asked and answered.
    """

    def __init__(self, node: Node, addresses: list[str], seed: int, figures: Counter[str]) -> None:
        """Prepares; nobody else may use these addresses."""
        self._node = node
        self._addresses = addresses
        self._random = random.Random(seed)
        self.figures = figures
        self.stopped = False

    async def run(self) -> None:
        """Asks until `stopped` is set.

        Raises:
            Impossible: An answer makes no sense.
        """
        while not self.stopped:
            try:
                reader, writer = await asyncio.open_unix_connection(self._node.socket)
            except OSError:
                await asyncio.sleep(0.01)  # the daemon has been killed
                continue
            self.figures["connections"] += 1
            try:
                if self._random.random() < 0.2:
                    await self._speak_ctdb(reader, writer)
                else:
                    await self._speak_native(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                self.figures["connections broken"] += 1
            finally:
                writer.close()

    def _address_event(self, client: int, number: int) -> tuple[str, list[str]]:
        behaviour = self._random.choices([*BEHAVIOURS], [*BEHAVIOURS.values()])[0]
        address = self._random.choice(self._addresses)
        return self._random.choice(["takeip", "releaseip"]), [f"{behaviour}.{client}.{number}", address, "24"]

    # ------------------------------------------------------------------ the native dialect

    async def _speak_native(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, dialect = next(_numbers), NativeDialect()
        sent = [dialect.greeting]
        open_calls: dict[int, str] = {}
        for call in range(1, self._random.randint(2, 60)):
            method, params = self._native_call(client, call, open_calls)
            open_calls[call] = method
            sent.append(dialect.encode(call, method, params))
            self.figures["calls"] += 1
        writer.write(b"".join(sent))
        await writer.drain()
        leave_after = self._random.choice([None, None, self._random.random()])
        try:
            async with asyncio.timeout(TIMEOUT if leave_after is None else leave_after):
                # the answer to a subscription would come with its end
                while set(open_calls.values()) - {"subscribe"}:
                    data = await reader.read(65536)
                    if not data:
                        raise ConnectionError
                    for call, (what, value, _, _) in dialect.receive_data(data, writer.write):
                        self._on_answer(call, what, value, open_calls)
        except TimeoutError:
            if leave_after is None:
                raise Impossible(f"no answer within {TIMEOUT:g} s to {open_calls}") from None
            self.figures["left before the answer"] += 1

    def _native_call(self, client: int, call: int, open_calls: dict[int, str]) -> tuple[str, dict[str, object]]:
        dice = self._random.random()
        if dice < 0.6:
            event, args = self._address_event(client, call)
            return "run", {"component": "legacy", "event": event, "args": args, "timeout": _seconds_for(args)}
        if dice < 0.7:
            return "run", {"component": "other", "event": self._random.choice(["monitor", "recovered"]), "timeout": 20}
        if dice < 0.8 and open_calls:
            return "cancel", {"call": self._random.choice([*open_calls])}
        if dice < 0.85:
            return "lock", {"names": [self._random.choice(["routes", "mounts"])], "wait": 0.1}
        if dice < 0.9:
            return "subscribe", {}
        return self._random.choice([("status", {}), ("ping", {}), ("locks", {}), ("stats", {})])

    def _on_answer(self, call: int, what: str, value: Any, open_calls: dict[int, str]) -> None:
        if what == "note":
            self.figures["notes"] += 1
            return
        method = open_calls.pop(call, None)
        if method is None:
            raise Impossible(f"a second answer to call {call}: {what} {value}")
        if what == "error":
            self.figures[f"{method} refused"] += 1
        elif method == "run":
            outcome = value["outcome"]
            if outcome not in _OUTCOMES:
                raise Impossible(f"outcome {outcome!r}")
            self.figures[f"runs {outcome}"] += 1
        else:
            self.figures[f"{method} answered"] += 1

    # ------------------------------------------------------------------ CTDB's dialect

    async def _speak_ctdb(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, sent = next(_numbers), []
        for number in range(1, self._random.randint(2, 30)):
            event, args = self._address_event(client, number)
            what = b"legacy", event.encode(), " ".join(args).encode()
            sent.append(packet.run_request(number, *what, _seconds_for(args), False))
        self.figures["packets"] += len(sent)
        writer.write(b"".join(sent))
        await writer.drain()
        if self._random.random() < 0.3:
            return
        for left in range(len(sent), 0, -1):
            try:
                async with asyncio.timeout(TIMEOUT):
                    length = int.from_bytes(await reader.readexactly(4), sys.byteorder)
                    await reader.readexactly(length - 4)
            except TimeoutError:
                raise Impossible(f"no reply within {TIMEOUT:g} s to {left} of {len(sent)} packets") from None
            self.figures["replies"] += 1


def _seconds_for(args: list[str]) -> int:
    return 1 if args[0].partition(".")[0] in NEVER_ENDING else 20
