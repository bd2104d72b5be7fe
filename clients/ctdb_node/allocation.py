"""Decides on which interface each public address should be, and which events move it there. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import attrs

from ctdb_node.public_addresses import PublicAddress

__all__ = ["Move", "Plan", "differences", "plan"]


@attrs.frozen
class Move:
    """An event that moves one address."""

    event: str
    """`releaseip`, `updateip` or `takeip`."""
    address: PublicAddress
    old: str | None
    """The interface that has it; None if it isn't hosted."""
    new: str | None
    """The interface that gets it; None if it is released."""

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments of the event."""
        interfaces = [name for name in (self.old, self.new) if name is not None]
        return (*interfaces, self.address.address, str(self.address.bits))


@attrs.frozen
class Plan:
    """Three groups of moves, to be carried out in this order; the moves of one group may run concurrently."""

    release: tuple[Move, ...]
    update: tuple[Move, ...]
    take: tuple[Move, ...]


def plan(addresses: Iterable[PublicAddress], held: Mapping[str, str], up: Set[str], hosting: bool) -> Plan:
    """Returns the moves that are needed.

    Args:
        addresses: All public addresses.
        held: The interface of each address that is hosted.
        up: The interfaces that are up.
        hosting: The node may host addresses: it is healthy and not stopped.
    """
    moves = []
    for address in addresses:
        old = held.get(address.address)
        new = _interface(address, old, up) if hosting else None
        if old != new:
            event = "takeip" if old is None else "releaseip" if new is None else "updateip"
            moves.append(Move(event, address, old, new))
    return Plan(
        *(tuple(move for move in moves if move.event == event) for event in ("releaseip", "updateip", "takeip"))
    )


def _interface(address: PublicAddress, old: str | None, up: Set[str]) -> str | None:
    """Returns the present interface while that is up, otherwise the first that is up."""
    if old in address.interfaces and old in up:
        return old
    return next((name for name in address.interfaces if name in up), None)


def differences(
    addresses: Iterable[PublicAddress], held: Mapping[str, str], present: Mapping[str, str]
) -> tuple[str, ...]:
    """Describes each public address that the kernel has on another interface than the node does.

    Args:
        addresses: All public addresses.
        held: The interface of each address that is hosted.
        present: The interface of each address that the kernel has.
    """
    found = []
    for address in (each.address for each in addresses):
        should, has = held.get(address), present.get(address)
        if should == has:
            continue
        if has is None:
            found.append(f"{address} should be on {should}, and is on no interface")
        elif should is None:
            found.append(f"{address} should be on no interface, and is on {has}")
        else:
            found.append(f"{address} should be on {should}, and is on {has}")
    return tuple(found)
