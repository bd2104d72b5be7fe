"""A rehearsal of all scripts that CTDB provides: with every version of it that is in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .sites import Site

pytestmark = pytest.mark.interop

_PLACES = Path("/var/lib/nfs/sm"), Path("/var/lib/nfs/statd/sm")
"""Where packages of `rpc.statd` have its directory."""


@pytest.fixture
def statd_directory() -> Iterator[None]:
    """As on every NFS server: from CTDB 4.22 on, 60.nfs removes the files in / where there is no such directory."""
    if any(place.is_dir() for place in _PLACES):
        yield
        return
    place = _PLACES[0]
    made = [each for each in (place, *place.parents) if not each.exists()]
    place.mkdir(parents=True)
    try:
        yield
    finally:
        for each in made:
            os.rmdir(each)


@pytest.mark.usefixtures("statd_directory")
def test_all_scripts_of_ctdb_are_ready(site: Site) -> None:
    site.enable()
    rehearsed = site.rehearse("--addresses", "6")
    assert rehearsed.findings(problem=True) == []
    assert rehearsed.status == 0
    assert rehearsed.document["ready"] is True
    assert (rehearsed.document["addresses"], rehearsed.document["made_up"]) == (6, 4)
    assert any(call.startswith("service ") for call in rehearsed.document["calls"])
    assert rehearsed.document["time"]["fits"] is True
