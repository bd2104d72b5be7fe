"""The event catalogue: mode and arguments of each event. Events that are not in it have the defaults."""

from __future__ import annotations

import enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

import attrs

__all__ = ["CATALOGUE", "EventKind", "Mode", "Plan", "plan"]


class Mode(enum.Enum):
    """Which events of a component may run side by side."""

    EXCLUSIVE = "exclusive"
    """It runs alone: it waits for all events before it, and all after it wait for it."""
    ADDRESS = "address"
    """It runs beside events for other addresses: it waits for exclusive events before it, and for its address."""
    MONITOR = "monitor"
    """It runs alone and yields: it is refused while other events wait or run, and ended when another one arrives."""


@attrs.frozen(eq=False, repr=False)
class EventKind:
    """A known event."""

    name: str
    mode: Mode
    arguments: tuple[str, ...] = ()
    """Its arguments, in order; those named `address` and `netmask bits` are checked."""


_USUAL_LENGTH = 64
"""Characters of an argument: names of interfaces and addresses are shorter, also those with a scope."""
_TAKE = ("interface", "address", "netmask bits")

CATALOGUE = {
    kind.name: kind
    for kind in (
        EventKind("init", Mode.EXCLUSIVE),
        EventKind("setup", Mode.EXCLUSIVE),
        EventKind("startup", Mode.EXCLUSIVE),
        EventKind("shutdown", Mode.EXCLUSIVE),
        EventKind("monitor", Mode.MONITOR),
        EventKind("startrecovery", Mode.EXCLUSIVE),
        EventKind("recovered", Mode.EXCLUSIVE),
        EventKind("takeip", Mode.ADDRESS, _TAKE),
        EventKind("startipreallocate", Mode.EXCLUSIVE),
        EventKind("releaseip", Mode.ADDRESS, _TAKE),
        EventKind("updateip", Mode.ADDRESS, ("old interface", "new interface", "address", "netmask bits")),
        EventKind("ipreallocated", Mode.EXCLUSIVE),
    )
}
"""All events of CTDB, in the order in which they happen on a node."""


@attrs.frozen
class Plan:
    """The mode of a requested event, and the locks that it needs."""

    mode: Mode
    resources: tuple[str, ...] = ()
    """Locks that it holds from its start until its last process has ended, such as `address:10.0.0.1`."""
    warning: str = ""
    """Why it is not treated as its name suggests; empty if it is treated so."""


_ALONE, _MONITOR = Plan(Mode.EXCLUSIVE), Plan(Mode.MONITOR)


def plan(event: str, args: tuple[str, ...]) -> Plan:
    """Returns the plan of a run. An address event with other arguments runs alone: scripts may define their own."""
    kind = CATALOGUE.get(event)
    if kind is None:
        return _ALONE
    if kind.mode is not Mode.ADDRESS:
        return _MONITOR if kind.mode is Mode.MONITOR else _ALONE
    # A cluster has a few hundred addresses, and three events for each: worth caching. Arguments that a client makes up
    # must not fill the memory.
    usual = len(args) == len(kind.arguments) and all(len(arg) <= _USUAL_LENGTH for arg in args)
    return _known_plan(kind, args) if usual else _address_plan(kind, args)


def _address_plan(kind: EventKind, args: tuple[str, ...]) -> Plan:
    try:
        address = _address_of(kind, args)
    except ValueError as error:
        expected = " ".join(f"<{name}>" for name in kind.arguments)
        return Plan(Mode.EXCLUSIVE, (), f"{error}; expected: {kind.name} {expected}. It runs alone")
    return Plan(Mode.ADDRESS, (f"address:{address}",))


_known_plan = lru_cache(maxsize=4096)(_address_plan)


def _address_of(kind: EventKind, args: tuple[str, ...]) -> IPv4Address | IPv6Address:
    if len(args) != len(kind.arguments):
        raise ValueError(f"{len(args)} arguments instead of {len(kind.arguments)}")
    named = dict(zip(kind.arguments, args, strict=True))
    text, bits = named["address"], named["netmask bits"]
    try:
        if len(text) > _USUAL_LENGTH:
            raise ValueError
        address = ip_address(text)
    except ValueError:
        raise ValueError(f'"{text[:_USUAL_LENGTH]}" is not an IP address') from None
    if not (len(bits) <= _USUAL_LENGTH and bits.isascii() and bits.isdigit() and int(bits) <= address.max_prefixlen):
        raise ValueError(f'"{bits[:_USUAL_LENGTH]}" is not a number of netmask bits from 0 to {address.max_prefixlen}')
    return address
