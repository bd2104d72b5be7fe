"""A failover of real IPv6 addresses with CTDB's own 10.interface script, in a network namespace that vanishes again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import attrs

from benchmarks.client import burst, takeip_packets
from benchmarks.daemons import Daemon, Node, node, running
from benchmarks.setting import Programs

__all__ = ["COUNT", "Taken", "lacking", "take"]

COUNT = 30
_SCRIPT = Path("/usr/share/ctdb/events/legacy/10.interface.script")
_FUNCTIONS = Path("/etc/ctdb/functions")
_INTERFACE = "bench0"
_PREFIX = "fd00:c7db::"
# The namespace lives as long as the daemon and its scripts, so there is nothing to clean up. A veth pair, because
# duplicate address detection, which is what takes the time, needs a link that carries something.
_IN_NAMESPACE = (
    "unshare",
    "--net",
    "sh",
    "-c",
    f"ip link add {_INTERFACE} type veth peer name bench1"
    f" && ip link set lo up && ip link set bench1 up && ip link set {_INTERFACE} up"
    ' && exec "$@"',
    "sh",
)


@attrs.frozen(kw_only=True)
class Taken:
    """How a failover went."""

    seconds: float
    """Until the last event was answered."""
    succeeded: int
    """Events with result 0; CTDB's daemon answers the others with a timeout, which ctdbd takes for success."""
    present: int
    """Addresses that were on the interface when the last event was answered."""


def lacking() -> str:
    """Says what this machine lacks for the measurement; empty if nothing."""
    if os.geteuid() != 0:
        return "needs root for a network namespace"
    programs = [name for name in ("unshare", "nsenter", "ip", "ip6tables", "flock") if shutil.which(name) is None]
    files = [str(path) for path in (_SCRIPT, _FUNCTIONS) if not path.exists()]
    absent = ", ".join(programs + files)
    return f"needs {absent}: apt-get install ctdb iproute2 iptables util-linux" if absent else ""


def take(programs: Programs) -> Taken:
    """Takes the addresses with one daemon.

    Raises:
        DaemonError: The daemon ended.
    """
    wanted = [f"{_PREFIX}{number:x}" for number in range(1, COUNT + 1)]
    with node({"legacy": {}}) as on:
        _provide_script(on, wanted)
        with running(programs, on, _IN_NAMESPACE) as daemon:
            with closing(daemon.connect()) as connection:
                seconds, results = burst(connection, takeip_packets(wanted, _INTERFACE, 64))
            present = _addresses(daemon)
    succeeded = sum(result == 0 for result in results.values())
    return Taken(seconds=seconds, succeeded=succeeded, present=len(present & set(wanted)))


def _provide_script(on: Node, wanted: list[str]) -> None:
    shutil.copy(_FUNCTIONS, on.base / "functions")
    # the script asks ctdbd only for other nodes' connections and interfaces, of which there are none
    stub = on.base / "ctdb"
    stub.write_text("#!/bin/sh\nexit 0\n")
    stub.chmod(0o755)
    state = on.base / "var" / "scripts"
    state.mkdir()
    # not in the environment: a daemon need not pass these on, and CTDB's own functions read them from here as well
    # the last one is CTDB's from 4.22 on, made of the one before at a time when this isn't read yet
    options = {"CTDB": stub, "CTDB_SCRIPT_VARDIR": state, "CTDB_MY_PUBLIC_IPS_CACHE": state / "my-public-ip-addresses"}
    (on.base / "script.options").write_text("".join(f"{name}={value}\n" for name, value in options.items()))
    (on.base / "public_addresses").write_text("".join(f"{address}/64 {_INTERFACE}\n" for address in wanted))
    (on.base / "events/legacy/10.interface.script").symlink_to(_SCRIPT)


def _addresses(daemon: Daemon) -> set[str]:
    shown = subprocess.run(
        ["nsenter", f"--net=/proc/{daemon.process.pid}/ns/net", "ip", "-6", "-o", "addr", "show", "dev", _INTERFACE],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(re.findall(r"inet6 (\S+)/", shown))
