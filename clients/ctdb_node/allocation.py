"""Which public addresses are to be where, and the events that bring them there. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import attrs

from ctdb_node.public_addresses import PublicAddress

__all__ = ["Move", "Plan", "differences", "plan"]


@attrs.frozen
class Move:
    """An event of one address."""

    event: str
    """`releaseip`, `updateip` or `takeip`."""
    address: PublicAddress
    old: str | None
    """The interface that has it; None if none has."""
    new: str | None
    """The interface that is to have it."""

    @property
    def args(self) -> tuple[str, ...]:
        """The scripts' arguments behind the event."""
        interfaces = [name for name in (self.old, self.new) if name is not None]
        return (*interfaces, self.address.address, str(self.address.bits))


@attrs.frozen
class Plan:
    """Three groups of moves, one after the other; those of a group may run side by side."""

    release: tuple[Move, ...]
    update: tuple[Move, ...]
    take: tuple[Move, ...]

    @property
    def groups(self) -> tuple[tuple[Move, ...], ...]:
        """In their order."""
        return self.release, self.update, self.take


def plan(addresses: Iterable[PublicAddress], held: Mapping[str, str], up: Set[str], hosting: bool) -> Plan:
    """Decides what to do.

    Args:
        addresses: All public addresses.
        held: The interface of each that is hosted.
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
    """Stays where it is while that is up, otherwise the first that is."""
    if old in address.interfaces and old in up:
        return old
    return next((name for name in address.interfaces if name in up), None)


def differences(
    addresses: Iterable[PublicAddress], held: Mapping[str, str], present: Mapping[str, str]
) -> tuple[str, ...]:
    """Says where the kernel has public addresses otherwise than it should.

    Args:
        addresses: All public addresses.
        held: The interface of each that is hosted.
        present: The interface of each address that the kernel has.
    """
    said = []
    for address in (each.address for each in addresses):
        should, has = held.get(address), present.get(address)
        if should == has:
            continue
        if has is None:
            said.append(f"{address} should be on {should}, and is on no interface")
        elif should is None:
            said.append(f"{address} should be on no interface, and is on {has}")
        else:
            said.append(f"{address} should be on {should}, and is on {has}")
    return tuple(said)
