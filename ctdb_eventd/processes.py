"""Examines the processes of a hung script in /proc and describes them for users, within limits.

Blocks, possibly for a long time: /proc may not respond for a process that is blocked in the kernel. To be called in a
thread that can be abandoned.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import re
import socket
import struct
import time
from collections.abc import Iterator, Mapping

import attrs

from ctdb_eventd.file_locks import FileLock
from ctdb_eventd.proc import (
    command_of,
    file_locks,
    has_lock,
    locked_descriptors,
    locked_path,
    program_of,
    stat_of_living,
    tree,
)

__all__ = ["Hung", "HungProcess", "examine"]

_MOST_PROCESSES = 64
_MOST_FILES = 32
_MOST_FRAMES = 24
_MOST_TEXT = 300
"""Characters of a path or command."""
_MOST_BYTES = 60 << 10
"""Bytes of all processes together, as JSON. Files, locks and stacks are included only up to half of it."""
_TIMEOUT = 0.8
"""Seconds after which no further process is examined."""
_HOLDER_TIMEOUT = 0.4
"""Seconds after which no further process is checked for a lock."""

_CALLS_X86_64 = {
    **{0: "read", 1: "write", 2: "open", 4: "stat", 5: "fstat", 7: "poll", 16: "ioctl", 23: "select", 34: "pause"},
    **{35: "nanosleep", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg"},
    **{61: "wait4", 72: "fcntl", 73: "flock", 74: "fsync", 137: "statfs", 202: "futex", 230: "clock_nanosleep"},
    **{232: "epoll_wait", 247: "waitid", 257: "openat", 262: "newfstatat", 270: "pselect6", 271: "ppoll"},
    **{281: "epoll_pwait", 288: "accept4"},
}
_CALLS_GENERIC = {
    **{63: "read", 64: "write", 56: "openat", 79: "newfstatat", 80: "fstat", 43: "statfs", 29: "ioctl", 25: "fcntl"},
    **{32: "flock", 82: "fsync", 72: "pselect6", 73: "ppoll", 22: "epoll_pwait", 98: "futex", 101: "nanosleep"},
    **{115: "clock_nanosleep", 202: "accept", 203: "connect", 206: "sendto", 207: "recvfrom", 211: "sendmsg"},
    **{212: "recvmsg", 242: "accept4", 260: "wait4", 95: "waitid"},
}
_CALLS = {"x86_64": _CALLS_X86_64, "aarch64": _CALLS_GENERIC, "riscv64": _CALLS_GENERIC}.get(platform.machine(), {})
"""Numbers of the system calls in which processes usually hang; for others the kernel's function is shown."""
_ON_A_FILE = {
    **dict.fromkeys(("read", "recvfrom", "recvmsg"), "reads from {}"),
    **dict.fromkeys(("write", "sendto", "sendmsg"), "writes to {}"),
    **dict.fromkeys(("accept", "accept4"), "waits for a connection to {}"),
    "connect": "connects to {}",
    "fsync": "waits until {} is on its disk",
    "ioctl": "waits for the device {}",
    "fstat": "waits for the status of {}",
}
_OTHERWISE = {
    **dict.fromkeys(("nanosleep", "clock_nanosleep", "pause"), "sleeps"),
    **dict.fromkeys(("wait4", "waitid"), "waits for a process that it has started"),
    **dict.fromkeys(("open", "openat"), "waits until it can open a file"),
    **dict.fromkeys(("stat", "newfstatat", "statfs"), "waits for the status of a file"),
    "futex": "waits for another thread",
}
_SEVERAL_FILES = ("poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait")

