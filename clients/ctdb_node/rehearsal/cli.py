"""`ctdb-node rehearse`: passes in sandboxes, tries with locks, and the report."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

import attrs

from ctdb_node.problems import NodeError
from ctdb_node.rehearsal import request as requests
from ctdb_node.rehearsal.differing import Difference, differences
from ctdb_node.rehearsal.findings import Trial, candidates, findings, lock_name
from ctdb_node.rehearsal.observed import ALONE, Observations, Request
from ctdb_node.rehearsal.report import Result, as_json, as_text
from ctdb_node.rehearsal.sandbox import missing, observe

__all__ = ["rehearse"]

_READY, _NOT_READY, _INTERRUPTED = 0, 1, 130
_MOST_TRIALS = 8
"""So many scripts are tried with a lock of their own."""


def rehearse(arguments: argparse.Namespace, default_dir: str) -> tuple[int, str]:
    """Rehearses; returns the exit status and the report.

    Raises:
        NodeError: It could not be tried.
    """
    wanted = requests.wanted(arguments, default_dir)
    daemon = requests.against(arguments.against) if arguments.against else None
    if lack := missing():
        raise NodeError(lack)
    try:
        with _signals_interrupt(), _progress() as progress:
            results = list(_results(wanted, daemon, progress))
    except KeyboardInterrupt:
        print("ctdb-node: interrupted; nothing is left of the rehearsal", file=sys.stderr)
        return _INTERRUPTED, ""
    text = json.dumps(as_json(results)) if arguments.json else as_text(results)
    return _READY if results[0].ready else _NOT_READY, text


def _results(
    wanted: requests.Wanted, daemon: tuple[str, ...] | None, progress: Callable[[str], None]
) -> Iterator[Result]:
    request = wanted.request
    seen = observe(request, progress)
    trials = list(_trials(request, seen, progress))

    def result(of: Observations, tried: Sequence[Trial]) -> Result:
        found = findings(of, tried, wanted.budget, wanted.absent, request.timeout)
        return Result(request=request, seen=of, findings=found, budget=wanted.budget)

    yield result(seen, trials)
    if daemon is not None:
        other = attrs.evolve(request, daemon=daemon)
        again = observe(other, _behind(f"{daemon[0]}: ", progress))
        # a daemon that doesn't speak the native dialect can't say what the scripts are: they are the same
        yield result(attrs.evolve(again, texts=seen.texts, known=seen.known, locks=seen.locks), ())


def _trials(request: Request, seen: Observations, progress: Callable[[str], None]) -> Iterator[Trial]:
    """Tries again with a lock for one script after the other, until everything that differs is mended."""
    found = {each.key for each in _to_mend(differences(seen.rounds, seen.events))}
    scripts = candidates(seen, [each for each in differences(seen.rounds, seen.events) if each.key in found])
    attempts = [{script: lock_name(script, seen.locks)} for script in scripts[:_MOST_TRIALS]]
    if len(scripts) > 1:
        # last of all: one lock for all of them
        attempts.append({script: lock_name(scripts[0], seen.locks) for script in scripts})
    for locks in attempts:
        if not found:
            return
        about = f"with the lock {next(iter(locks.values()))} for {', '.join(locks)}: "
        again = observe(attrs.evolve(request, locks=locks, alone_rounds=1), _behind(about, progress))
        trial = Trial(locks=locks, remaining=_compared(seen, again))
        found &= {each.key for each in trial.remaining}
        yield trial


def _behind(about: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: progress(about + text)


def _to_mend(found: Sequence[Difference]) -> Iterator[Difference]:
    return (each for each in found if each.what != "output")


def _compared(first: Observations, again: Observations) -> tuple[Difference, ...]:
    """Compares side by side of the second pass with one after another of the first."""
    rounds = [each for each in first.rounds if each.kind == ALONE]
    events = [each for each in first.events if each.kind == ALONE]
    rounds += [each for each in again.rounds if each.kind != ALONE]
    events += [each for each in again.events if each.kind != ALONE]
    return differences(rounds, events)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows on a terminal, in one line, how far it has come."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return

    def show(text: str) -> None:
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        show("")


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Has SIGTERM and SIGHUP do what Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
