"""Events, scripts and their results as values."""

from __future__ import annotations

import enum
import errno

import attrs

__all__ = [
    "CANNOT_EXECUTE",
    "DISABLED",
    "MOST_ARGUMENTS",
    "NOT_REACHED",
    "SIGNALLED",
    "TIMED_OUT",
    "ComponentHealth",
    "EventOutcome",
    "EventReport",
    "EventSpec",
    "LastRun",
    "RunRecord",
    "ScriptReport",
    "Wait",
    "shortened",
]

# A script's result, as on the wire: 0 is success, 1 to 255 an exit status, a negative errno says why there is none.
DISABLED = -errno.ENOEXEC
"""Not executable, a dangling link, or gone: skipped."""
TIMED_OUT = -errno.ETIMEDOUT
"""It was running when the event timed out."""
SIGNALLED = -errno.EINTR
"""Killed by a signal."""
NOT_REACHED = -errno.ENOMSG
"""An earlier script failed, or the run ended before."""
CANNOT_EXECUTE = -errno.EOPNOTSUPP
"""The kernel refused the file with ENOEXEC. On the wire that number means "disabled", so another one is sent."""


_STATES = {
    0: "ok",
    DISABLED: "disabled",
    TIMED_OUT: "timed-out",
    SIGNALLED: "killed",
    NOT_REACHED: "not-reached",
}


class EventOutcome(enum.Enum):
    """How a run of an event ended."""

    SUCCESS = 0
    FAILED = errno.ENOEXEC
    TIMED_OUT = errno.ETIMEDOUT
    CANCELLED = errno.ECANCELED

    @property
    def errno(self) -> int:
        """The result in the reply to the request for the run."""
        return int(self.value)

    @property
    def word(self) -> str:
        """Its name for people and programs: `success`, `failed`, `timed-out`, `cancelled`."""
        return self.name.lower().replace("_", "-")


@attrs.frozen(kw_only=True, repr=False)
class LastRun:
    """The last result of a script."""

    state: str
    """As of a `ScriptReport`."""
    ended: float
    """Seconds since the epoch."""


@attrs.frozen(kw_only=True)
class ScriptReport:
    """The result of one script of an event."""

    name: str
    """As shown to people: without `.script`."""
    begin: int
    """Start, in microseconds since the epoch (wall time, for display); 0 if it was never started."""
    end: int
    """End, in microseconds since the epoch: the start and the time measured by the monotonic clock."""
    result: int
    """0, an exit status, or a negative errno: see the constants above."""
    output: bytes = b""
    """Its output, up to a limit."""
    known_from: str | None = attrs.field(default=None, repr=False)
    """For a script that was not started as it doesn't handle the event: the source of that, in one word; else None."""
    last: LastRun | None = attrs.field(default=None, repr=False)
    """For a script that was not reached: its last result for this event; else None, also if unknown."""

    @property
    def started(self) -> float | None:
        """When it was started, in seconds since the epoch; None if it was not."""
        return self.begin / 1e6 if self.begin and self.known_from is None else None

    @property
    def failed(self) -> bool:
        """Whether this result makes its event fail."""
        return self.result not in (0, DISABLED, NOT_REACHED)

    @property
    def state(self) -> str:
        """The result in a word: `ok`, `failed`, `killed`, `timed-out`, `disabled`, `not-reached`, `not-started`.

        One that doesn't handle the event is `not-handled`.
        """
        if self.known_from is not None:
            return "not-handled"
        return "failed" if self.result > 0 else _STATES.get(self.result, "not-started")


@attrs.frozen(kw_only=True, eq=False)
class EventReport:
    """The result of one run of an event. Compared by identity, so that encodings can be cached for each."""

    summary: int
    """Result of the script that failed, of the last one if all were run; 0 if none failed."""
    scripts: tuple[ScriptReport, ...]
    """In the order in which they run."""

    @property
    def failed(self) -> ScriptReport | None:
        """The script that failed, the last one if all were run; None if none did."""
        return next((script for script in reversed(self.scripts) if script.failed), None)


@attrs.frozen(kw_only=True)
class EventSpec:
    """An event to run."""

    component: str
    """The name of the directory of scripts."""
    event: str
    """The scripts' first argument."""
    args: tuple[str, ...]
    """Their further arguments."""
    timeout: int
    """Seconds from its start; 0 is no limit."""
    run_all: bool
    """Run the scripts after a failed one too."""

    def __str__(self) -> str:
        return f"{self.component} {' '.join((self.event, *shortened(self.args, _MOST_SAID)))}"

    @property
    def about(self) -> dict[str, object]:
        """Fields for lines of the log, see `log_lines`."""
        return {"component": self.component, "event": self.event, "arguments": shortened(self.args, _MOST_SAID)}


MOST_ARGUMENTS = 4096
"""Characters of an event's arguments that are stored, and shown of one that runs."""
_MOST_SAID = 1000
"""Characters of the arguments in messages."""
_FEWEST = 8
"""The minimum size that an argument counts: empty ones need memory too."""


def shortened(args: tuple[str, ...], characters: int) -> tuple[str, ...]:
    """Returns the first arguments, up to so many characters; the last one ends in `...` if some are cut or left out."""
    if len(args) * _FEWEST + sum(map(len, args)) <= characters:
        return args
    kept: list[str] = []
    for arg in args:
        characters -= len(arg) + _FEWEST
        if characters < 0:
            kept.append(arg[: max(0, characters + len(arg))] + "...")
            break
        kept.append(arg)
    return tuple(kept)


# Not frozen, as setting frozen fields takes four times as long, and ctdbd requests many trivial runs one by one.
# Compared by identity, so that encodings can be cached for each.
@attrs.define(kw_only=True, eq=False, repr=False)
class RunRecord:
    """One run of an event that has ended. Treat as immutable."""

    run: str
    """Its id."""
    spec: EventSpec
    address: str | None
    """Of an address event, in canonical form."""
    outcome: EventOutcome
    queued: float
    """When it was requested: seconds since the epoch (wall time, for display)."""
    waited: float
    """Seconds from then to its start; to its end, if it never started. By the monotonic clock."""
    seconds: float
    """From its start to its end; 0 if it never started. By the monotonic clock."""
    script_waits: float = 0.0
    """Seconds of these that its scripts waited, for locks, slots and files."""
    report: EventReport
    """The report of each script; incomplete for a cancelled run."""
    former: bool = False
    """It was run by a former daemon, and read from the history."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Wait:
    """A wait of a run or script."""

    what: str
    """Its place in the queue (`queue`), a processor (`slot`), or locks, separated by blanks."""
    holder: str | None
    """Who was before it, or held the lock, in words; None if unknown."""
    began: float
    """Seconds since the epoch."""
    seconds: float
    script: str | None = None
    """The script that waited; None if it was the run, before its start."""


@attrs.frozen(kw_only=True, repr=False)
class ComponentHealth:
    """One component's health."""

    component: str
    healthy: bool
    """Its latest monitor event succeeded."""
    since: float
    """Since when, in seconds since the epoch."""
    script: str | None
    """The script that failed; None if it is healthy."""
    result: int
    """That script's result, 0 if it is healthy."""
