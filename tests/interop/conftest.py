"""Skips the whole directory, with the reason, on a machine that can't run it; fails if INTEROP_REQUIRED says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from skipping import skip_or_fail

from .programs import missing_requirements
from .sites import Site


@pytest.fixture(scope="session", autouse=True)
def requirements() -> None:
    """Session-wide, so that it runs before any fixture that starts a real program."""
    skip_or_fail(missing_requirements())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A configuration directory like the machine's, without scripts."""
    return Site(tmp_path / "etc")
