"""`ctdb-node rehearse`: runs the passes, tries additional locks, and returns the report."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

import attrs

from ctdb_node.errors import NodeError
from ctdb_node.rehearsal import request as requests
from ctdb_node.rehearsal.comparison import Difference, differences
from ctdb_node.rehearsal.findings import Trial, candidates, findings, lock_name
from ctdb_node.rehearsal.observed import ALONE, Observations, Request
from ctdb_node.rehearsal.report import Rehearsed, as_json, as_text
from ctdb_node.rehearsal.sandbox import missing, observe

__all__ = ["rehearse"]

_READY, _NOT_READY, _INTERRUPTED = 0, 1, 130
_MAX_TRIALS = 8
"""How many scripts are tried with an additional lock, each in a pass of its own."""


def rehearse(arguments: argparse.Namespace, default_dir: str) -> tuple[int, str]:
    """Rehearses; returns the exit status and the report.

    Raises:
        NodeError: The rehearsal is not possible.
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
) -> Iterator[Rehearsed]:
    request = wanted.request
    seen = observe(request, progress)
    trials = list(_trials(request, seen, progress))

    def result(of: Observations, tried: Sequence[Trial]) -> Rehearsed:
        found = findings(of, tried, wanted.budget, wanted.absent, request.timeout)
        return Rehearsed(request=request, seen=of, findings=found, budget=wanted.budget)

    yield result(seen, trials)
    if daemon is not None:
        other = attrs.evolve(request, daemon=daemon)
        again = observe(other, _prefixed(f"{daemon[0]}: ", progress))
        # a daemon without the native dialect can't list its scripts; they are the same
        yield result(attrs.evolve(again, texts=seen.texts, known=seen.known, locks=seen.locks), ())


def _trials(request: Request, seen: Observations, progress: Callable[[str], None]) -> Iterator[Trial]:
    """Runs a pass with an additional lock for one script after the other, until no difference remains."""
    found = {each.key for each in _relevant(differences(seen.rounds, seen.events))}
    scripts = candidates(seen, [each for each in differences(seen.rounds, seen.events) if each.key in found])
    attempts = [{script: lock_name(script, seen.locks)} for script in scripts[:_MAX_TRIALS]]
    if len(scripts) > 1:
        # the last attempt is one lock for all of them
        attempts.append({script: lock_name(scripts[0], seen.locks) for script in scripts})
    for locks in attempts:
        if not found:
            return
        about = f"with the lock {next(iter(locks.values()))} for {', '.join(locks)}: "
        again = observe(attrs.evolve(request, locks=locks, alone_rounds=1), _prefixed(about, progress))
        trial = Trial(locks=locks, remaining=_compared(seen, again))
        found &= {each.key for each in trial.remaining}
        yield trial


def _prefixed(about: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: progress(about + text)


def _relevant(found: Sequence[Difference]) -> Iterator[Difference]:
    return (each for each in found if each.what != "output")


def _compared(first: Observations, again: Observations) -> tuple[Difference, ...]:
    """Compares the second pass's rounds side by side with the first pass's rounds one after another."""
    rounds = [each for each in first.rounds if each.kind == ALONE]
    events = [each for each in first.events if each.kind == ALONE]
    rounds += [each for each in again.rounds if each.kind != ALONE]
    events += [each for each in again.events if each.kind != ALONE]
    return differences(rounds, events)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows the progress in one line, if stderr is a terminal."""
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
    """Makes SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
