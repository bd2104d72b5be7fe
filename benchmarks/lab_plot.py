"""The picture of the lab's failovers: time against number of addresses, one panel for each case."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.lab_cases import Case, Samples

__all__ = ["Plotted", "draw", "lacking"]

Plotted = dict[Case, Mapping[int, Samples]]
"""For each case the samples by number of addresses."""

_SIDES = (("CTDB's event daemon", "#b3541e", "o"), ("ctdb-eventd", "#1f6f8b", "s"))


def lacking() -> str:
    """Says what this environment lacks for drawing; empty if nothing."""
    return (
        "" if importlib.util.find_spec("matplotlib") else "drawing needs matplotlib: .venv/bin/pip install -e '.[plot]'"
    )


def draw(path: Path, plotted: Plotted) -> None:
    """Writes the SVG file."""
    # not at the top: only who draws needs it, and it takes a second
    import matplotlib  # type: ignore[import-not-found,unused-ignore]

    matplotlib.use("svg")
    # text stays text, and the file is the same for the same figures
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lab", "font.size": 9})
    from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]

    figure, axes = pyplot.subplots(1, len(plotted), figsize=(4 * len(plotted), 3.4), squeeze=False)
    for axis, (case, samples) in zip(axes[0], plotted.items(), strict=True):
        _panel(axis, case, samples)
    axes[0][0].set_ylabel("seconds until every address is usable again")
    axes[0][0].legend(frameon=False)
    figure.suptitle("ctdb disable on one of three nodes: a third of the addresses moves")
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _panel(axis: Any, case: Case, samples: Mapping[int, Samples]) -> None:
    counts = sorted(samples)
    for side, (label, colour, marker) in enumerate(_SIDES):
        taken = [statistics.median(samples[count].away[side]) for count in counts]
        axis.plot(counts, taken, color=colour, marker=marker, label=label)
    axis.set_title(case.summary, fontsize=9)
    axis.set_xlabel("public addresses of the cluster")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
