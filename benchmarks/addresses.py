"""A failover of real IPv6 addresses with CTDB's own 10.interface script, in a temporary network namespace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import attrs

from benchmarks.client import burst, takeip_packets
from benchmarks.daemons import Daemon, Node, node, running
from benchmarks.setting import Programs

__all__ = ["COUNT", "INTERFACE", "IN_NAMESPACE", "PROVIDED", "Taken", "lacking", "provide", "take"]

COUNT = 30
PROVIDED = Path("/usr/share/ctdb/events/legacy")
"""CTDB's own scripts."""
_SCRIPT = "10.interface.script"
_FUNCTIONS = Path("/etc/ctdb/functions")
INTERFACE = "bench0"
"""The interface that gets the addresses."""
_PREFIX = "fd00:c7db::"
# The namespace ends with the daemon and its scripts, so no clean-up is needed. A veth pair, because most of the time is
# duplicate address detection, which needs a link with a carrier.
IN_NAMESPACE = (
    "unshare",
    "--net",
    "sh",
    "-c",
    f"ip link add {INTERFACE} type veth peer name bench1"
    f" && ip link set lo up && ip link set bench1 up && ip link set {INTERFACE} up"
    ' && exec "$@"',
    "sh",
)


@attrs.frozen(kw_only=True)
class Taken:
    """The result of a failover."""

    seconds: float
    """Until the reply to the last event."""
    succeeded: int
    """Events with result 0; CTDB's daemon answers the others with a timeout, which ctdbd treats as success."""
    present: int
    """Addresses on the interface at the last reply."""


def lacking() -> str:
    """Says what this machine lacks for the measurement; empty if nothing."""
    if os.geteuid() != 0:
        return "needs root for a network namespace"
    programs = [name for name in ("unshare", "nsenter", "ip", "ip6tables", "flock") if shutil.which(name) is None]
    files = [str(path) for path in (PROVIDED / _SCRIPT, _FUNCTIONS) if not path.exists()]
    absent = ", ".join(programs + files)
    return f"needs {absent}: apt-get install ctdb iproute2 iptables util-linux" if absent else ""


def take(programs: Programs) -> Taken:
    """Takes the addresses with one daemon.

    Raises:
        DaemonError: The daemon ended.
    """
    wanted = [f"{_PREFIX}{number:x}" for number in range(1, COUNT + 1)]
    with node({"legacy": {}}) as on:
        provide(on, [f"{address}/64" for address in wanted], [_SCRIPT])
        with running(programs, on, IN_NAMESPACE) as daemon:
            with closing(daemon.connect()) as connection:
                seconds, results = burst(connection, takeip_packets(wanted, INTERFACE, 64))
            present = _addresses(daemon)
    succeeded = sum(result == 0 for result in results.values())
    return Taken(seconds=seconds, succeeded=succeeded, present=len(present & set(wanted)))


def provide(on: Node, wanted: Sequence[str], scripts: Iterable[str]) -> None:
    """Enables some of CTDB's own scripts on a node that may have these addresses, each with its netmask bits."""
    shutil.copy(_FUNCTIONS, on.base / "functions")
    # Scripts ask ctdbd for connections and interfaces of other nodes: there are none. They also ask whether a program
    # listens on a port: the exit status EADDRINUSE means that one does.
    stub = on.base / "ctdb"
    stub.write_text('#!/bin/sh\ncase "$*" in *checktcpport*) exit 98 ;; esac\nexit 0\n')
    stub.chmod(0o755)
    state = on.base / "var" / "scripts"
    state.mkdir()
    # In a file, since a daemon need not pass on its environment; CTDB's own functions read this file. The last variable
    # is that of CTDB from 4.22 on, which would derive it from the one before, but before this file is read.
    options = {"CTDB": stub, "CTDB_SCRIPT_VARDIR": state, "CTDB_MY_PUBLIC_IPS_CACHE": state / "my-public-ip-addresses"}
    (on.base / "script.options").write_text("".join(f"{name}={value}\n" for name, value in options.items()))
    (on.base / "public_addresses").write_text("".join(f"{address} {INTERFACE}\n" for address in wanted))
    for script in scripts:
        (on.base / "events/legacy" / script).symlink_to(PROVIDED / script)


def _addresses(daemon: Daemon) -> set[str]:
    shown = subprocess.run(
        ["nsenter", f"--net=/proc/{daemon.process.pid}/ns/net", "ip", "-6", "-o", "addr", "show", "dev", INTERFACE],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(re.findall(r"inet6 (\S+)/", shown))
