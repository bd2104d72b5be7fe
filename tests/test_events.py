"""The event catalogue."""

from __future__ import annotations

import pytest

from ctdb_eventd.events import Mode, mode_of


def test_monitor_yields() -> None:
    assert mode_of("monitor") is Mode.MONITOR


@pytest.mark.parametrize("event", ["startup", "shutdown", "ipreallocated", "reconfigure", "made-up", "Monitor", ""])
def test_an_event_of_which_nothing_is_known_is_exclusive(event: str) -> None:
    assert mode_of(event) is Mode.EXCLUSIVE
