"""One real ctdbd node in namespaces of its own: CTDB unmodified, with the event daemon of one's choice.

Network and mount namespace have no name: they, their interfaces and their mounts are gone with the last process in
them, so nothing is left behind however a test ends. Nothing here knows what is tested.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType

import attrs

from .programs import CTDB_TOOL, CTDBD, PROVIDED_SCRIPTS
from .waiting import wait_until

NODE_INTERFACE = "node0"
PUBLIC_INTERFACE = "pub0"
HEALTHY_SECONDS = 60
STOP_SECONDS = 20
LOG_TAIL = 6000

# The recovery suppression after the first recovery is most of what a node takes to become healthy (10 s).
_TUNABLES = {"RerecoveryTimeout": 2, "MonitorInterval": 3}

# Runs inside the fresh namespaces. A veth's link is up only while its peer's is. Reading stdin keeps the namespaces
# for as long as the test lives; should that be killed, the node still ends in an orderly way.
_SETUP = """set -e
mount --bind {directory}/run /run
mount --bind {directory}/etc /etc/ctdb
mount --bind {directory}/var /var/lib/ctdb
mount --bind {directory}/log /var/log/ctdb
ip link set lo up
for link in {node_interface} {public_interface}; do
  ip link add $link type veth peer name $link-peer
  ip link set $link up
  ip link set $link-peer up
done
ip addr add {address}/24 dev {node_interface}
echo 1 >/proc/sys/net/ipv4/conf/all/promote_secondaries
echo ready
cat
{ctdb} shutdown
"""

_CONFIGURATION = """[logging]
	location = file:/var/log/ctdb/log.ctdb
	log level = NOTICE
[cluster]
	recovery lock = {reclock}
[event]
	debug script = debug-hung-script.sh
