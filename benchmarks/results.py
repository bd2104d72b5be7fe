"""Results of benchmarks: figures, their limits, and ratios of samples. Pure: measures and prints nothing."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence

import attrs

__all__ = ["Figure", "Limit", "LimitKind", "Ratio", "Unit", "Verdict", "compared", "ours_only", "ratio_of"]


class Unit(enum.Enum):
    """What a figure's numbers count."""

    SECONDS = "s"
    MEBIBYTES = "MiB"
    COUNT = ""


class Verdict(enum.Enum):
    """How a figure compares with its limit."""

    OK = "ok"
    MISSED = "MISSED"
    INFORMATION = "info"
    """It has no limit."""
    NOT_RUN = "not run"
    """It could not be measured here; the note says why."""


class LimitKind(enum.Enum):
    """Which number of a figure is limited, and from which side."""

    RATIO_AT_MOST = "≤ {}"
    RATIO_NEAR_ONE = "1 ± {}"
    OURS_AT_MOST = "ours ≤ {}"
    OURS_AT_LEAST = "ours ≥ {}"


@attrs.frozen(kw_only=True)
class Limit:
    """What is required of a figure."""

    kind: LimitKind
    value: float
    """A ratio, how far it may be from 1, or a number in the figure's unit."""


@attrs.frozen(kw_only=True)
class Ratio:
    """Ours divided by theirs; less than 1 is better than theirs for everything measured here."""

    value: float
    """Ratio of the medians: one slow round moves it little."""
    low: float
    """First quartile of the ratios of single rounds."""
    high: float
    """Third quartile of the ratios of single rounds."""


@attrs.frozen(kw_only=True)
class Figure:
    """One line of the table."""

    name: str
    unit: Unit
    theirs: float | None = None
    """The median of CTDB's own program, or of the reference that the name mentions."""
    ours: float | None = None
    """The median of our program."""
    ratio: Ratio | None = None
    limit: Limit | None = None
    note: str = ""
    """Why there is no measurement, or other remarks."""
    failed: bool = False
    """The measurement itself went wrong, which counts as a missed limit."""

    @property
    def verdict(self) -> Verdict:
        """Compares the figure with its limit."""
        if self.failed:
            return Verdict.MISSED
        if self.ours is None:
            return Verdict.NOT_RUN
        if self.limit is None:
            return Verdict.INFORMATION
        return Verdict.OK if self._kept(self.limit, self.ours) else Verdict.MISSED

    def _kept(self, limit: Limit, ours: float) -> bool:
        match limit.kind:
            case LimitKind.RATIO_AT_MOST:
                return self.ratio is not None and self.ratio.value <= limit.value
            case LimitKind.RATIO_NEAR_ONE:
                return self.ratio is not None and 1 - limit.value <= self.ratio.value <= 1 + limit.value
            case LimitKind.OURS_AT_MOST:
                return ours <= limit.value
            case LimitKind.OURS_AT_LEAST:
                return ours >= limit.value


def ratio_of(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Compares samples. The spread is that of the ratios of single rounds, whose samples are close in time.

    If one side was measured less often (it takes too long), each sample is compared with the other side's median.

    Raises:
        ValueError: A side has no samples.
    """
    if not theirs or not ours:
        raise ValueError("a ratio needs samples of both sides")
    middle_theirs, middle_ours = statistics.median(theirs), statistics.median(ours)
    if len(theirs) == len(ours):
        singles = [mine / other for other, mine in zip(theirs, ours, strict=True)]
    elif len(ours) > len(theirs):
        singles = [mine / middle_theirs for mine in ours]
    else:
        singles = [middle_ours / other for other in theirs]
    low, high = _quartiles(singles)
    return Ratio(value=middle_ours / middle_theirs, low=low, high=high)


def _quartiles(samples: Sequence[float]) -> tuple[float, float]:
    if len(samples) < 2:
        return samples[0], samples[0]
    first, _, third = statistics.quantiles(samples, n=4, method="inclusive")
    return first, third


def compared(
    name: str,
    samples: Sequence[Sequence[float]],
    at_most: float | None = None,
    *,
    unit: Unit = Unit.SECONDS,
    note: str = "",
) -> Figure:
    """Makes a figure of theirs and our samples; `at_most` limits their ratio, None makes it informational."""
    theirs, ours = samples
    return Figure(
        name=name,
        unit=unit,
        theirs=statistics.median(theirs),
        ours=statistics.median(ours),
        ratio=ratio_of(theirs, ours),
        limit=None if at_most is None else Limit(kind=LimitKind.RATIO_AT_MOST, value=at_most),
        note=note,
    )


def ours_only(name: str, values: Sequence[float], limit: Limit | None, *, unit: Unit) -> Figure:
    """Makes a figure of two numbers, theirs and ours, whose limit, if any, is on our own; theirs is for comparison."""
    theirs, ours = values
    ratio = Ratio(value=ours / theirs, low=ours / theirs, high=ours / theirs) if theirs else None
    return Figure(name=name, unit=unit, theirs=theirs, ours=ours, ratio=ratio, limit=limit)
