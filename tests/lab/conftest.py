"""Skips what needs a lab, with the reason, on a machine that can't run one; fails if INTEROP_REQUIRED says so."""

from __future__ import annotations

import pytest
from ctdb_lab.plan import eventd_path
from ctdb_lab.requirements import missing_requirements
from skipping import skip_or_fail


@pytest.fixture(scope="session")
def able() -> None:
    """This machine can run a lab."""
    skip_or_fail(missing_requirements(eventd_path("ours")))
