"""Failovers on a cluster of real ctdbd nodes: `python -m benchmarks.lab`, or `make bench-lab` (Debian, root)."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from ctdb_lab import CTDB_EVENTD, LabError
from ctdb_lab.plan import eventd_path
from ctdb_lab.requirements import missing_requirements

from benchmarks import forecast
from benchmarks.lab_cases import CASES, Case, Samples, Sides, failovers, figures
from benchmarks.lab_plot import Panel, draw, lacking
from benchmarks.results import Figure, Unit
from benchmarks.table import report


def _parser() -> argparse.ArgumentParser:
    summaries = {case.name: case.summary for case in CASES} | {forecast.NAME: forecast.SUMMARY}
    cases = "\n".join(f"  {name:<10} {summary}" for name, summary in summaries.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lab",
        description="Measures failovers with this project's event daemon and CTDB's own, on three real ctdbd nodes.",
        epilog=f"cases:\n{cases}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=list(summaries), default=[], help="only these cases"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="failovers of each side, instead of each case's own")
    add_common_options(parser, plot_help="measure other numbers of addresses too, and draw all as SVG")
    return parser


def add_common_options(parser: argparse.ArgumentParser, *, plot_help: str) -> None:
    """Adds the options that `run_on_labs` reads, `--check` and `--plot`."""
    parser.add_argument("--check", action="store_true", help="exit with 1 when a limit is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help=plot_help)
    parser.add_argument("--ours", default="ours", metavar="PATH", help="another event daemon in the place of ours")


def run_on_labs(
    options: argparse.Namespace, measure: Callable[[Sides], Iterator[Figure]], *, samba: bool = False
) -> int | None:
    """Measures and reports; SIGTERM and SIGHUP end it in order, so that the labs go down and their files are removed.

    Returns:
        How many limits were missed; None if something is missing that the measurement needs, which is then printed.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    ours = eventd_path(options.ours)
    missing = (
        _unwritable(options.json, options.plot)
        or (lacking() if options.plot else "")
        or missing_requirements(CTDB_EVENTD, samba=samba)
        or missing_requirements(ours)
    )
    if missing:
        print(missing, file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory(prefix="ctdb-lab-") as directory:
        return report(measure(Sides(directory=Path(directory), theirs=CTDB_EVENTD, ours=ours)), options.json)


def failed_figure(name: str, error: LabError) -> Figure:
    """Prints the error of a lab; returns the figure that stands for what couldn't be measured."""
    print(error, file=sys.stderr)
    return Figure(name=name, unit=Unit.SECONDS, note=str(error).partition("\n")[0], failed=True)


def _unwritable(*files: Path | None) -> str:
    """Says which file can't be written, before minutes of measuring; empty if all can."""
    for file in filter(None, files):
        if not file.parent.is_dir():
            return f"{file} can't be written: there is no directory {file.parent}"
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            return f"{file} can't be written"
    return ""


def _interrupt(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _samples(case: Case, sides: Sides, options: argparse.Namespace) -> Iterator[tuple[int, Samples]]:
    for count in (*(case.plotted if options.plot else ()), case.count):
        # one round is enough for a point of the plot
        samples = failovers(case, count, sides, (options.rounds or case.rounds) if count == case.count else 1)
        if count != case.count:
            note = ", ".join(
                f"{name} {min(taken):.2f} s" for name, taken in zip(("C", "ours"), samples.away, strict=True)
            )
            print(f"  {count} {case.summary}: {note}", flush=True)
        yield count, samples


def _measure(
    cases: Sequence[Case], sides: Sides, options: argparse.Namespace, panels: dict[str, Panel]
) -> Iterator[Figure]:
    """Yields the figures of each case, and adds a panel for each that is a failover of both sides."""
    for case in cases:
        try:
            samples = dict(_samples(case, sides, options))
        except LabError as error:
            yield failed_figure(case.summary, error)
            continue
        panels[case.summary] = {count: taken.medians_away for count, taken in samples.items()}
        yield from figures(case, samples[case.count])
    if not options.only or forecast.NAME in options.only:
        try:
            yield from forecast.measure(sides, options.rounds)
        except LabError as error:
            yield failed_figure(forecast.SUMMARY, error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = _parser().parse_args(arguments)
    cases = [case for case in CASES if not options.only or case.name in options.only]
    panels: dict[str, Panel] = {}
    missed = run_on_labs(options, lambda sides: _measure(cases, sides, options, panels))
    if missed is None:
        return 1
    if options.plot and panels:
        title = "ctdb disable on one of three nodes: a third of the addresses moves"
        draw(options.plot, [panels], title, "seconds until every address is usable again")
    elif options.plot:
        print(f"no failover of both sides was measured to its end: {options.plot} is not drawn", file=sys.stderr)
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
