"""Reads the addresses on the interfaces of a network namespace from the kernel, without starting a process.

It is used to watch a failover, and must not use the processors that the failover needs.
"""

from __future__ import annotations

import ctypes
import enum
import ipaddress
import os
import socket
import struct
import threading
from collections.abc import Iterator

__all__ = ["AddressReader", "State"]

_CLONE_NEWNET = 0x40000000
_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_TENTATIVE, _DUPLICATE = 0x40, 0x08
_SCOPE_GLOBAL = 0


class State(enum.Enum):
    """The state of an address of an interface."""

    USABLE = "usable"
    TENTATIVE = "tentative"
    """The kernel still checks whether another host has it."""
    DUPLICATE = "duplicate"
    """Another host had it."""


class AddressReader:
    """Reads the addresses of one network namespace, and keeps the namespace alive meanwhile."""

    def __init__(self, namespace: str) -> None:
        """Opens the namespace.

        Args:
            namespace: Path of the network namespace's file.

        Raises:
            OSError: It can't be entered.
        """
        self._socket = _socket_in(namespace)
        # a request and its replies belong together, and several threads may use this
        self._lock = threading.Lock()

    def close(self) -> None:
        """Releases the namespace."""
        self._socket.close()

    def read(self) -> dict[str, State]:
        """Returns the current addresses of global scope."""
        with self._lock:
            return self._dump()

    def _dump(self) -> dict[str, State]:
        request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        self._socket.send(_HEADER.pack(_HEADER.size + len(request), _RTM_GETADDR, _REQUEST_DUMP, 1, 0) + request)
        found: dict[str, State] = {}
        while True:
            for kind, body in _messages(self._socket.recv(1 << 18)):
                if kind == _NLMSG_ERROR:
                    raise OSError("the kernel refuses to list addresses")
                if kind == _NLMSG_DONE:
                    return found
                if kind == _RTM_NEWADDR:
                    _note(body, found)


def _messages(packet: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(packet):
        length, kind, _, _, _ = _HEADER.unpack_from(packet, offset)
        yield kind, packet[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _note(body: bytes, found: dict[str, State]) -> None:
    _, _, flags, scope, _ = _ADDRESS.unpack_from(body)
    attributes = dict(_attributes(body[_ADDRESS.size :]))
    # for IPv4 the local one is the interface's own; IPv6 usually has none
    address = attributes.get(_IFA_LOCAL) or attributes[_IFA_ADDRESS]
    if scope != _SCOPE_GLOBAL:
        return
    if _IFA_FLAGS in attributes:
        (flags,) = struct.unpack("=I", attributes[_IFA_FLAGS])
    state = State.DUPLICATE if flags & _DUPLICATE else State.TENTATIVE if flags & _TENTATIVE else State.USABLE
    found[str(ipaddress.ip_address(address))] = state


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        yield kind, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def _socket_in(namespace: str) -> socket.socket:
    """Opens a netlink socket in another namespace. A socket keeps its namespace: only the creating thread enters it."""
    made: list[socket.socket] = []
    problems: list[OSError] = []

    def make() -> None:
        descriptor = os.open(namespace, os.O_RDONLY)
        try:
            # for the calling thread only; Python has a function for it from 3.12 on
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
                problems.append(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace))
                return
            made.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise problems[0] if problems else OSError(f"no netlink socket in {namespace}")
    return made[0]
