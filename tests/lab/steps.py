"""What several of the lab's tests do and look at."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

from ctdb_lab import Lab, Node, wait_until
from ctdb_lab.addresses import State
from ctdb_lab.processes import Process

QUIET_SECONDS = 20

# Whatever else runs on a node belongs to an event and has to end with it; the lock helper is the cluster's leader's.
# The second is what ctdbd's recovery daemon calls itself from 4.25 on.
_DAEMONS = ("/usr/sbin/ctdbd", "ctdbd: ctdb_recoverd", "script-guardian", "ctdb_mutex_fcntl_helper")


def restore(lab: Lab) -> None:
    """Brings every node back to health, whatever a test did to it."""
    for node in lab.nodes:
        if not node.is_running():
            node.kill_all()
            node.start()
        if not node.is_healthy():
            node.ctdb("unban")
            node.ctdb("continue")
            node.ctdb("enable")
    lab.wait_until_healthy()


def strays(node: Node) -> list[Process]:
    """Processes that are none of the node's daemons."""
    eventd = node.daemon("eventd")
    daemons = () if eventd is None else (eventd.pid,)
    return [
        process
        for process in node.processes()
        if process.pid not in daemons and not any(daemon in process.command for daemon in _DAEMONS)
    ]


def wait_until_quiet(node: Node) -> None:
    """Returns when nothing but daemons runs on the node: monitor events come and go, what is left over stays."""
    wait_until(
        lambda: not strays(node),
        QUIET_SECONDS,
        f"nothing but daemons to run on node {node.number}",
        lambda: "\n".join([*map(str, strays(node)), node.explain()]),
        poll=0.03,
    )


def held_locks(node: Node) -> list[Path]:
    """Lock files of scripts and of command wrappers that somebody holds."""
    below = [node.run_file("socket", "eventd").parent / "eventd.locks", node.directory / "var"]
    files = [path for directory in below for path in directory.rglob("*") if _is_lock(path)]
    return [path for path in files if _is_held(path)]


def _is_lock(path: Path) -> bool:
    return path.is_file() and (path.parent.name == "eventd.locks" or path.suffix in (".lock", ".flock"))


def _is_held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def descriptors(process: Process) -> int:
    """How many a process has open."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def resident(process: Process) -> float:
    """A process's memory in MiB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) / 1024


def shares(lab: Lab) -> dict[int, int]:
    """How many public addresses each node hosts."""
    hosting = lab.hosting().values()
    return {node.number: sum(node.number in hosts for hosts in hosting) for node in lab.nodes}


class Outages:
    """Watches, as a context manager, for how long no node had an address usable."""

    def __init__(self, lab: Lab) -> None:
        """Prepares."""
        self._lab = lab
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._since: dict[str, float] = {}
        self.longest: dict[str, float] = {}
        """Seconds; an address that was always there is not in it."""

    def __enter__(self) -> Outages:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            now = time.monotonic()
            for address, hosts in self._lab.hosting().items():
                if State.USABLE in hosts.values():
                    self._since.pop(address, None)
                else:
                    begin = self._since.setdefault(address, now)
                    self.longest[address] = max(self.longest.get(address, 0), now - begin)
