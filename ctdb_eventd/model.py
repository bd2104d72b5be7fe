"""What the broker talks about: events, scripts and how they went. Values only, no behaviour beyond reading them."""

from __future__ import annotations

import enum
import errno

import attrs

__all__ = [
    "CANNOT_EXECUTE",
    "DISABLED",
    "MOST_ARGUMENTS",
    "MOST_SAID",
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

# A script's result is what the wire says of it: 0 is success, 1 to 255 its exit status, and below zero an errno that
# says why there is no exit status.
DISABLED = -errno.ENOEXEC
"""Not executable, a dangling link, or gone: skipped."""
TIMED_OUT = -errno.ETIMEDOUT
"""It was running when the event's time ran out."""
SIGNALLED = -errno.EINTR
"""Killed by a signal."""
NOT_REACHED = -errno.ENOMSG
"""An earlier script failed, or the run came to its end before."""
CANNOT_EXECUTE = -errno.EOPNOTSUPP
"""The kernel refused the file with ENOEXEC. That very number means "disabled" on the wire, so another one is sent."""


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
        """The result of the reply to the request that asked for the run."""
        return int(self.value)

    @property
    def word(self) -> str:
        """Its name for people and programs: `success`, `failed`, `timed-out`, `cancelled`."""
        return self.name.lower().replace("_", "-")


@attrs.frozen(kw_only=True)
class LastRun:
    """How a script went when it ran last."""

    state: str
    """As of a `ScriptReport`."""
    ended: float
    """Seconds since the epoch."""


@attrs.frozen(kw_only=True)
class ScriptReport:
    """How one script of an event went."""

    name: str
    """As shown to people: without `.script`."""
    begin: int
    """Start, in microseconds since the epoch (wall time, for display); 0 if it was never started."""
    end: int
    """End, in microseconds since the epoch: the start and the time measured by the monotonic clock."""
    result: int
    """0, an exit status, or a negative errno: see the constants above."""
    output: bytes = b""
    """What it printed, capped."""
    known_from: str | None = attrs.field(default=None, repr=False)
    """It was not started, for it doesn't handle the event: where that is known from, in one word. None for others."""
    last: LastRun | None = attrs.field(default=None, repr=False)
    """It was not reached: how it went when it ran last for this event. None for others, and if that isn't known."""

    @property
    def started(self) -> float | None:
        """When it was started, in seconds since the epoch; None if it was not."""
        return self.begin / 1e6 if self.begin and self.known_from is None else None

    @property
    def failed(self) -> bool:
        """Tells whether this result makes its event fail."""
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
    """How one run of an event went. Compared by identity, so that encodings can be kept for each."""

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
    """What a run of an event is to do."""

    component: str
    """Names the directory of scripts."""
    event: str
    """The scripts' first argument."""
    args: tuple[str, ...]
    """Their further arguments."""
    timeout: int
    """Seconds from the moment it starts to run; 0 is no limit."""
    run_all: bool
    """Go on after a script failed."""

    def __str__(self) -> str:
        return f"{self.component} {' '.join((self.event, *shortened(self.args, MOST_SAID)))}"


MOST_ARGUMENTS = 4096
"""Characters of the arguments that are kept of an event that is over, and told of one that runs."""
MOST_SAID = 1000
"""Characters of the arguments when an event is named to people."""
_FEWEST = 8
"""Characters for which each argument counts at least: empty ones take room too."""


def shortened(args: tuple[str, ...], characters: int) -> tuple[str, ...]:
    """Returns arguments as far as there is room for them; what is cut, or left out behind, ends in `...`."""
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


# One is made for every run, and frozen fields take four times as long to set: ctdbd waits for many runs in turn that
# have nothing to do. Compared by identity, so that encodings can be kept for each.
@attrs.define(kw_only=True, eq=False)
class RunRecord:
    """One run of an event, when it is over. Treat as immutable."""

    run: str
    """Its id."""
    spec: EventSpec
    address: str | None
    """Of an address event, in canonical form."""
    outcome: EventOutcome
    queued: float
    """When it was asked for: seconds since the epoch (wall time, for display)."""
    waited: float
    """Seconds from then to its start; to its end, if it never started. By the monotonic clock."""
    seconds: float
    """From its start to its end; 0 if it never started. By the monotonic clock."""
    script_waits: float = 0.0
    """For how many of these its scripts waited, for locks and more."""
    report: EventReport
    """Script by script; of a run that was cancelled as far as it came."""
    former: bool = False
    """It was a former daemon's; what is known of it is in the history."""


@attrs.frozen(kw_only=True)
class Wait:
    """A run waited for something."""

    what: str
    """Its place in the queue (`queue`), a processor (`slot`), or locks, separated by blanks."""
    holder: str | None
    """Who was before it, or had the lock, in words; None if nobody is known."""
    began: float
    """Seconds since the epoch."""
    seconds: float
    script: str | None = None
    """The script that waited; None if it was the run, before its start."""


@attrs.frozen(kw_only=True)
class ComponentHealth:
    """One component's health."""

    component: str
    healthy: bool
    """Its latest monitor event succeeded."""
    since: float
    """Since when it has been so: seconds since the epoch."""
    script: str | None
    """The script that failed; None if it is healthy."""
    result: int
    """That script's result, 0 if it is healthy."""
