"""The benchmarks' command line: chooses the cases, runs them and reports."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import history, native, parallel, sequential
from benchmarks.daemons import DaemonError
from benchmarks.results import Figure, Unit
from benchmarks.setting import Case, Programs, Setting, default_ours, default_theirs
from benchmarks.table import report

_CASES = (*sequential.CASES, *history.CASES, *parallel.CASES, *native.CASES)


def _parser() -> argparse.ArgumentParser:
    cases = "\n".join(f"  {case.name:<10} {case.group:<11} {case.summary}" for case in _CASES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures this project's event daemon and command line in turn with CTDB's own.",
        epilog=f"cases:\n{cases}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a limit is missed")
    parser.add_argument("--group", choices=["sequential", "parallel", "native"], help="only the cases of this group")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=[case.name for case in _CASES], help="only these cases"
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="samples of each side, instead of each case's own"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--ours", type=Path, metavar="DIR", help="measure the programs in DIR, not this interpreter's")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one round is needed")
    return number


def _figures(cases: Sequence[Case], theirs: Programs, ours: Programs, rounds: int | None) -> Iterator[Figure]:
    for case in cases:
        # between the cases: a collection must not fall into a measurement
        gc.collect()
        try:
            yield from case.measure(Setting(theirs=theirs, ours=ours, rounds=rounds or case.rounds))
        except (DaemonError, OSError, EOFError) as error:
            yield Figure(name=case.summary, unit=Unit.COUNT, note=f"{type(error).__name__}: {error}", failed=True)


def _missing(programs: Sequence[Programs]) -> list[str]:
    advice = {"C": "apt-get install ctdb", "ours": "pip install -e ."}
    return [
        f"{path} is missing; install it with `{advice[owner.label]}`" for owner in programs for path in owner.missing()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks; returns the exit status, which is not 0 only with --check."""
    options = _parser().parse_args(arguments)
    theirs, ours = default_theirs(), default_ours(options.ours)
    missing = _missing([theirs, ours])
    for line in missing:
        print(line, file=sys.stderr)
    if missing:
        return 1 if options.check else 0
    cases = [
        case
        for case in _CASES
        if (not options.only or case.name in options.only) and options.group in (None, case.group)
    ]
    gc.disable()
    missed = report(_figures(cases, theirs, ours, options.rounds), options.json)
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
