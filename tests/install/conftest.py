"""The fake node, once for each way to record an installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from .helper_place import Place
from .tree import FakeNode, has_dpkg

_needs_dpkg = pytest.mark.skipif(not has_dpkg, reason="no dpkg-divert on this machine")


@pytest.fixture(params=[pytest.param(True, id="dpkg", marks=_needs_dpkg), pytest.param(False, id="marker")])
def node(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """A node with CTDB's own daemon in place."""
    monkeypatch.delenv("DPKG_MAINTSCRIPT_PACKAGE", raising=False)
    return FakeNode(tmp_path / "node", dpkg=request.param)


@pytest.fixture
def rpm_node(tmp_path: Path) -> FakeNode:
    """A node without dpkg, for what doesn't depend on it."""
    return FakeNode(tmp_path / "node", dpkg=False)


@pytest.fixture
def dpkg_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """A node with dpkg."""
    if not has_dpkg:
        pytest.skip("no dpkg-divert on this machine")
    monkeypatch.delenv("DPKG_MAINTSCRIPT_PACKAGE", raising=False)
    return FakeNode(tmp_path / "node", dpkg=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A helper directory where CTDB's daemon is kept aside and nothing is in its place yet."""
    return Place(tmp_path)
