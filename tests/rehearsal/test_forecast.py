"""How the time of a failover is carried on."""

from __future__ import annotations

import pytest
from rehearsals import event, one_round, script_run, timed_rounds

from ctdb_node.rehearsal.forecast import costs, forecast
from ctdb_node.rehearsal.observed import ALONE, TOGETHER


def test_nothing_moved_is_no_forecast() -> None:
    assert forecast([], 27.0) is None
    assert forecast([one_round(ALONE)], 27.0) is None


def test_the_median_of_the_rounds_counts() -> None:
    found = forecast(timed_rounds(None, (40, [2.0, 90.0, 4.0])), 27.0)
    assert found is not None
    assert (found.addresses, found.take, found.release, found.total, found.fits) == (40, 2.0, 2.0, 4.0, True)
    assert found.most is None


def test_growth_by_address_says_how_many_fit() -> None:
    # 1 s, and 0.1 s for each address
    found = forecast(timed_rounds((10, 2.0), (40, [5.0])), 27.0)
    assert found is not None
    assert found.most == pytest.approx(260, abs=1)
    assert not found.at_least


def test_too_many_is_said_as_well() -> None:
    found = forecast(timed_rounds((10, 11.0), (40, [41.0])), 27.0)
    assert found is not None
    assert (found.fits, found.most) == (False, 26)


@pytest.mark.parametrize("few", [(10, 1.0), (10, 0.999)])
def test_what_hardly_grows_is_followed_ten_times_as_far(few: tuple[int, float]) -> None:
    found = forecast(timed_rounds(few, (40, [1.0])), 27.0)
    assert found is not None
    assert (found.most, found.at_least) == (400, True)


def test_what_scripts_cost() -> None:
    slow, fast = script_run("77.slow"), script_run("10.fast")
    aside = [event(fast, kind=ALONE), event(fast, kind=TOGETHER, name="ipreallocated", address=None)]
    found = costs([event(slow, fast, kind=TOGETHER), event(slow, kind=TOGETHER, number=2), *aside])
    assert [(each.script, each.event, each.seconds) for each in found] == [
        ("77.slow", "takeip", 0.5),
        ("10.fast", "takeip", 0.5),
    ]
    assert [each.share for each in found] == pytest.approx([2 / 3, 1 / 3])
    assert costs([]) == ()
