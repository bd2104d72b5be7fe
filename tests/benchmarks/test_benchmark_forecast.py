"""The time that a real takeover took, found in the histories of two nodes."""

from __future__ import annotations

import pytest

from benchmarks.forecast import Run, takeover_seconds

_RELEASED = [Run(event="releaseip", begin=10.5, end=12), Run(event="releaseip", begin=10.25, end=11)]
_TAKEN = [Run(event="takeip", begin=12.5, end=14), Run(event="takeip", begin=12.5, end=15)]


def _ipreallocated(begin: float, end: float) -> Run:
    return Run(event="ipreallocated", begin=begin, end=end)


def test_a_takeover_lasts_from_the_first_releaseip_to_the_last_ipreallocated_of_any_node() -> None:
    losing = [*_RELEASED, _ipreallocated(15.5, 16)]
    gaining = [*_TAKEN, _ipreallocated(15.5, 16.25)]
    assert takeover_seconds([losing, gaining], 2) == 6


def test_only_the_first_ipreallocated_after_the_last_takeip_belongs_to_it() -> None:
    """Not that of the takeover before, nor that of the one after, which moved nothing."""
    losing = [_ipreallocated(20, 21), _ipreallocated(15.5, 16), *_RELEASED, _ipreallocated(9, 9.5)]
    gaining = [*_TAKEN, _ipreallocated(9, 10), _ipreallocated(15.5, 15.75), _ipreallocated(20, 22)]
    assert takeover_seconds([losing, gaining], 2) == 5.75


def test_ipreallocated_may_begin_before_the_last_takeip_has_quite_ended() -> None:
    """The answer comes first."""
    losing = [*_RELEASED, _ipreallocated(14.75, 15.25), _ipreallocated(20, 21)]
    gaining = [*_TAKEN, _ipreallocated(14.75, 15.5), _ipreallocated(20, 21)]
    assert takeover_seconds([losing, gaining], 2) == 5.25


@pytest.mark.parametrize(
    ("losing", "gaining"),
    [
        ([*_RELEASED, _ipreallocated(15.5, 16)], [*_TAKEN, _ipreallocated(9, 10)]),
        ([*_RELEASED, _ipreallocated(15.5, 16)], [_TAKEN[0], _ipreallocated(15.5, 16)]),
        ([_RELEASED[0], _ipreallocated(15.5, 16)], [*_TAKEN, _ipreallocated(15.5, 16)]),
        ([], []),
    ],
    ids=["one node has no ipreallocated", "a takeip is missing", "a releaseip is missing", "nothing ran"],
)
def test_a_takeover_that_is_not_over_has_no_time(losing: list[Run], gaining: list[Run]) -> None:
    assert takeover_seconds([losing, gaining], 2) is None
