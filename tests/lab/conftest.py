"""Skips what needs a lab, with the reason, on a machine that can't run one; fails if INTEROP_REQUIRED says so."""

from __future__ import annotations

import os

import pytest
from ctdb_lab.plan import eventd_path
from ctdb_lab.requirements import missing_requirements


@pytest.fixture(scope="session")
def able() -> None:
    """This machine can run a lab."""
    problem = missing_requirements(eventd_path("ours"))
    if problem and os.environ.get("INTEROP_REQUIRED"):
        # `make interop` promises that they run: a green result must not hide that none did
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
