"""Skips the whole directory, with the reason, on a machine that can't run it; fails if INTEROP_REQUIRED says so."""

from __future__ import annotations

import os

import pytest

from .programs import missing_requirements


@pytest.fixture(scope="session", autouse=True)
def requirements() -> None:
    """Session wide, so that it comes before any fixture that starts a real program."""
    problem = missing_requirements()
    if problem and os.environ.get("INTEROP_REQUIRED"):
        # `make interop` promises that they run: a green result must not hide that none did
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
