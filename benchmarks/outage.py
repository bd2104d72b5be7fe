"""How long clients of real smbds can't write when a node goes: `python -m benchmarks.outage`, or `make bench-outage`.

Needs Debian with its samba and smbclient, and root.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence

from ctdb_lab import LabError

from benchmarks.lab import add_common_options, failed_figure, run_on_labs
from benchmarks.lab_cases import Sides
from benchmarks.lab_plot import draw
from benchmarks.outage_cases import FAULTS, SCRIPTS, Gaps, Scripts, figure, outages
from benchmarks.results import Figure

_COUNTS = (15, 60)
_Panels = dict[Scripts, dict[str, dict[int, tuple[float, float]]]]
"""For each set of scripts, by fault and number of addresses, the longest gaps; theirs and ours."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outage",
        description="Measures the longest time for which clients of Samba can't write when one of three nodes goes, "
        "with this project's event daemon and CTDB's own.",
    )
    for option, cases in (("--only", FAULTS), ("--scripts", SCRIPTS)):
        names = [case.name for case in cases]
        parser.add_argument(option, nargs="+", choices=names, default=names, help=f"of {', '.join(names)}")
    parser.add_argument(
        "--addresses", nargs="+", type=int, metavar="N", default=_COUNTS, help="public addresses of the cluster"
    )
    parser.add_argument("--rounds", type=int, metavar="N", default=3, help="of each fault (%(default)s)")
    add_common_options(parser, plot_help="draw them as SVG")
    return parser


def _measure(sides: Sides, options: argparse.Namespace, panels: _Panels) -> Iterator[Figure]:
    """Yields the figures of each set of scripts, number of addresses and fault, and adds their points to the panels."""
    faults = [fault for fault in FAULTS if fault.name in options.only]
    for scripts in (scripts for scripts in SCRIPTS if scripts.name in options.scripts):
        panels[scripts] = {fault.summary: {} for fault in faults}
        for count in options.addresses:
            try:
                for fault, gaps in outages(scripts, count, faults, sides, options.rounds):
                    panels[scripts][fault.summary][count] = (_median(gaps[0]), _median(gaps[1]))
                    yield figure(fault, scripts, count, gaps, most=count == max(options.addresses))
            except LabError as error:
                yield failed_figure(f"{count} addresses, {scripts.summary}", error)


def _median(gaps: Gaps) -> float:
    return statistics.median(max(clients) for clients in gaps)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = _parser().parse_args(arguments)
    panels: _Panels = {}
    missed = run_on_labs(options, lambda sides: _measure(sides, options, panels), samba=True)
    if missed is None:
        return 1
    if options.plot:
        rows = [
            {f"{fault}, {scripts.summary}": panel for fault, panel in by_fault.items()}
            for scripts, by_fault in panels.items()
        ]
        draw(options.plot, rows, "One of three nodes goes", "longest time without a write, seconds", same_scale=True)
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
