"""A failover on a real daemon, and its exported history."""

from __future__ import annotations

import json
import subprocess
import sys

from nodes import Node, running_daemon

__all__ = ["ADDRESSES", "FAILING", "exported_failover"]

ADDRESSES = tuple(f"10.0.0.{number}" for number in range(31, 41))
FAILING = "10.0.0.35"
"""The address whose takeip fails with `fails`."""


async def exported_failover(node: Node, name: str, *, fails: bool) -> str:
    """Runs ten takeip at once on a daemon; one of their scripts takes a lock that is shared by all.

    Args:
        node: Its scripts are written here.
        name: The node's name in the export.
        fails: The takeip of `FAILING` fails.

    Returns:
        The whole history, as `ctdb-event history --export` writes it.
    """
    node.script("10.interface", 'read -r one two < /proc/uptime; sleep 0.0${3##*.}; echo "$3 on $2 at $one"')
    node.script("13.route", "# ctdb-eventd-locks: routes\nsleep 0.05")
    failure = f'[ "$3" != {FAILING} ] || {{ echo "Cannot assign <b>requested</b> address"; exit 3; }}'
    node.script("50.samba", failure if fails else "sleep 0.02")
    async with running_daemon(node) as daemon, daemon.client() as client:
        await client.run("releaseip", "eth0", ADDRESSES[0], "24")
        requests = [client.start("takeip", "eth0", address, "24") for address in ADDRESSES]
        for request in requests:
            await client.result(request)
        await client.run("ipreallocated", "", "", "0")
    command = [sys.executable, "-m", "ctdb_event", "history", "--export"]
    exported = subprocess.run(command, env=node.environ, capture_output=True, check=True, text=True).stdout
    runs = [json.loads(line) for line in exported.splitlines()]
    return "".join(json.dumps({**run, "node": name}) + "\n" for run in runs)
