"""A chart as lines of text."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from past_runs import past_run, script, wait

from ctdb_event.commands.screen import width
from ctdb_event.timeline.model import Chart, draw
from ctdb_event.timeline.terminal import lines


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def chart() -> Chart:
    scripts = (script("10.interface", 1, 2), script("13.route", 5, 4.6), script("50.samba", 9.6, 0.1, "failed"))
    waits = (wait("queue", 0, 1), wait("routes", 3, 2, "13.route"))
    failed = past_run("a", 0, 1, 9, outcome="failed", scripts=scripts, waits=waits)
    return draw([("node1", failed), ("no\x1bde2", past_run("b", 4, 0, 2, event="monitor", args=(), address=None))])


def drawn(columns: int, only_ascii: bool = False) -> list[str]:
    return ["".join(text for text, _ in line).rstrip(" ") for line in lines(chart(), columns, only_ascii)]


def test_the_whole_picture() -> None:
    assert drawn(72) == [
        "2023-11-14 22:13:20.000 to 22:13:30.000, 10s",
        "node1",
        "10.0.0.1       ░░░███████████████████████████✗  takeip failed 9.0s",
        "  10.interface    ██████                        2.0s",
        "  13.route              ░░░░░░░██████████████   4.6s, waited 2.0s for r…",
        "  50.samba                                   ✗  exit status 3 0.1s",
        "no\\x1bde2",
        "legacy monitor             ███████              monitor 2.0s",
        "               0s              5s",
        "█ ran  ▒ cancelled or interrupted  ▓ running  ░ waited  ✗ failed",
    ]


def test_on_a_screen_without_unicode() -> None:
    text = "\n".join(drawn(72, only_ascii=True))
    assert text.isascii()
    assert "...##" in text
    assert "4.6s, waited 2.0s for...\n" in text


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_it_fits_onto_the_screen(columns: int) -> None:
    rows = drawn(columns)[2:-2]
    assert max(width(row) for row in rows) <= columns


def test_failures_and_waits_have_styles() -> None:
    found = {style: text for line in lines(chart(), 72, False) for text, style in line if text.strip()}
    assert found["bad"] == "✗"
    assert "█" in found["good"]


def test_a_failure_is_not_hidden_by_a_neighbour() -> None:
    runs = [past_run("a", 0, 0, 0.001, outcome="failed"), past_run("b", 0.001, 0, 1000)]
    text = ["".join(text for text, _ in line) for line in lines(draw(("n", run) for run in runs), 80, False)]
    assert "✗█" in text[2]
