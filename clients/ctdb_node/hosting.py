"""Moves public addresses to their interfaces, by the events that `allocation` decides on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio
import attrs

from ctdb_node.allocation import Move, Plan, differences, plan
from ctdb_node.errors import NodeError
from ctdb_node.events import Events
from ctdb_node.kernel import interfaces
from ctdb_node.public_addresses import PublicAddress

__all__ = ["Hosting"]

_log = logging.getLogger("ctdb-node")


class Hosting:
    """The public addresses of a node, and the interfaces that they are on."""

    def __init__(self, addresses: Sequence[PublicAddress], events: Events, look: bool) -> None:
        """Hosts nothing yet.

        Args:
            addresses: All public addresses.
            events: Runs events.
            look: Ask the kernel for interfaces and addresses; otherwise all interfaces count as up.
        """
        self.addresses = addresses
        self.held: dict[str, str] = {}
        self.differences: tuple[str, ...] = ()
        self._leaving: tuple[PublicAddress, ...] = ()
        self._changes = 0
        """Incremented when a group of moves begins and when it ends: odd while addresses move."""
        self._events = events
        self._look = look
        self._up = self._usable

    @property
    def _usable(self) -> frozenset[str]:
        """The interfaces that addresses may be on."""
        return frozenset(name for address in self.addresses for name in address.interfaces)

    def replace(self, addresses: Sequence[PublicAddress]) -> None:
        """Replaces the public addresses; the next reallocation releases hosted addresses that are no longer listed.

        An address whose mask changes is released too, and then taken again.
        """
        known = {each.address: each for each in (*self.addresses, *self._leaving) if each.address in self.held}
        kept = {(each.address, each.bits) for each in addresses}
        self._leaving = tuple(each for each in known.values() if (each.address, each.bits) not in kept)
        self.addresses = addresses
        if not self._look:
            self._up = self._usable

    @property
    def _staying(self) -> list[PublicAddress]:
        leaving = {each.address for each in self._leaving}
        return [each for each in self.addresses if each.address not in leaving]

    def _plan(self, hosting: bool) -> Plan:
        decided = plan(self._staying, self.held, self._up, hosting)
        return attrs.evolve(decided, release=(*self._releases(), *decided.release))

    def _releases(self) -> tuple[Move, ...]:
        return tuple(Move("releaseip", each, self.held[each.address], None) for each in self._leaving)

    async def find(self) -> None:
        """Reads which interfaces are up, and which public addresses the kernel has already, left by a killed node."""
        if self._look:
            public = {each.address for each in self.addresses}
            found = await interfaces()
            self.held = {address: name for address, name in found.addresses.items() if address in public}
            self._up = found.up & self._usable

    async def check(self) -> bool:
        """Compares with the kernel and logs each difference once; tells whether an interface has gone up or down."""
        if not self._look:
            return False
        before = self._changes
        try:
            found = await interfaces()
        except NodeError as error:
            _log.warning("%s", error)
            return False
        now = self.differences
        # not while addresses move: the kernel has them before the event is over
        if before == self._changes and before % 2 == 0:
            now = differences((*self._staying, *self._leaving), self.held, found.addresses)
        for text in now:
            if text not in self.differences:
                _log.warning("%s", text)
        up = found.up & self._usable
        changed, self._up, self.differences = up != self._up, up, now
        return changed

    async def release_all(self) -> bool:
        """Releases all hosted addresses; tells whether all succeeded."""
        return await self._carry_out(self._plan(hosting=False).release)

    async def reallocate(self, hosting: bool) -> bool:
        """Runs the events of a reallocation; tells whether all succeeded.

        Args:
            hosting: The node may host addresses.
        """
        await self.check()
        if (await self._events.run("startipreallocate")).outcome != "success":
            return False
        released = self._plan(hosting).release
        well = await self._carry_out(released)
        # only now: an address with another mask is taken after it has been released
        rest = self._plan(hosting)
        for group in (rest.update, rest.take):
            well = await self._carry_out(group) and well
        well = (await self._events.run("ipreallocated")).outcome == "success" and well
        await self.check()
        if well:
            _log.info(
                "reallocated: %d addresses given up, %d moved, %d taken; %d of %d are here",
                *map(len, (released, rest.update, rest.take)),
                len(self.held),
                len(self.addresses),
            )
        return well

    async def _carry_out(self, moves: Sequence[Move]) -> bool:
        """Runs moves concurrently; one that fails leaves its address where it was, and the others go on."""
        self._changes += 1
        try:
            async with anyio.create_task_group() as tasks:
                for move in moves:
                    tasks.start_soon(self._move, move)
        finally:
            self._changes += 1
        self._leaving = tuple(each for each in self._leaving if each.address in self.held)
        return all(self.held.get(move.address.address) == move.new for move in moves)

    async def _move(self, move: Move) -> None:
        if (await self._events.run(move.event, *move.args)).outcome != "success":
            return
        if move.new is None:
            del self.held[move.address.address]
        else:
            self.held[move.address.address] = move.new
