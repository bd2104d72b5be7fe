"""CTDB's own NFS scripts, unmodified, for many addresses at once: the locks that we ship keep every callout.

Without them about one in five is skipped silently: the scripts delete and rewrite the list of wanted callouts unlocked.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from ctdb_versions import NFS_OPERATIONS, NFS_SCRIPTS

from .host import Asked, PublicAddress, lay_out, provide, releases, running_host, takes

pytestmark = pytest.mark.interop

ADDRESSES = [PublicAddress("pub0", f"10.1.0.{number}", 24) for number in range(1, 81)]

# It is slow to say what it wants to hear of, as one on a busy machine is.
_CALLOUT = """#!/bin/sh
case "$1" in
register) sleep 0.05; printf '%s\\n' {operations} ;;
*) echo "$1 $3" >>{calls} ;;
esac
"""


async def test_every_callout_is_called(tmp_path: Path) -> None:
    """At every take and every release, from the first one on, which finds no list."""
    node = lay_out(tmp_path)
    provide(node, *NFS_SCRIPTS.here)
    callout = tmp_path / "callout"
    callout.write_text(_CALLOUT.format(operations=" ".join(NFS_OPERATIONS.here), calls=node.var / "calls"))
    callout.chmod(0o755)
    with open(tmp_path / "script.options", "a") as options:
        options.write(f"CTDB_NFS_CALLOUT={callout}\n")
    async with running_host(node) as host, host.daemon.client() as client:
        # from 4.22 on a directory that takeip needs is made by it
        await host.ask(client, [Asked("startup")])
        await host.ask(client, takes(ADDRESSES))
        await host.ask(client, releases(ADDRESSES))
    expected = [f"{operation} {address.ip}" for operation in NFS_OPERATIONS.here for address in ADDRESSES]
    assert Counter(node.read("calls").splitlines()) == Counter(expected)
    assert node.log == ""
