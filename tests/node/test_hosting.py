"""Public addresses of a node: what is said of the kernel's while they move."""

from __future__ import annotations

import pytest

from ctdb_node import hosting
from ctdb_node.health import Result
from ctdb_node.hosting import Hosting
from ctdb_node.kernel import Interfaces
from ctdb_node.public_addresses import PublicAddress

_ADDRESS = PublicAddress("10.0.0.1", 24, ("eth0",))


class Looking:
    """Events of addresses, in the middle of which the kernel is looked at."""

    hosting: Hosting

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []
        self.present: dict[str, str] = {}

    async def run(self, event: str, *args: str) -> Result:
        if event == "takeip":
            # its script has added the address, and the event goes on
            self.present["10.0.0.1"] = "eth0"
            await self.hosting.check()
            self.seen.append(self.hosting.differences)
        return Result("success")


async def test_addresses_are_not_compared_with_the_kernel_while_they_move(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Looking()

    async def interfaces() -> Interfaces:
        return Interfaces(up=frozenset({"eth0"}), names=frozenset({"eth0"}), addresses=dict(events.present))

    monkeypatch.setattr(hosting, "interfaces", interfaces)
    events.hosting = Hosting([_ADDRESS], events, look=True)  # type: ignore[arg-type]
    await events.hosting.find()
    assert await events.hosting.reallocate(hosting=True)
    assert events.seen == [()]
    assert list(events.hosting.differences) == []
    events.present.clear()
    await events.hosting.check()
    assert list(events.hosting.differences) == ["10.0.0.1 should be on eth0, and is on no interface"]
