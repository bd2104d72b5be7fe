"""Runs it: `python -m eventd_chaos chaos` does harm to the daemon, `soak` looks whether it grows."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from native_client import native_client
from nodes import children_of

from .clients import Client, Impossible
from .daemons import Daemons
from .scripts import make_node

_CLIENTS = 6
_ADDRESSES = 4
_SETTLE = 30.0
_MOST_GROWTH = 8 << 20
_WARM = 0.2
"""Part of a soak's time after which the daemon has whatever it keeps for good."""


async def _rush(daemons: Daemons, seconds: float, options: argparse.Namespace) -> None:
    """Lets clients ask for so many seconds, and harm come to the daemon if that is wanted."""
    clients = [
        Client(
            daemons.node,
            [f"10.0.{number}.{host}" for host in range(1, _ADDRESSES + 1)],
            options.seed + number,
            daemons.figures,
        )
        for number in range(_CLIENTS)
    ]
    end = time.monotonic() + seconds
    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client.run())
        while time.monotonic() < end:
            await asyncio.sleep(min(60 / options.per_minute, max(0.0, end - time.monotonic())))
            if options.kind == "chaos":
                await daemons.harm()
        for client in clients:
            client.stopped = True


def _usage(daemons: Daemons) -> Counter[str]:
    daemon = daemons.daemon
    children = children_of(daemon.process.pid)
    return Counter(memory=daemon.memory(), descriptors=len(daemon.descriptors()), children=len(children))


async def _usage_of_idle(daemons: Daemons, fresh: Counter[str]) -> Counter[str]:
    """Waits until the daemon has done everything, which takes a moment after the last answer; returns what it uses."""
    end = time.monotonic() + _SETTLE
    while time.monotonic() < end:
        usage = _usage(daemons)
        if all(usage[name] <= fresh[name] for name in ("descriptors", "children")):
            break
        await asyncio.sleep(0.1)
    return usage


async def _chaos(daemons: Daemons, options: argparse.Namespace) -> list[str]:
    await _rush(daemons, options.seconds, options)
    return []


async def _soak(daemons: Daemons, options: argparse.Namespace) -> list[str]:
    async with native_client(daemons.daemon) as client:
        await client.call("ping")  # once it answers, it has started its guardian too
        fresh = _usage(daemons)
        fresh["descriptors"] -= 1  # this client's
    await _rush(daemons, options.seconds * _WARM, options)
    early = await _usage_of_idle(daemons, fresh)
    await _rush(daemons, options.seconds * (1 - _WARM), options)
    late = await _usage_of_idle(daemons, fresh)
    for name in fresh:
        print(f"{late[name]:10d}  {name} at the end; {fresh[name]} when it was started, {early[name]} early")
    bounds = {
        "memory": early["memory"] + _MOST_GROWTH,
        "descriptors": fresh["descriptors"],
        "children": fresh["children"],
    }
    return [f"{name} has grown to {late[name]}" for name, most in bounds.items() if late[name] > most]


def _order_faults(trace: str, figures: Counter[str]) -> list[str]:
    """Looks whether each client's events for an address started in the order in which it asked for them."""
    last: dict[tuple[str, str], int] = {}
    faults = []
    for line in trace.splitlines():
        word, address, what, _ = line.split()
        _, client, number = what.split(".")
        if word == "start":
            figures["scripts started"] += 1
            if int(number) <= last.get((address, client), 0):
                faults.append(f"out of order: {line}")
            last[address, client] = int(number)
    return faults


def main() -> int:
    """Runs what the command line says and prints what came of it; the exit status is 1 if something didn't hold."""
    parser = argparse.ArgumentParser(prog="eventd_chaos", description=__doc__)
    parser.add_argument("kind", choices=["chaos", "soak"])
    parser.add_argument("--seconds", type=float, default=540.0, help="how long it goes on (%(default)s)")
    parser.add_argument("--per-minute", type=float, default=120.0, help="harms to the daemon (%(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what to repeat (the time)")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.seconds:g} seconds of {options.kind}", flush=True)
    with tempfile.TemporaryDirectory(prefix="eventd-chaos.") as directory:
        daemons = Daemons(make_node(Path(directory)), options.seed, Counter())
        daemons.start()
        faults = []
        try:
            faults += asyncio.run((_chaos if options.kind == "chaos" else _soak)(daemons, options))
        except* (AssertionError, Impossible, OSError) as group:
            faults += [f"{type(error).__name__}: {error}" for error in group.exceptions]
        status = daemons.stop()
        faults += [f"exit status {status} of the last daemon"] if status else []
        faults += [f"left when the next daemon listened: {process}" for process in daemons.left.values()]
        for pid, process in daemons.processes().items():
            faults.append(f"left at the end: {process}")
            os.kill(pid, signal.SIGKILL)
        faults += [f"two scripts for one address: {line}" for line in daemons.node.read("overlaps").splitlines()]
        faults += _order_faults(daemons.node.read("trace"), daemons.figures)
        faults += [f"log: {line}" for line in daemons.node.log.splitlines() if "a bug" in line or "Traceback" in line]
    for name, number in sorted(daemons.figures.items()):
        print(f"{number:10d}  {name}")
    print(f"{daemons.slowest_start:10.2f}  seconds of the slowest start")
    for fault in faults[:20]:
        print(f"FAULT: {fault}")
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
