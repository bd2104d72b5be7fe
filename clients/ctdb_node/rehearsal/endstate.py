"""Reads the state of the sandbox after a round: addresses, routes, rules and changed files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence

import anyio

from ctdb_node.rehearsal.comparison import VARYING
from ctdb_node.rehearsal.observed import EndState, FileState

__all__ = ["end_state", "removed"]

_MAX_SIZE = 1 << 18
"""Longer files are compared by their digest alone."""
_NOT_COMPARED = (
    "/run/ctdb-eventd",
    "/run/ctdb-rehearsal",
    "/run/ctdb/eventd",
    "/run/samba/ctdb/eventd",
    "/run/xtables.lock",
    "/var/lib/ctdb/eventd",
    "/var/log",
)
"""Files of the rehearsal and of the event daemon, and logs."""
_COMMANDS = {
    "routes": ("ip -4 route show table all", "ip -6 route show table all"),
    "rules": ("ip -4 rule show", "ip -6 rule show"),
    "firewall": ("iptables-save", "ip6tables-save"),
}
_VARYING_PARTS = re.compile(r"\[\d+:\d+\]|expires \d+sec| src [0-9a-f.:]+")
"""Counters, times, and the source address of routes: it depends on which address of a network was added first."""
_EMPTY = re.compile(r"#.*|\*\w+|COMMIT|:[A-Z]+ ACCEPT ?|")
_DAD_TIMEOUT = 10.0
"""Seconds until every IPv6 address must have passed duplicate address detection."""
_POLLS = 100
"""How often the kernel is asked in that time."""


async def end_state(roots: Sequence[tuple[str, str]]) -> EndState:
    """Returns the present state.

    Args:
        roots: The overlays' upper directories, each with its mount point.
    """
    await _wait_for_dad()
    network = {"addresses": tuple(sorted(await _addresses()))}
    for what, commands in _COMMANDS.items():
        network[what] = tuple(sorted([line for command in commands for line in await _lines(command)]))
    files = await anyio.to_thread.run_sync(lambda: {path: state for root in roots for path, state in _files(*root)})
    return EndState(network=network, files=files)


async def _wait_for_dad() -> None:
    """Waits for duplicate address detection: IPv6 addresses that were just added have no routes until then."""
    for _ in range(_POLLS):
        if not await _lines("ip -6 -oneline address show tentative"):
            return
        await anyio.sleep(_DAD_TIMEOUT / _POLLS)


async def _addresses() -> Iterator[str]:
    done = await anyio.run_process(["ip", "-json", "address", "show", "scope", "global"], check=False)
    found = json.loads(done.stdout or b"[]")
    return (
        f"{one['local']}/{one['prefixlen']} on {each['ifname']}"
        for each in found
        for one in each.get("addr_info", ())
        if "local" in one
    )


async def _lines(command: str) -> list[str]:
    words = command.split()
    if shutil.which(words[0]) is None:
        return []
    done = await anyio.run_process(words, check=False, stderr=subprocess.DEVNULL)
    text = _VARYING_PARTS.sub("", done.stdout.decode(errors="replace"))
    before = f"{words[0]}: " if len(words) == 1 else ""
    return [before + line.strip() for line in text.splitlines() if _is_rule(line)]


def _is_rule(line: str) -> bool:
    """Returns whether a line is a rule; the firewall's comments, empty tables and empty chains are none."""
    return _EMPTY.fullmatch(line.strip()) is None


def removed(roots: Sequence[tuple[str, str]]) -> list[str]:
    """Returns the paths of all files that were removed; `roots` as for `end_state`."""
    return sorted(path for root in roots for path, state in _files(*root) if state.kind == "removed")


def _files(root: str, path: str) -> Iterator[tuple[str, FileState]]:
    for directory, names, files in os.walk(root):
        inside = os.path.join(path, os.path.relpath(directory, root)) if directory != root else path
        names[:] = [name for name in names if not _is_excluded(os.path.join(inside, name))]
        for name in files:
            seen = os.path.join(inside, name)
            if not _is_excluded(seen):
                state = _file(os.path.join(directory, name))
                if state is not None:
                    yield seen, state


def _is_excluded(path: str) -> bool:
    return path.startswith(_NOT_COMPARED) or "__pycache__" in path


_KINDS: Mapping[int, str] = {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFBLK: "device"}


def _file(path: str) -> FileState | None:
    """Returns a file's state; None if it doesn't exist any more."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            target = os.readlink(path)
            return FileState(kind="link", lines=(target,), count=1, digest=target)
        if stat.S_ISCHR(found.st_mode):  # an overlay's whiteout: the file was removed
            return FileState(kind="removed", lines=None, count=0, digest="")
        if not stat.S_ISREG(found.st_mode):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "other")
            return FileState(kind=kind, lines=None, count=0, digest="")
        with open(path, "rb") as file:
            content = file.read(_MAX_SIZE + 1)
            if len(content) > _MAX_SIZE or b"\0" in content:
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return FileState(kind="file", lines=None, count=found.st_size, digest=digest)
    except OSError:
        return None
    text = VARYING.sub("#", content.decode(errors="replace"))
    lines = tuple(sorted(text.splitlines()))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return FileState(kind="file", lines=lines, count=len(lines), digest=digest)
