"""Skips the whole directory, with the reason, on a machine that can't run it."""

from __future__ import annotations

import pytest

from .programs import missing_requirements


@pytest.fixture(scope="session", autouse=True)
def requirements() -> None:
    """Session wide, so that it comes before any fixture that starts a real program."""
    problem = missing_requirements()
    if problem:
        pytest.skip(problem)
