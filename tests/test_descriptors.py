"""The limit of descriptors: raised step by step when it is reached, and never beyond what is allowed."""

from __future__ import annotations

import logging
import resource

import attrs
import pytest

from ctdb_eventd.descriptors import raise_limit

MOST = 1 << 16
INFINITE = resource.RLIM_INFINITY


@attrs.define
class Limit:
    """The kernel's side."""

    soft: int
    hard: int
    error: Exception | None = None


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    made = Limit(1024, INFINITE)

    def setrlimit(which: int, limits: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        if made.error is not None:
            raise made.error
        made.soft, made.hard = limits

    monkeypatch.setattr(resource, "getrlimit", lambda which: (made.soft, made.hard))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    return made


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, INFINITE, 2048),
        (1024, 1 << 20, 2048),
        (1024, 1500, 1500),
        (40_000, INFINITE, MOST),
        (40_000, 1 << 20, MOST),
        (40_000, 50_000, 50_000),
        (1, 2, 2),
    ],
)
def test_it_is_doubled_as_far_as_it_may(
    limit: Limit, caplog: pytest.LogCaptureFixture, soft: int, hard: int, expected: int
) -> None:
    caplog.set_level("INFO", "ctdb_eventd")
    limit.soft, limit.hard = soft, hard
    assert raise_limit()
    assert (limit.soft, limit.hard) == (expected, hard)
    (record,) = caplog.records
    assert logging.INFO < record.levelno < logging.WARNING
    assert record.getMessage() == (
        f"{soft} descriptors are in use, so up to {expected} are allowed from now on (ulimit -n)"
    )


@pytest.mark.parametrize(
    ("soft", "hard"),
    [(1024, 1024), (MOST, INFINITE), (MOST, 1 << 20), (1 << 20, 1 << 20), (INFINITE, INFINITE), (0, 0)],
)
def test_it_is_left_alone_where_it_can_not_grow(
    limit: Limit, caplog: pytest.LogCaptureFixture, soft: int, hard: int
) -> None:
    limit.soft, limit.hard = soft, hard
    assert not raise_limit()
    assert (limit.soft, limit.hard, caplog.records) == (soft, hard, [])


@pytest.mark.parametrize("error", [PermissionError(1, "Operation not permitted"), ValueError("not allowed")])
def test_a_kernel_that_refuses_is_believed(limit: Limit, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    limit.error = error
    assert not raise_limit()
    assert caplog.records == []


def test_it_ends_somewhere(limit: Limit) -> None:
    steps = 0
    while raise_limit():
        steps += 1
    assert (steps, limit.soft) == (6, MOST)
