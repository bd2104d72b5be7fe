"""Our daemon, without ctdbd, in namespaces of its own where real addresses and firewall rules come and go.

The namespaces have no name: they, their interfaces, addresses and rules are gone with the last process in them. Nothing
here knows what is tested.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path

import attrs
from ctdb_lab import wait_until
from nodes import Client, Daemon, Node

from .programs import PROVIDED_SCRIPTS, Maker

INTERFACES = ("pub0", "pub1")
EVENT_SECONDS = 30  # what ctdbd allows an event unless told otherwise

_FUNCTIONS = Path("/etc/ctdb/functions")
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_START_SECONDS = 10
_STOP_SECONDS = 20

# A veth's link is up only while its peer's is; without a link, duplicate address detection would never end. The private
# /run keeps the lock file of the older iptables apart from the machine's own.
_IN_NAMESPACES = """set -e
mount -t tmpfs none /run
ip link set lo up
for link in {interfaces}; do
  ip link add $link type veth peer name $link-peer
  ip link set $link-peer up
  ip link set $link up
done
exec "$@"
"""


@attrs.frozen
class PublicAddress:
    """An address, and where it belongs."""

    interface: str
    ip: str
    """In the form in which the kernel shows it."""
    bits: int

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments of its takeip and releaseip."""
        return self.interface, self.ip, str(self.bits)


@attrs.frozen
class Asked:
    """A request for an event."""

    event: str
    args: tuple[str, ...] = ()


def takes(addresses: Iterable[PublicAddress]) -> list[Asked]:
    """Requests to take addresses."""
    return [Asked("takeip", address.args) for address in addresses]


def releases(addresses: Iterable[PublicAddress]) -> list[Asked]:
    """Requests to release addresses."""
    return [Asked("releaseip", address.args) for address in addresses]


class Host:
    """A running daemon and the kernel's view of its namespaces."""

    def __init__(self, node: Node, process: subprocess.Popen[bytes]) -> None:
        self.node = node
        self.daemon = Daemon(node, process)

    def run(self, *argv: str) -> str:
        """Runs a command beside the daemon, without its wrappers, and returns what it prints."""
        entering = ["nsenter", f"--target={self.daemon.process.pid}", "--net", "--mount"]
        return subprocess.run(
            [*entering, *argv], env={"PATH": _search_path(self.node)}, check=True, capture_output=True, text=True
        ).stdout

    def addresses(self) -> set[PublicAddress]:
        """The addresses on the interfaces; none of them may still be in doubt."""
        shown = self.run("ip", "-o", "addr", "show", "scope", "global")
        assert "tentative" not in shown, shown
        assert "dadfailed" not in shown, shown
        found = re.findall(r"^\d+: (\S+) +inet6? ([^/ ]+)/(\d+) ", shown, re.MULTILINE)
        return {PublicAddress(interface, ip, int(bits)) for interface, ip, bits in found}

    def rules(self) -> Counter[str]:
        """Every firewall rule of both families, and how often it is there."""
        shown = self.run("iptables", "-S") + self.run("ip6tables", "-S")
        return Counter(line for line in shown.splitlines() if line.startswith("-A "))

    async def ask(self, client: Client, requests: Iterable[Asked]) -> None:
        """Sends all requests at once, as ctdbd does, and waits for all replies; every one must succeed."""
        asked = {client.start(request.event, *request.args, limit=EVENT_SECONDS): request for request in requests}
        results = {request: await client.result(reqid) for reqid, request in asked.items()}
        failed = {request: result for request, result in results.items() if result}
        assert not failed, f"{failed}\n{self.node.log}"


def lay_out(directory: Path, configuration: str = "") -> Node:
    """Fills a directory for a node on which CTDB's own functions work without ctdbd. The log has errors only."""
    node = Node(directory)
    log = f"[logging]\n  location = file:{directory}/log\n  log level = ERROR\n"
    (directory / "ctdb.conf").write_text(log + configuration)
    shutil.copy(_FUNCTIONS, directory / "functions")
    # the functions ask ctdbd only for other nodes' connections and interfaces, of which there are none
    stub = directory / "bin" / "ctdb"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\nexit 0\n")
    stub.chmod(0o755)
    (directory / "var" / "scripts").mkdir()
    (directory / "script.options").write_text(f"CTDB={stub}\n")
    return node


def provide_interface_script(node: Node, addresses: Iterable[PublicAddress]) -> None:
    """Enables CTDB's own 10.interface for these addresses."""
    lines = (f"{address.ip}/{address.bits} {','.join(INTERFACES)}\n" for address in addresses)
    (node.base / "public_addresses").write_text("".join(lines))
    provide(node, "10.interface")


def provide(node: Node, *scripts: str) -> None:
    """Enables scripts of CTDB's own, unmodified, by their names without `.script`."""
    for name in scripts:
        (node.base / "events" / "legacy" / f"{name}.script").symlink_to(f"{PROVIDED_SCRIPTS}/{name}.script")


def _search_path(node: Node) -> str:
    return f"{node.base}/bin:{_SYSTEM_PATH}"


def _environment(node: Node) -> Mapping[str, str]:
    return {
        "PATH": _search_path(node),
        "CTDB_TEST_MODE": "1",
        "CTDB_BASE": str(node.base),
        # not in script.options: the functions look for it before they read that
        "CTDB_SCRIPT_VARDIR": f"{node.var}/scripts",
    }


@contextlib.asynccontextmanager
async def running_host(node: Node) -> AsyncIterator[Host]:
    """Runs our daemon for the time of the block; it must end cleanly, and nothing of it is left however that ends."""
    with _started(node) as process:
        yield Host(node, process)
        process.terminate()
        assert process.wait(_STOP_SECONDS) == 0, node.log


@contextlib.contextmanager
def _started(node: Node) -> Iterator[subprocess.Popen[bytes]]:
    reader, writer = os.pipe()
    setup = _IN_NAMESPACES.format(interfaces=" ".join(INTERFACES))
    entering = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", setup, "sh"]
    try:
        process = subprocess.Popen(
            [*entering, Maker.OURS.daemon, "-S", str(writer)],
            env=_environment(node),
            cwd=node.base,
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
        )
    finally:
        os.close(writer)
    namespace = -1
    try:
        _wait_for_start(reader, node)
        # held open, so that its number can't become another namespace's
        namespace = os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY)
        yield process
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        if namespace >= 0:
            _empty(namespace)


def _wait_for_start(reader: int, node: Node) -> None:
    readable, _, _ = select.select([reader], [], [], _START_SECONDS)
    message = os.read(reader, 4) if readable else b""
    assert message == bytes(4), f"the daemon did not report its start, but {message!r}; its log:\n{node.log}"


def _empty(namespace: int) -> None:
    """Ends whatever the daemon, or a test that failed, left in a network namespace, and closes it."""
    try:
        wait_until(lambda: not _kill_members(namespace), _STOP_SECONDS, "the namespace to be empty")
    finally:
        os.close(namespace)


def _kill_members(namespace: int) -> list[int]:
    members = [int(name) for name in os.listdir("/proc") if name.isdecimal() and _is_member(int(name), namespace)]
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            try:
                # asked again: only now is it certain that the number can't become a stranger's
                if _is_member(pid, namespace):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)
    return members


def _is_member(pid: int, namespace: int) -> bool:
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), os.fstat(namespace))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
