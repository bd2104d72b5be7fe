"""Run ids: never used twice."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd.runs import RunIds


@pytest.mark.parametrize(
    ("started", "expected"),
    [(0.0, "0-1"), (0.035, "z-1"), (0.036, "10-1"), (1_700_000_000.5, "loyw3vg4-1")],
)
def test_the_first_part_is_the_time_of_the_start(started: float, expected: str) -> None:
    assert RunIds(started).next() == expected


def test_the_second_part_is_counted() -> None:
    ids = RunIds(0.035)
    assert [ids.next() for _ in range(3)] == ["z-1", "z-2", "z-3"]


def test_it_is_now_by_default() -> None:
    before = int(time.time() * 1000)
    first, _, number = RunIds().next().partition("-")
    assert before <= int(first, 36) <= int(time.time() * 1000)
    assert number == "1"


@given(st.floats(0, 1e11), st.floats(0, 1e11))
def test_two_starts_have_no_id_in_common(first: float, second: float) -> None:
    same = int(first * 1000) == int(second * 1000)
    assert (RunIds(first).next() == RunIds(second).next()) == same
    assert int(RunIds(first).next()[:-2], 36) == int(first * 1000)
