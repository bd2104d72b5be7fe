"""What the tool that makes the table of CTDB's own scripts takes for events; its proof runs with CTDB itself."""

from __future__ import annotations

import provided_events as tool
import pytest

from ctdb_eventd.events import CATALOGUE


def test_it_knows_every_event_of_ctdbs_with_as_many_arguments() -> None:
    expected = {name: len(kind.arguments) for name, kind in CATALOGUE.items()}
    assert {name: len(args) for name, args in tool.EVENTS.items()} == expected


@pytest.mark.parametrize(
    "line", ["monitor)", "  startup | monitor )", "(monitor|shutdown)", "monitor|*)", "re-monitor | monitor)"]
)
def test_a_label_is_found_among_others(line: str) -> None:
    assert tool.has_label(f"case $1 in\n{line}\n", "monitor")


@pytest.mark.parametrize("line", ["monitor-x)", "# monitor", "monitor()", "$(monitor)"])
def test_what_is_no_label(line: str) -> None:
    assert not tool.has_label(f"case $1 in\n{line}\n", "monitor")


def test_traces_are_the_same_but_for_the_name_and_the_number_of_arguments() -> None:
    one = "+ [ 4 != 4 ]\n+ mkdir -p /state/monitor\n+ log monitor 10.0.0.1\n"
    other = "+ mkdir -p /state/monitor\n+ log no-such-event 10.0.0.1\n"
    assert tool.named(one, "monitor") == tool.named(other, "no-such-event")
    assert tool.named("+ [ 3 != 4 ]\n", "monitor") == "+ [ 3 != 4 ]\n"


def test_a_row_is_read_as_it_is_written() -> None:
    for row in (tool.Row("00.ctdb", "ab", ("init", "monitor")), tool.Row("functions", "cd", None)):
        assert tool.row_of(row.text("4.22")) == row
