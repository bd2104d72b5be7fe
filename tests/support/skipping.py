"""Skips tests on a machine that can't run them."""

from __future__ import annotations

import os

import pytest

__all__ = ["skip_or_fail"]


def skip_or_fail(problem: str) -> None:
    """Skips the test if there is a problem; fails it instead where INTEROP_REQUIRED is set.

    `make interop` sets that: a green result must not hide that no test ran.
    """
    if problem and os.environ.get("INTEROP_REQUIRED"):
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