"""


@attrs.frozen
class Process:
    """A process of a node."""

    pid: int
    command: str


class Node:
    """A node. Use as a context manager; what it offers blocks.

    Attributes:
        directory: What the node sees as /etc/ctdb (`etc`), /var/lib/ctdb (`var`), /run (`run`) and /var/log/ctdb.
        address: The node's address.
        public_address: The one public address that it can host.
    """

    def __init__(self, directory: Path, eventd: str, number: int = 0, enabled: tuple[str, ...] = ()) -> None:
        """Describes a node; entering the context makes it.

        Args:
            directory: An empty directory for all of its files.
            eventd: The event daemon that ctdbd shall start.
            number: Tells nodes apart; becomes part of its addresses.
            enabled: Names of CTDB's own event scripts to enable, without `.script`.
        """
        self.directory = directory
        self.address = f"10.99.0.{number + 1}"
        self.public_address = f"10.99.1.{number + 1}"
        self._eventd = eventd
        self._enabled = enabled
        self._holder: subprocess.Popen[str] | None = None
        self._namespace: int | None = None

    def __enter__(self) -> Node:
        self._write_files()
        try:
            self._create_namespaces()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    # Making and unmaking

    def _write_files(self) -> None:
        etc = self.directory / "etc"
        shutil.copytree("/etc/ctdb", etc, symlinks=True)
        shutil.rmtree(etc / "events" / "legacy")
        (etc / "events" / "legacy").mkdir()
        for name in self._enabled:
            (etc / "events" / "legacy" / f"{name}.script").symlink_to(f"{PROVIDED_SCRIPTS}/{name}.script")
        for name in ("run/ctdb", "var/persistent", "var/volatile", "var/state", "log"):
            (self.directory / name).mkdir(parents=True)
        (etc / "ctdb.conf").write_text(_CONFIGURATION.format(reclock=self.directory / "reclock"))
        (etc / "ctdb.tunables").write_text("".join(f"{name}={value}\n" for name, value in _TUNABLES.items()))
        (etc / "nodes").write_text(f"{self.address}\n")
        (etc / "public_addresses").write_text(f"{self.public_address}/24 {PUBLIC_INTERFACE}\n")

    def _create_namespaces(self) -> None:
        setup = _SETUP.format(
            directory=self.directory,
            node_interface=NODE_INTERFACE,
            public_interface=PUBLIC_INTERFACE,
            address=self.address,
            ctdb=CTDB_TOOL,
        )
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", setup],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "the node's namespaces could not be set up"
        # Held open, so that the number by which its processes are known can't become another namespace's meanwhile.
        self._namespace = os.open(f"/proc/{self._holder.pid}/ns/net", os.O_RDONLY)

    def destroy(self) -> None:
        """Ends every process of the node, and with them its namespaces. May be called again."""
        holder, self._holder = self._holder, None
        if holder is None:
            return
        try:
            if self._namespace is not None:
                wait_until(self._kill_all, STOP_SECONDS, "the node's processes to be gone")
        finally:
            self._release(holder)

    def _release(self, holder: subprocess.Popen[str]) -> None:
        holder.kill()
        holder.wait()
        for stream in (holder.stdin, holder.stdout):
            if stream is not None:
                stream.close()
        if self._namespace is not None:
            os.close(self._namespace)
            self._namespace = None

    def _kill_all(self) -> bool:
        # The holder goes with the rest; it stays a zombie until it is waited for, and those are not listed.
        left = self._in_namespace()
        for process in left:
            self._kill(process.pid)
        return not left

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            try:
                # Asked again: only now is it certain that the number can't become a stranger's.
                if self._is_member(pid):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)

    # Looking at it

    def _in_namespace(self) -> list[Process]:
        members = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal() and self._is_member(int(entry))]
        return [Process(pid, _command(pid)) for pid in members]

    def _is_member(self, pid: int) -> bool:
        assert self._namespace is not None, "the node is gone"
        try:
            return os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), os.fstat(self._namespace))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False

    def processes(self) -> list[Process]:
        """All living processes of the node but those that hold its namespaces."""
        holders = {self._holder.pid} | _children(self._holder.pid) if self._holder else set()
        return [process for process in self._in_namespace() if process.pid not in holders]

    def pid(self, daemon: str) -> int:
        """The process that a daemon's pid file names."""
        return int((self.directory / "run" / "ctdb" / f"{daemon}.pid").read_text())

    def exists(self, name: str) -> bool:
        """Tells whether a file exists in the node's /run/ctdb; pid files and sockets are there."""
        return (self.directory / "run" / "ctdb" / name).exists()

    @property
    def log(self) -> str:
        """What ctdbd and the event daemon have logged so far."""
        path = self.directory / "log" / "log.ctdb"
        return path.read_text(errors="replace") if path.exists() else ""

    def explain(self) -> str:
        """For failures: who is there, and the end of the log."""
        return f"processes: {self.processes()}\n…{self.log[-LOG_TAIL:]}"

    def hosts_public_address(self) -> bool:
        """Tells whether the kernel has the public address on its interface, whatever ctdbd says."""
        shown = self.run("ip", "-o", "-4", "addr", "show", "dev", PUBLIC_INTERFACE).stdout
        return f" {self.public_address}/24 " in shown

    # Using it

    def run(self, *argv: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs a command in the node to its end; its output is text."""
        return subprocess.run(
            self.entering(*argv), env=self._environment(), capture_output=True, text=True, timeout=timeout, check=False
        )

    def entering(self, *argv: str) -> list[str]:
        """A command line that runs `argv` in the node."""
        assert self._holder is not None, "the node is gone"
        return ["nsenter", f"--target={self._holder.pid}", "--mount", "--net", *argv]

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CTDB_EVENTD": self._eventd}

    def ctdb(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Runs the real ctdb tool in the node."""
        return self.run(CTDB_TOOL, *argv)

    def start(self) -> None:
        """Starts ctdbd and waits until it answers; its event daemon is up by then."""
        started = self.run(CTDBD)
        assert started.returncode == 0, f"ctdbd: {started.stderr}\n{self.explain()}"
        wait_until(lambda: self.ctdb("ping").returncode == 0, HEALTHY_SECONDS, "ctdbd to answer", self.explain)

    def is_running(self) -> bool:
        """Tells whether ctdbd answers."""
        return self.exists("ctdbd.pid") and self.ctdb("ping").returncode == 0

    def is_healthy(self) -> bool:
        """Tells whether ctdbd calls this node OK and it hosts its address."""
        return self.ctdb("nodestatus").returncode == 0 and self.hosts_public_address()

    def wait_until_healthy(self) -> None:
        """Returns when the node is healthy and hosts its public address."""
        wait_until(self.is_healthy, HEALTHY_SECONDS, "the node to become healthy", self.explain)

    def wait_until_empty(self) -> None:
        """Returns when no process of the node is left."""
        wait_until(lambda: not self.processes(), STOP_SECONDS, "the node's processes to end", self.explain)

    def kill_leftovers(self) -> None:
        """Ends what a failed test left running, so that the next one can start ctdbd."""
        for process in self.processes():
            self._kill(process.pid)
        self.wait_until_empty()


def _children(pid: int) -> set[int]:
    try:
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except FileNotFoundError:
        return set()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
