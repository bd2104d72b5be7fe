"""The benchmarks' arithmetic and report: a wrong verdict would be worse than none."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from benchmarks.__main__ import main
from benchmarks.results import Figure, Limit, LimitKind, Unit, Verdict, compared, ours_only, ratio_of
from benchmarks.table import row, write_json
from benchmarks.timing import in_turn


def test_ratio_is_of_the_medians_and_its_spread_of_the_rounds() -> None:
    ratio = ratio_of([1.0, 2.0, 4.0, 2.0, 100.0], [1.0, 1.0, 1.0, 1.0, 100.0])
    assert ratio.value == 0.5
    assert (ratio.low, ratio.high) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("theirs", "ours", "low", "high"),
    [([10.0], [1.0, 2.0, 3.0], 0.15, 0.25), ([1.0, 2.0, 4.0], [4.0], 1.5, 3.0), ([4.0], [1.0], 0.25, 0.25)],
)
def test_ratio_of_sides_measured_differently_often(
    theirs: list[float], ours: list[float], low: float, high: float
) -> None:
    ratio = ratio_of(theirs, ours)
    assert (ratio.low, ratio.high) == pytest.approx((low, high))


def test_ratio_needs_samples() -> None:
    with pytest.raises(ValueError, match="samples of both sides"):
        ratio_of([], [1.0])


@pytest.mark.parametrize(("limit", "verdict"), [(0.5, Verdict.OK), (0.49, Verdict.MISSED), (None, Verdict.INFORMATION)])
def test_verdict_on_a_ratio(limit: float | None, verdict: Verdict) -> None:
    assert compared("x", ([2.0], [1.0]), limit).verdict is verdict


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [(1.0, Verdict.OK), (0.75, Verdict.OK), (0.7, Verdict.MISSED), (1.25, Verdict.OK), (1.3, Verdict.MISSED)],
)
def test_verdict_on_a_ratio_that_may_be_too_great_or_too_small(ours: float, verdict: Verdict) -> None:
    limit = Limit(kind=LimitKind.RATIO_NEAR_ONE, value=0.25)
    figure = attrs.evolve(compared("x", ([1.0], [ours])), limit=limit)
    assert figure.verdict is verdict
    assert "1 ± 0.25" in row(figure)


@pytest.mark.parametrize(
    ("kind", "ours", "verdict"),
    [
        (LimitKind.OURS_AT_MOST, 30.0, Verdict.OK),
        (LimitKind.OURS_AT_MOST, 30.1, Verdict.MISSED),
        (LimitKind.OURS_AT_LEAST, 30.0, Verdict.OK),
        (LimitKind.OURS_AT_LEAST, 29.0, Verdict.MISSED),
    ],
)
def test_verdict_on_our_own_number(kind: LimitKind, ours: float, verdict: Verdict) -> None:
    figure = ours_only("x", (0.0, ours), Limit(kind=kind, value=30.0), unit=Unit.COUNT)
    assert figure.verdict is verdict
    assert figure.ratio is None


def test_verdict_without_a_measurement() -> None:
    assert Figure(name="x", unit=Unit.COUNT).verdict is Verdict.NOT_RUN
    assert Figure(name="x", unit=Unit.COUNT, failed=True).verdict is Verdict.MISSED


def test_rounds_alternate_and_the_warm_up_is_forgotten() -> None:
    calls: list[str] = []

    def side(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    samples = in_turn(2, lambda: side("a"), lambda: side("b"))
    assert calls == ["a", "b", "a", "b", "b", "a"]
    assert samples == [[3.0, 6.0], [4.0, 5.0]]


def test_row_shows_units_that_fit() -> None:
    text = row(compared("round trip", ([2e-5], [1.5e-3]), 1.0, note="why"))
    assert text.split() == ["round", "trip", "20", "µs", "1.5", "ms", "75", "(75-75)", "≤", "1", "MISSED", "why"]


def test_json_has_unrounded_seconds(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_json(path, [compared("  round trip", ([0.123456789], [0.1]), 1.0), Figure(name="y", unit=Unit.COUNT)])
    first, second = json.loads(path.read_text())["figures"]
    assert (first["name"], first["theirs"], first["verdict"]) == ("round trip", 0.123456789, "ok")
    assert first["limit"] == {"kind": "ratio_at_most", "value": 1.0}
    assert (second["ours"], second["ratio"], second["verdict"]) == (None, None, "not run")


def test_missing_programs_are_named_and_fail_only_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--ours", str(tmp_path)]
    assert main(arguments) == 0
    assert f"{tmp_path}/ctdb-eventd is missing; install it with" in capsys.readouterr().err
    assert main([*arguments, "--check"]) == 1
