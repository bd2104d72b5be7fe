"""How long clients of real smbds can't write when a node goes: `python -m benchmarks.outage`, or `make bench-outage`.

Needs Debian with its samba and smbclient, and root.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

# the lab is no part of any package: make and the tests find it by its place as well
sys.path.insert(0, str(Path(__file__).parents[1] / "contrib" / "lab"))

from ctdb_lab import CTDB_EVENTD, LabError
from ctdb_lab.plan import eventd_path
from ctdb_lab.requirements import missing_requirements

from benchmarks.lab import end_in_order, unwritable
from benchmarks.lab_cases import Sides
from benchmarks.lab_plot import draw, lacking
from benchmarks.outage_cases import FAULTS, SCRIPTS, Gaps, Scripts, figure, outages
from benchmarks.results import Figure, Unit, Verdict
from benchmarks.table import heading, row, write_json

_COUNTS = (15, 60)
_Plotted = dict[Scripts, dict[str, dict[int, tuple[float, float]]]]
"""For each set of scripts, by fault and number of addresses, the longest gaps; theirs and ours."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outage",
        description="Measures the longest time for which clients of Samba can't write when one of three nodes goes, "
        "with this project's event daemon and CTDB's own.",
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a limit is missed")
    for option, cases in (("--only", FAULTS), ("--scripts", SCRIPTS)):
        names = [case.name for case in cases]
        parser.add_argument(option, nargs="+", choices=names, default=names, help=f"of {', '.join(names)}")
    parser.add_argument(
        "--addresses", nargs="+", type=int, metavar="N", default=_COUNTS, help="public addresses of the cluster"
    )
    parser.add_argument("--rounds", type=int, metavar="N", default=3, help="of each fault (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them as SVG")
    parser.add_argument("--ours", default="ours", metavar="PATH", help="another event daemon in the place of ours")
    return parser


def _run(sides: Sides, options: argparse.Namespace) -> tuple[list[Figure], _Plotted]:
    found: list[Figure] = []
    plotted: _Plotted = {}
    faults = [fault for fault in FAULTS if fault.name in options.only]
    for scripts in (scripts for scripts in SCRIPTS if scripts.name in options.scripts):
        panels = plotted.setdefault(scripts, {fault.summary: {} for fault in faults})
        for count in options.addresses:
            try:
                for fault, gaps in outages(scripts, count, faults, sides, options.rounds):
                    most = count == max(options.addresses)
                    found.append(figure(fault, scripts, count, gaps, most=most))
                    print(row(found[-1]), flush=True)
                    panels[fault.summary][count] = (_median(gaps[0]), _median(gaps[1]))
            except LabError as error:
                print(error, file=sys.stderr)
                name = f"{count} addresses, {scripts.summary}"
                note = str(error).partition("\n")[0]
                found.append(Figure(name=name, unit=Unit.SECONDS, note=note, failed=True))
                print(row(found[-1]), flush=True)
    return found, plotted


def _median(gaps: Gaps) -> float:
    return statistics.median(max(clients) for clients in gaps)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = _parser().parse_args(arguments)
    end_in_order()
    ours = eventd_path(options.ours)
    missing = unwritable(options.json, options.plot) or (lacking() if options.plot else "")
    missing = missing or missing_requirements(CTDB_EVENTD, samba=True) or missing_requirements(ours)
    if missing:
        print(missing, file=sys.stderr)
        return 1
    begin = time.monotonic()
    print(heading(), flush=True)
    with tempfile.TemporaryDirectory(prefix="ctdb-lab-") as directory:
        found, plotted = _run(Sides(directory=Path(directory), theirs=CTDB_EVENTD, ours=ours), options)
    missed = sum(figure.verdict is Verdict.MISSED for figure in found)
    print(f"\n{len(found)} figures in {time.monotonic() - begin:.0f} s, {missed} limits missed")
    if options.json:
        write_json(options.json, found)
    if options.plot:
        rows = [
            {f"{fault}, {scripts.summary}": panel for fault, panel in panels.items()}
            for scripts, panels in plotted.items()
        ]
        draw(options.plot, rows, "One of three nodes goes", "longest time without a write, seconds", same_scale=True)
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