_TCP_STATES = (
    *("", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT"),
    *("LAST_ACK", "LISTEN", "CLOSING"),
)


@attrs.frozen(kw_only=True)
class HungProcess:
    """An examined process."""

    pid: int
    parent: int
    command: str
    state: str
    """A letter, as in `ps`: R is running, S is sleeping, D can't be killed, T is stopped."""
    doing: str
    """What it does: a predicate that follows its name."""
    wchan: str = ""
    """The kernel's function in which it waits; empty if unknown."""
    stack: tuple[str, ...] = ()
    """The kernel's functions that led there, the innermost first."""
    files: tuple[str, ...] = ()
    """Its open files: `3 /path`, or `4 10.0.0.1:445 to 10.0.0.7:33412 (TCP, ESTABLISHED)`."""
    locks: tuple[str, ...] = ()
    """Files that it has locked."""


@attrs.frozen(kw_only=True)
class Hung:
    """The result of examining a hung script."""

    summary: str
    """The process for which the others probably wait, and what it does."""
    processes: tuple[HungProcess, ...]
    """The examined processes, parents first."""
    left_out: int = 0
    """The number of other processes."""


def examine(group: int, known: tuple[int, ...] = ()) -> Hung | None:
    """Examines the processes of a script.

    Args:
        group: Its process group, which is also the pid of the script's own process.
        known: The processes of its cgroup; empty if it has none: then all processes are searched.

    Returns:
        The result; None if no process is left.
    """
    pids = list(dict.fromkeys((*tree(group, known), *known)))
    look = _Look()
    end = time.monotonic() + _TIMEOUT
    found: list[HungProcess] = []
    room = _MOST_BYTES
    for pid in pids[:_MOST_PROCESSES]:
        if found and time.monotonic() > end:
            break
        process = look.at(pid)
        if process is None:
            continue
        if room - _size(process) < _MOST_BYTES // 2:
            process = attrs.evolve(process, files=(), locks=(), stack=())
        room -= _size(process)
        if room < 0:
            break
        found.append(process)
    if not found:
        return None
    return Hung(summary=_summary(found, look, len(pids)), processes=tuple(found), left_out=len(pids) - len(found))


def _size(process: HungProcess) -> int:
    return len(json.dumps(attrs.asdict(process)))


def _summary(processes: list[HungProcess], look: _Look, count: int) -> str:
    parents = {process.parent for process in processes}
    # a process that waits for a lock is the most informative, else the last process without children
    leaves = [process for process in processes if process.pid not in parents] or processes
    process = next((process for process in processes if process.pid in look.waiting), leaves[-1])
    more = f" ({count} processes)" if count > 1 else ""
    return f"process {process.pid} ({process.command}) {process.doing}{more}"


class _Look:
    """Shared state of the examination of all processes of a script."""

    def __init__(self) -> None:
        locks = file_locks()
        self.waiting = {lock.pid: lock for lock in locks if lock.waits}
        self._held = [lock for lock in locks if not lock.waits]
        self._sockets: dict[str, Mapping[int, str]] = {}
        self._holders: dict[int, str] = {}
        self._holders_until = time.monotonic() + _HOLDER_TIMEOUT

    def at(self, pid: int) -> HungProcess | None:
        figures = stat_of_living(pid)
        if not figures:
            return None
        state, parent = figures[0].decode(), int(figures[1])
        files = dict(self._files(pid))
        wchan = _read(pid, "wchan").strip("\0")
        wchan = "" if wchan == "0" else wchan
        stack = tuple(re.sub(r"^\[<.*?>\] ", "", line) for line in _read(pid, "stack").splitlines()[:_MOST_FRAMES])
        return HungProcess(
            pid=pid,
            parent=parent,
            command=command_of(pid) or program_of(pid),
            state=state,
            doing=self._doing(pid, state, wchan, files),
            wchan=wchan,
            stack=stack,
            files=tuple(f"{number} {what}" for number, what in sorted(files.items())[:_MOST_FILES]),
            locks=tuple(files[number] for number in locked_descriptors(pid) if number in files)[:_MOST_FILES],
        )

    def _doing(self, pid: int, state: str, wchan: str, files: Mapping[int, str]) -> str:
        lock = self.waiting.get(pid)
        if lock is not None:
            path = _shortened(locked_path(pid, lock) or "a file that it has closed")
            return f"waits for a lock on {path}, held by {self._holder(lock)}"
        if state in "Tt":
            return "is stopped by a signal or a tracer"
        if state == "R":
            return "computes"
        held = " (state D: nothing can end it)" if state == "D" else ""
        words = _read(pid, "syscall").split()
        call = _CALLS.get(int(words[0])) if words and words[0].isdecimal() else None
        if call is None:
            return f"waits in the kernel's {wchan}{held}" if wchan else f"waits{held}"
        if call in _ON_A_FILE:
            what = files.get(int(words[1], 16) & 0xFFFFFFFF, "a file that it has closed")
            return f"{_ON_A_FILE[call].format(what)}{held}"
        if call in _SEVERAL_FILES:
            sockets = [text for text in files.values() if text.endswith(")")]
            return f"waits for {' or '.join(sockets[:3])}" if sockets else f"waits for its files ({call})"
        return _OTHERWISE.get(call, f"waits in {call}") + held

    def _holder(self, lock: FileLock) -> str:
        if lock.number not in self._holders:
            held = next((held for held in self._held if held.number == lock.number), None)
            pid = None if held is None else self._find_holder(held)
            self._holders[lock.number] = (
                "a process that is not known" if pid is None else f"process {pid} ({command_of(pid)})"
            )
        return self._holders[lock.number]

    def _find_holder(self, held: FileLock) -> int | None:
        # flock(1) takes a lock for a shell, which keeps it when flock has exited
        everybody = (int(name) for name in os.listdir("/proc") if name.isdigit())
        for pid in itertools.chain((held.pid,), everybody):
            if has_lock(pid, held):
                return pid
            if time.monotonic() > self._holders_until:
                break
        return None

    def _files(self, pid: int) -> Iterator[tuple[int, str]]:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(f"/proc/{pid}/fd/{name}")
                    yield int(name), self._socket(pid, target) or _shortened(target)

    def _socket(self, pid: int, target: str) -> str:
        if not target.startswith("socket:["):
            return ""
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/net")
        except OSError:
            return ""
        if namespace not in self._sockets:
            self._sockets[namespace] = dict(_sockets(pid))
        return self._sockets[namespace].get(int(target[8:-1]), "")


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""


def _shortened(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "..."


def _sockets(pid: int) -> Iterator[tuple[int, str]]:
    """Yields the sockets of a process's network namespace by their inodes."""
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{protocol}", encoding="ascii") as lines:
            next(lines, None)
            for line in lines:
                fields = line.split()
                ends = f"{_end(fields[1])} to {_end(fields[2])}" if fields[2].strip("0:") else _end(fields[1])
                state = f", {_TCP_STATES[int(fields[3], 16)]}" if protocol.startswith("tcp") else ""
                yield int(fields[9]), f"{ends} ({protocol[:3].upper()}{state})"
    with contextlib.suppress(OSError), open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="replace") as lines:
        next(lines, None)
        for line in lines:
            fields = line.split(None, 7)
            yield int(fields[6]), f"{fields[7].strip() if len(fields) > 7 else 'a socket pair'} (UNIX)"


def _end(text: str) -> str:
    """Formats an end of a connection: the kernel prints an address as words in this machine's byte order."""
    address, port = text.split(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    raw = struct.pack(f"={len(words)}I", *words)
    if len(words) == 1:
        return f"{socket.inet_ntop(socket.AF_INET, raw)}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, raw)}]:{int(port, 16)}"
