"""Plots of measurements on the lab: time against number of addresses, one panel for each case."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Panel", "draw", "lacking"]

Panel = Mapping[int, tuple[float, float]]
"""By number of addresses: seconds with CTDB's event daemon, and with ours."""

_SIDES = (("CTDB's event daemon", "#b3541e", "o"), ("ctdb-eventd", "#1f6f8b", "s"))


def lacking() -> str:
    """Says which package is missing for drawing; empty if none."""
    return (
        "" if importlib.util.find_spec("matplotlib") else "drawing needs matplotlib: .venv/bin/pip install -e '.[plot]'"
    )


def draw(
    path: Path, rows: Sequence[Mapping[str, Panel]], title: str, measure: str, *, same_scale: bool = False
) -> None:
    """Writes the SVG file.

    Args:
        path: The file.
        rows: Panels by their titles, row by row; each row has as many.
        title: Of the whole figure.
        measure: Label of the vertical axes.
        same_scale: The panels of a row share their vertical scale.
    """
    # not at the top: the import takes a second, and only drawing needs it
    import matplotlib  # type: ignore[import-not-found,unused-ignore]

    matplotlib.use("svg")
    # text as text, and reproducible output
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lab", "font.size": 9})
    from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]

    columns = len(rows[0])
    size = (4 * columns, 3.4 * len(rows))
    figure, axes = pyplot.subplots(
        len(rows), columns, figsize=size, squeeze=False, sharey="row" if same_scale else "none"
    )
    for row, line in zip(rows, axes, strict=True):
        for (name, panel), axis in zip(row.items(), line, strict=True):
            _draw_panel(axis, name, panel)
        line[0].set_ylabel(measure)
    for axis in axes[-1]:
        axis.set_xlabel("public addresses of the cluster")
    axes[0][0].legend(frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _draw_panel(axis: Any, name: str, panel: Panel) -> None:
    counts = sorted(panel)
    for side, (label, colour, marker) in enumerate(_SIDES):
        axis.plot(counts, [panel[count][side] for count in counts], color=colour, marker=marker, label=label)
    axis.set_title(name, fontsize=9)
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
