"""Differences between versions of CTDB, with reasons; those of replies are in tests/interop/deviations.py."""

from __future__ import annotations

import functools
import re
import subprocess
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@functools.cache
def ctdb_version() -> tuple[int, int]:
    """The version of the CTDB that is installed here, such as (4, 17)."""
    output = subprocess.run(["/usr/bin/ctdb", "version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"(\d+)\.(\d+)", output.strip())
    assert found, f"ctdb version doesn't begin with a version: {output!r}"
    return int(found[1]), int(found[2])


@attrs.frozen(kw_only=True)
class Differs(Generic[T]):
    """A value that changed with a version of CTDB."""

    before: T
    since: tuple[int, int]
    """The first version in use that has the later value."""
    after: T
    why: str

    @property
    def here(self) -> T:
        """The value with the CTDB that is installed here."""
        return self.after if ctdb_version() >= self.since else self.before


NFS_SCRIPTS = Differs(
    before=("06.nfs", "60.nfs"),
    since=(4, 22),
    after=("60.nfs",),
    why="06.nfs, which called the callout before anything else of an event, is gone",
)

NFS_OPERATIONS = Differs(
    before=("takeip-pre", "takeip", "releaseip-pre", "releaseip"),
    since=(4, 22),
    after=("takeip", "releaseip"),
    why="the operations named -pre were those of 06.nfs",
)

UPDATEIP_SAYS: Differs[tuple[str, ...]] = Differs(
    before=("Failed to del {ip} on dev {interface}", "Tickle TCP connection"),
    since=(4, 22),
    after=(),
    why="10.interface no longer speaks of an address that it deletes to be sure, nor of connections that aren't there",
)

SENDS_LEADING_EMPTY_ARGUMENT = Differs(
    before=True,
    since=(4, 25),
    after=False,
    why="ctdb-event puts a space between arguments only behind something; scripts see words",
)

SENDS_STARTIPREALLOCATE = Differs(
    before=False,
    since=(4, 22),
    after=True,
    why="the event is new",
)
