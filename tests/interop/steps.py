"""The conversation that every pair of programs has, and what CTDB's own pair says in it: captured from Debian's 4.17.

`deviations.py` says where it goes otherwise as soon as one of ours takes part.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

_VECTORS = Path(__file__).parent.parent / "data" / "wire-vectors.json"

_DATE = re.compile(r"(?:[A-Z][a-z]{2} ){2}[ \d]\d \d\d:\d\d:\d\d \d{4}")
_DURATION = re.compile(r"\d+\.\d{3} (?=DATE$)", re.MULTILINE)


def masked(text: str) -> str:
    """Replaces what differs from run to run, if it has the right form: dates as ctime writes them, and durations."""
    return _DURATION.sub("SECONDS ", _DATE.sub("DATE", text))


@attrs.frozen
class Expected:
    """What a command does."""

    stdout: str
    """Masked."""
    exit: int
    stderr: str | None = ""
    """Text that must appear on stderr; the empty one means that nothing may; None leaves it open."""


@attrs.frozen
class Step:
    """One command of the conversation, and what CTDB's own pair of programs answers."""

    command: str
    """The arguments, as a shell would split them."""
    expected: Expected
    run_all: bool = False
    """Ask with CTDB_EVENT_RUN_ALL in the environment."""
    name: str = ""
    """The command, and which time it is if it comes more than once."""


def _captured() -> Iterator[Step]:
    for vector in json.loads(_VECTORS.read_text()):
        arguments = vector["command"].removeprefix("ctdb-event").strip()
        yield Step(arguments, Expected(masked(vector["stdout"]), vector["exit"]))


def _named(steps: Iterable[Step]) -> Iterator[Step]:
    times: Counter[str] = Counter()
    for step in steps:
        times[step.command] += 1
        time = times[step.command]
        yield attrs.evolve(step, name=step.command if time == 1 else f"{step.command} ({time})")


def row(name: str, word: str, rest: str = "") -> str:
    """One script of a status."""
    return f"{name:20} {word:10} {rest}\n" if rest else f"{name:20} {word:10}\n"


def ok(*names: str) -> str:
    """The rows of scripts that succeeded."""
    return "".join(row(name, "OK", "SECONDS DATE") for name in names)


OFF = row("20.off", "DISABLED")
ERROR = ok("00.ok") + row("10.echo", "ERROR", "SECONDS DATE")
ALL_OK = ok("00.ok", "10.echo") + OFF + ok("30.after")
_LOCAL = "* 00.ok\n* 10.echo\n  20.off\n* 30.after\n"
_LOCAL_ALL = "* 00.ok\n* 10.echo\n* 20.off\n* 30.after\n"


def failed(event: str) -> Expected:
    """What a run says whose script failed."""
    return Expected(f"Event {event} in legacy failed\n", 8)


_FURTHER = (
    Step("run 30 legacy bare64", Expected("", 0)),
    Step("status legacy bare64", Expected(ALL_OK, 0)),
    Step("run 30 legacy words a  b 'c d'", failed("words")),
    Step("status legacy words", Expected(ERROR + "  OUTPUT: 4: a b c d\n\n", 3)),
    Step("run 30 legacy lines", failed("lines")),
    Step("status legacy lines", Expected(ERROR + "  OUTPUT: one\n\nthree\n\n\n", 1)),
    Step("run 30 legacy flip", Expected("", 0)),
    Step("status legacy flip", Expected(ALL_OK, 0)),
    Step("run 30 legacy flip", failed("flip")),
    Step("status legacy flip", Expected(ERROR + "  OUTPUT: flipped\n\n", 9)),
    Step("run 30 legacy fail", failed("fail"), run_all=True),
    Step("status legacy fail", Expected(ERROR + "  OUTPUT: bad\n\n" + OFF + ok("30.after"), 7)),
    Step("status legacy ipreallocated", Expected("Event ipreallocated has never run in legacy\n", 22)),
    Step("status ../events/legacy monitor", Expected(ALL_OK, 0)),
    Step("run 30 '' monitor", Expected("", 0)),
    Step("script enable legacy 40.given", Expected("", 0)),
    Step("script list legacy", Expected("* 40.given\n\n" + _LOCAL, 0)),
    Step("script enable legacy 40.given", Expected("", 0)),
    Step("script disable legacy 40.given", Expected("", 0)),
    Step("script disable legacy 40.given", Expected("", 0)),
    Step("script enable legacy 20.off", Expected("", 0)),
    Step("script list legacy", Expected("  40.given\n\n" + _LOCAL_ALL, 0)),
    Step("script disable legacy 20.off", Expected("", 0)),
    Step("script disable legacy 99.none", Expected("", 0)),
    Step("script list nosuch", Expected("", 2, "Command script list finished with result=2")),
    Step("script enable legacy given", Expected("Script given does not exist in legacy\n", 2)),
    Step("script enable legacy ../00.ok", Expected("Script ../00.ok does not exist in legacy\n", 2)),
    Step("script disable legacy ../00.ok", Expected("", 0)),
    Step("--debug=ERROR status empty monitor", Expected("", 0, None)),
)

STEPS = tuple(_named((*_captured(), *_FURTHER)))
"""The captured conversation in its order, then more that the captures leave open."""
CAPTURED = len(STEPS) - len(_FURTHER)
"""How many of the steps are captured ones; after them the provided script 40.given is there as well."""
