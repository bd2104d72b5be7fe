"""`ctdb-node run` moves real addresses between real interfaces, in a network namespace of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nodes import TIMEOUT, Node, until

pytestmark = pytest.mark.interop

_MOVE = """
case "$1" in
takeip) ip address add "$3/$4" dev "$2" ;;
releaseip) ip address del "$3/$4" dev "$2" ;;
updateip) ip address del "$4/$5" dev "$2" && ip address add "$4/$5" dev "$3" ;;
esac
"""


class Namespace:
    """A network namespace, held by a process that sleeps."""

    def __init__(self) -> None:
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])

    @property
    def ready(self) -> bool:
        path = f"/proc/{self.holder.pid}/ns/net"
        return Path(path).readlink() != Path("/proc/self/ns/net").readlink()

    @property
    def enter(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]

    def ip(self, *words: str) -> str:
        return subprocess.run([*self.enter, "ip", *words], check=True, capture_output=True, text=True).stdout

    def addresses(self) -> dict[str, str]:
        """The interface of each address of global scope."""
        found: list[dict[str, Any]] = json.loads(self.ip("-json", "address", "show", "scope", "global"))
        return {one["local"]: each["ifname"] for each in found for one in each.get("addr_info", ()) if "local" in one}


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.holder.kill()
    made.holder.wait(TIMEOUT)


async def test_real_addresses_come_move_and_go(tmp_path: Path, namespace: Namespace) -> None:
    node = Node(tmp_path)
    node.script("10.move.script", _MOVE)
    (tmp_path / "public_addresses").write_text("10.77.0.1/24 if0,if1\nfd77::2/64 if1\n")
    await until(lambda: namespace.ready, "the namespace")
    for name in ("if0", "if1"):
        namespace.ip("link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
        namespace.ip("link", "set", name, "up")
        namespace.ip("link", "set", f"{name}-peer", "up")
    # left by one that did not end well
    namespace.ip("address", "add", "fd77::2/64", "dev", "if0")

    def ask(*words: str) -> str:
        command = [sys.executable, "-m", "ctdb_node", *words]
        return subprocess.run(command, env=node.environ, capture_output=True, text=True, timeout=TIMEOUT).stdout

    errors = tmp_path / "errors"
    with errors.open("w") as log:
        run = subprocess.Popen(
            [*namespace.enter, sys.executable, "-m", "ctdb_node", "run"], env=node.environ, stderr=log
        )
    try:
        await until(lambda: namespace.addresses() == {"10.77.0.1": "if0", "fd77::2": "if1"}, "the addresses")
        ask("set", "MonitorInterval=1")
        namespace.ip("link", "set", "if0", "down")
        ask("stop")
        await until(lambda: namespace.addresses() == {}, "the release")
        ask("continue")
        await until(lambda: namespace.addresses() == {"10.77.0.1": "if1", "fd77::2": "if1"}, "the other interface")
        namespace.ip("link", "set", "if0", "up")
        namespace.ip("address", "del", "10.77.0.1/24", "dev", "if1")
        differs = "differs: 10.77.0.1 should be on if1, and is on no interface"
        ask("reallocate")
        await until(lambda: differs in ask("addresses"), "the difference to be said")
        namespace.ip("address", "add", "10.77.0.1/24", "dev", "if1")
        run.send_signal(signal.SIGTERM)
        assert run.wait(TIMEOUT) == 0
        assert namespace.addresses() == {}
        assert errors.read_text().count("10.77.0.1 should be on if1, and is on no interface") == 1
    finally:
        run.kill()
        run.wait(TIMEOUT)
    assert "Traceback" not in errors.read_text()
