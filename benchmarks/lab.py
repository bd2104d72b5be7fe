"""Failovers on a cluster of real ctdbd nodes: `python -m benchmarks.lab`, or `make bench-lab` (Debian, root)."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

# the lab is no part of any package: make and the tests find it by its place as well
sys.path.insert(0, str(Path(__file__).parents[1] / "contrib" / "lab"))

from ctdb_lab import CTDB_EVENTD, LabError
from ctdb_lab.plan import eventd_path
from ctdb_lab.requirements import missing_requirements

from benchmarks.lab_cases import CASES, Case, Samples, Sides, failovers, figures
from benchmarks.lab_plot import Panel, draw, lacking
from benchmarks.results import Figure, Unit, Verdict
from benchmarks.table import heading, row, write_json


def _parser() -> argparse.ArgumentParser:
    cases = "\n".join(f"  {case.name:<10} {case.summary}" for case in CASES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lab",
        description="Measures failovers with this project's event daemon and CTDB's own, on three real ctdbd nodes.",
        epilog=f"cases:\n{cases}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a limit is missed")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=[case.name for case in CASES], default=[], help="only these cases"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="failovers of each side, instead of each case's own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="measure other numbers of addresses too, and draw all as SVG"
    )
    parser.add_argument("--ours", default="ours", metavar="PATH", help="another event daemon in the place of ours")
    return parser


def _measured(case: Case, sides: Sides, options: argparse.Namespace) -> Iterator[tuple[int, Samples]]:
    for count in (*(case.plotted if options.plot else ()), case.count):
        # one is enough for a point of the plot
        samples = failovers(case, count, sides, (options.rounds or case.rounds) if count == case.count else 1)
        if count != case.count:
            note = ", ".join(
                f"{name} {min(taken):.2f} s" for name, taken in zip(("C", "ours"), samples.away, strict=True)
            )
            print(f"  {count} {case.summary}: {note}", flush=True)
        yield count, samples


def _run(cases: Sequence[Case], sides: Sides, options: argparse.Namespace) -> tuple[list[Figure], dict[str, Panel]]:
    found: list[Figure] = []
    plotted: dict[str, Panel] = {}
    for case in cases:
        try:
            samples = dict(_measured(case, sides, options))
            plotted[case.summary] = {count: taken.medians_away for count, taken in samples.items()}
            measured = list(figures(case, samples[case.count]))
        except LabError as error:
            print(error, file=sys.stderr)
            note = str(error).partition("\n")[0]
            measured = [Figure(name=case.summary, unit=Unit.SECONDS, note=note, failed=True)]
        for figure in measured:
            print(row(figure), flush=True)
        found += measured
    return found, plotted


def unwritable(*files: Path | None) -> str:
    """Names what could not be written in the end; empty if nothing. Measuring takes minutes."""
    for file in filter(None, files):
        if not file.parent.is_dir():
            return f"{file} can't be written: there is no directory {file.parent}"
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            return f"{file} can't be written"
    return ""


def _interrupt(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def end_in_order() -> None:
    """Makes SIGTERM and SIGHUP an exception, so that the labs go down and their files with them."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = _parser().parse_args(arguments)
    end_in_order()
    ours = eventd_path(options.ours)
    missing = unwritable(options.json, options.plot) or (lacking() if options.plot else "")
    missing = missing or missing_requirements(CTDB_EVENTD) or missing_requirements(ours)
    if missing:
        print(missing, file=sys.stderr)
        return 1
    cases = [case for case in CASES if not options.only or case.name in options.only]
    begin = time.monotonic()
    print(heading(), flush=True)
    with tempfile.TemporaryDirectory(prefix="ctdb-lab-") as directory:
        found, plotted = _run(cases, Sides(directory=Path(directory), theirs=CTDB_EVENTD, ours=ours), options)
    missed = sum(figure.verdict is Verdict.MISSED for figure in found)
    print(f"\n{len(found)} figures in {time.monotonic() - begin:.0f} s, {missed} limits missed")
    if options.json:
        write_json(options.json, found)
    if options.plot and plotted:
        title = "ctdb disable on one of three nodes: a third of the addresses moves"
        draw(options.plot, [plotted], title, "seconds until every address is usable again")
    elif options.plot:
        print(f"no case was measured to its end: {options.plot} is not drawn", file=sys.stderr)
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
