"""Reads runs that `ctdb-event history --export` has written, and converts them to values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ctdb_event.console import Failure
from ctdb_event.decoding import decode, take
from ctdb_event.errors import MalformedAnswer
from ctdb_event.past import PastRun

__all__ = ["read_exported", "whole_run"]

_INVALID = 22
_LATEST = 1e11
"""Seconds since the epoch: the year 5138. Later times are invalid, and would make the chart useless."""
_NO_RUN = (ArithmeticError, AttributeError, LookupError, MalformedAnswer, RecursionError, TypeError, ValueError)
"""Exceptions that are raised for other JSON, or other text."""


def read_exported(path: str) -> Iterator[tuple[str, PastRun]]:
    """Yields the node's name and the run of each line.

    Raises:
        Failure: The file can't be read, or a line of it is not an exported run.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                yield _read(line, f"{path}, line {number}")
    except OSError as error:
        raise Failure(f"can't read {path}: {error.strerror}") from None


def _read(line: bytes, where: str) -> tuple[str, PastRun]:
    try:
        value = json.loads(line)
        # JSON has no form for bytes
        scripts = [{**one, "output": one["output"].encode("utf-8", "surrogateescape")} for one in value["scripts"]]
        return take(str, value, "run", "node"), whole_run({**value, "scripts": scripts})
    except _NO_RUN:
        said = f"{where}: not a run; expected the output of `ctdb-event history --export`"
        raise Failure(said, _INVALID) from None


def whole_run(value: dict[str, Any]) -> PastRun:
    """Converts a run in the form of the history to a value.

    Raises:
        MalformedAnswer: It is not a run.
        ValueError: A time in it is invalid.
    """
    run = decode(PastRun, value)
    times = [run.queued, run.waited, run.seconds]
    times += [time for script in run.scripts for time in (script.started, script.seconds)]
    times += [time for wait in run.waits for time in (wait.began, wait.seconds)]
    if not all(time is None or 0 <= time < _LATEST for time in times):
        raise ValueError(f"a time of run {run.run} is invalid")
    return run
