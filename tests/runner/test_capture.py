"""Captured output: the head, the tail, and a true count of what lies between."""

from __future__ import annotations

import time
import tracemalloc
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctdb_eventd.runner.capture import Capture


def captured(limit: int, *chunks: bytes) -> bytes:
    capture = Capture(limit)
    for chunk in chunks:
        capture.feed(chunk)
    return capture.result()


def expected(limit: int, printed: bytes) -> bytes:
    half = limit // 2
    missing = len(printed) - 2 * half
    if missing <= 0:
        return printed
    gap = f"\n[ctdb-eventd: {missing} bytes of output left out here]\n".encode()
    return printed[:half] + gap + printed[len(printed) - half :]


@settings(deadline=None)
@given(st.integers(0, 40), st.lists(st.binary(max_size=50), max_size=12))
def test_head_and_tail_are_kept_however_the_output_comes(limit: int, chunks: list[bytes]) -> None:
    assert captured(limit, *chunks) == expected(limit, b"".join(chunks))


@settings(deadline=None)
@given(st.integers(2, 40), st.lists(st.binary(max_size=50), max_size=8))
def test_looking_in_between_changes_nothing(limit: int, chunks: list[bytes]) -> None:
    capture = Capture(limit)
    printed = b""
    for chunk in chunks:
        capture.feed(chunk)
        printed += chunk
        assert capture.result() == expected(limit, printed)


def test_no_output_is_empty() -> None:
    assert captured(10) == b""


@pytest.mark.parametrize("printed", [b"short", b"just-right"])
def test_output_within_the_limit_is_whole(printed: bytes) -> None:
    assert captured(10, printed) == printed


def test_where_output_is_missing_a_line_says_how_much() -> None:
    assert captured(10, b"beginXXXXXXXending") == b"begin\n[ctdb-eventd: 8 bytes of output left out here]\nnding"


def test_memory_is_bounded_whatever_is_printed() -> None:
    chunk = bytes(1 << 16)
    capture = Capture(1 << 20)
    tracemalloc.start()
    try:
        for _ in range(1600):
            capture.feed(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert f"{1600 * (1 << 16) - (1 << 20)} bytes".encode() in capture.result()


# ---------------------------------------------------------------------- when it came


class Clock:
    """The time that output comes at, in seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "time", lambda: self.now)


def moments(capture: Capture) -> list[tuple[bytes, float]]:
    """Each line that is kept, and when it came."""
    came, position, found = capture.came, 0, []
    for line in capture.result().split(b"\n"):
        found.append((line, came[bisect_right(came, position, key=lambda mark: mark[0]) - 1][1]))
        position += len(line) + 1
    return found


def test_each_line_has_the_time_at_which_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, capture = Clock(monkeypatch), Capture(1000)
    assert capture.came == []
    for clock.now, data in ((1.0, b"one\ntw"), (1.001, b"o\n"), (2.0, b"three\n"), (3.0, b"four")):
        capture.feed(data)
    assert moments(capture) == [(b"one", 1.0), (b"two", 1.0), (b"three", 2.0), (b"four", 3.0)]


def test_where_output_is_missing_the_rest_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, capture = Clock(monkeypatch), Capture(20)
    for number in range(1, 100):
        clock.now = number
        capture.feed(b"l%03d\n" % number)
    lines = moments(capture)
    assert [line for line in lines if line[0].startswith(b"l")] == [
        *((b"l001", 1.0), (b"l002", 2.0), (b"l098", 98.0), (b"l099", 99.0))
    ]


def test_however_long_a_script_prints_few_times_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, capture = Clock(monkeypatch), Capture(1 << 20)
    for number in range(50_000):
        clock.now = number / 10
        capture.feed(b"%08d\n" % number)
    assert 400 < len(capture.came) <= 1000
    late = [int(line) / 10 - came for line, came in moments(capture) if line]
    assert min(late) >= 0
    assert max(late) < 20  # of five thousand seconds
