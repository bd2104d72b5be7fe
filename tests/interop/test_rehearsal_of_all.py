"""A rehearsal of all scripts that CTDB provides: with every version of it that is in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from .sites import Site

pytestmark = pytest.mark.interop


def test_all_scripts_of_ctdb_are_ready(site: Site) -> None:
    site.enable()
    if not any(Path(place).is_dir() for place in ("/var/lib/nfs/statd/sm", "/var/lib/nfs/sm")):
        # from 4.22 on it removes the files in / where there is no such directory
        (site.scripts / "60.nfs.script").unlink()
    rehearsed = site.rehearse("--addresses", "6")
    assert rehearsed.findings(problem=True) == []
    assert rehearsed.status == 0
    assert rehearsed.document["ready"] is True
    assert (rehearsed.document["addresses"], rehearsed.document["made_up"]) == (6, 4)
    assert any(call.startswith("service ") for call in rehearsed.document["calls"])
    assert rehearsed.document["time"]["fits"] is True
