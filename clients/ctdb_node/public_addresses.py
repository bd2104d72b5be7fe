"""CTDB's file of public addresses: `ADDRESS/BITS INTERFACE[,INTERFACE…]` on each line. No I/O."""

from __future__ import annotations

import ipaddress

import attrs

from ctdb_node.errors import NodeError

__all__ = ["PublicAddress", "parse"]


@attrs.frozen
class PublicAddress:
    """An address that the node may host."""

    address: str
    """In its canonical form."""
    bits: int
    interfaces: tuple[str, ...]
    """The interfaces that it may be on."""


def parse(text: str, path: str, existing: frozenset[str] | None = None) -> tuple[PublicAddress, ...]:
    """Parses the file; empty lines and lines that start with `#` are ignored.

    Args:
        text: The file's content.
        path: The file's name, for messages.
        existing: The interfaces of this machine; None to accept any.

    Raises:
        NodeError: One line for each line that can't be used, as `FILE:LINE: …`.
    """
    found: dict[str, tuple[int, PublicAddress]] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            read = _line(line.split(), existing)
            if read.address in found:
                raise NodeError(f"{read.address} is in line {found[read.address][0]} too; remove one of them")
        except NodeError as error:
            problems.append(f"{path}:{number}: {error}")
        else:
            found[read.address] = (number, read)
    if problems:
        raise NodeError("\n".join(problems))
    return tuple(each for _, each in found.values())


def _line(words: list[str], existing: frozenset[str] | None) -> PublicAddress:
    if len(words) != 2:
        raise NodeError("expected ADDRESS/BITS and interfaces with commas between them, as in 10.0.0.1/24 eth0,eth1")
    if "/" not in words[0]:
        raise NodeError(f"{words[0]!r} has no mask; expected ADDRESS/BITS, as in 10.0.0.1/24")
    try:
        parsed = ipaddress.ip_interface(words[0])
    except ValueError as error:
        raise NodeError(f"{words[0]!r} is not an address with a mask: {error}") from None
    interfaces = tuple(words[1].split(","))
    if "" in interfaces:
        raise NodeError(f"{words[1]!r} has an interface without a name; remove the comma")
    if missing := [name for name in interfaces if existing is not None and name not in existing]:
        raise NodeError(f"there is no interface {missing[0]!r}; `ip link` lists the interfaces")
    return PublicAddress(str(parsed.ip), parsed.network.prefixlen, interfaces)
