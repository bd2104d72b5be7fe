"""Made-up observations of a rehearsal, for tests of what is concluded from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from ctdb_node.rehearsal.observed import (
    ALONE,
    FEW,
    TOGETHER,
    EndState,
    Event,
    FileState,
    Leftover,
    Observations,
    Round,
    ScriptRun,
    Wait,
)

ADDRESSES = ("addresses", ("10.0.0.1/24 on eth0",))


def file_state(*lines: str, kind: str = "file") -> FileState:
    """A text file."""
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    return FileState(kind=kind, lines=tuple(sorted(lines)), count=len(lines), digest=digest)


def end_state(files: Mapping[str, FileState] | None = None, **network: tuple[str, ...]) -> EndState:
    """The state after a round."""
    return EndState(network=network, files=files or {})


def one_round(
    kind: str,
    number: int = 1,
    *,
    taken: EndState | None = None,
    released: EndState | None = None,
    seconds: tuple[float, float] = (1.0, 1.0),
    count: int = 4,
) -> Round:
    """A round; `seconds` are those of takeip and of releaseip."""
    return Round(
        kind=kind,
        number=number,
        count=count,
        taken=taken or end_state(),
        released=released or end_state(),
        take_seconds=seconds[0],
        release_seconds=seconds[1],
    )


def rounds(alone: list[EndState], together: list[EndState]) -> list[Round]:
    """Rounds with these end states after their takeip."""
    return [
        *(one_round(ALONE, number, taken=state) for number, state in enumerate(alone, start=1)),
        *(one_round(TOGETHER, number, taken=state) for number, state in enumerate(together, start=1)),
    ]


def timed_rounds(few: tuple[int, float] | None, all_of_them: tuple[int, list[float]]) -> list[Round]:
    """Rounds, each given by its number of addresses and its total seconds."""
    count, times = all_of_them
    made = [one_round(TOGETHER, seconds=(each / 2, each / 2), count=count) for each in times]
    if few is not None:
        made.append(one_round(FEW, seconds=(few[1] / 2, few[1] / 2), count=few[0]))
    return made


def script_run(name: str = "77.dns", state: str = "ok", output: str = "", result: int = 0) -> ScriptRun:
    """The result of a script."""
    return ScriptRun(name=name, state=state, result=result, seconds=0.5, output=output)


def event(
    *scripts: ScriptRun,
    name: str = "takeip",
    kind: str = ALONE,
    number: int = 1,
    address: str | None = "10.0.0.1",
    outcome: str = "success",
    waits: tuple[Wait, ...] = (),
) -> Event:
    """The result of an event."""
    return Event(
        kind=kind,
        round=number,
        event=name,
        args=("eth0", address, "24") if address else (),
        address=address,
        outcome=outcome,
        seconds=0.5,
        scripts=scripts,
        waits=waits,
    )


def observations(
    *events: Event,
    rounds: list[Round] | None = None,
    leftovers: tuple[Leftover, ...] = (),
    lint: tuple[Mapping[str, object], ...] = (),
    known: tuple[str, ...] = (),
    texts: Mapping[str, str] | None = None,
    unanswered: tuple[str, ...] = (),
    read_only: tuple[str, ...] = (),
    calls: Mapping[str, int] | None = None,
) -> Observations:
    """All observations of a rehearsal."""
    return Observations(
        daemon="ctdb-eventd",
        native=True,
        events=events,
        rounds=tuple(rounds or ()),
        leftovers=leftovers,
        calls=calls or {},
        unanswered=unanswered,
        lint=lint,
        known=known,
        texts=texts or {},
        locks=(),
        read_only=read_only,
    )
