"""Reports figures: as a table, line by line as they are measured, and as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.results import Figure, LimitKind, Unit, Verdict

__all__ = ["report", "row", "write_json"]

_WIDTHS = (62, 10, 10, 20, 10, 8)


def report(figures: Iterable[Figure], json_file: Path | None) -> int:
    """Prints the table, each figure as soon as it is measured; returns how many missed their limits.

    Args:
        figures: Measured while they are iterated.
        json_file: Where they are written too.
    """
    begin = time.monotonic()
    print(_heading(), flush=True)
    found = []
    for figure in figures:
        found.append(figure)
        print(row(figure), flush=True)
    missed = sum(figure.verdict is Verdict.MISSED for figure in found)
    print(f"\n{len(found)} figures in {time.monotonic() - begin:.0f} s, {missed} limits missed")
    if json_file:
        write_json(json_file, found)
    return missed


def _heading() -> str:
    titles = ("figure", "C or other", "ours", "ratio (quartiles)", "limit", "verdict")
    return _line(titles) + "\n" + _line(tuple("-" * width for width in _WIDTHS))


def row(figure: Figure) -> str:
    """Returns the line of one figure, its note last."""
    ratio = figure.ratio
    cells = (
        figure.name,
        _number(figure.theirs, figure.unit),
        _number(figure.ours, figure.unit),
        f"{ratio.value:.3g} ({ratio.low:.3g}-{ratio.high:.3g})" if ratio else "",
        _limit(figure),
        figure.verdict.value,
    )
    return _line(cells) + (f"  {figure.note}" if figure.note else "")


def write_json(path: Path, figures: Sequence[Figure]) -> None:
    """Writes all figures; seconds, MiB and plain counts, not rounded."""
    path.write_text(
        json.dumps(
            {"python": sys.version, "figures": [_as_dictionary(figure) for figure in figures]},
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )


def _line(cells: Sequence[str]) -> str:
    name, *rest = (
        cell.ljust(width) if column in (0, 5) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    )
    return "  ".join([name, *rest]).rstrip()


def _number(value: float | None, unit: Unit) -> str:
    if value is None:
        return ""
    if unit is Unit.COUNT:
        return f"{value:g}"
    if unit is Unit.MEBIBYTES:
        return f"{value:.1f} MiB"
    for scale, name in ((1, "s"), (1e3, "ms")):
        if abs(value) * scale >= 1:
            return f"{value * scale:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


def _limit(figure: Figure) -> str:
    if figure.limit is None:
        return ""
    value = f"{figure.limit.value:g}"
    if figure.limit.kind in (LimitKind.OURS_AT_MOST, LimitKind.OURS_AT_LEAST) and figure.unit is Unit.MEBIBYTES:
        value += " MiB"
    return figure.limit.kind.value.format(value).replace("ours ", "")


def _as_dictionary(figure: Figure) -> dict[str, object]:
    ratio, limit = figure.ratio, figure.limit
    return {
        "name": figure.name.strip(),
        "unit": figure.unit.value,
        "theirs": figure.theirs,
        "ours": figure.ours,
        "ratio": ratio and {"value": ratio.value, "first_quartile": ratio.low, "third_quartile": ratio.high},
        "limit": limit and {"kind": limit.kind.name.lower(), "value": limit.value},
        "verdict": figure.verdict.value,
        "note": figure.note,
    }
