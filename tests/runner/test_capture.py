"""Captured output: the head, the tail, and a true count of what lies between."""

from __future__ import annotations

import tracemalloc

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
