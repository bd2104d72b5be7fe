"""Results of events, and running and queued jobs, as frozen values for both dialects; `decoding` makes them.

Points in time are seconds since the epoch, for display; durations are seconds by the monotonic clock. Values that the
dialect doesn't have are None, or empty. Defaults are for brokers that are too old to send the key.
"""

from __future__ import annotations

import attrs

from ctdb_event.words import Outcome, ScriptState

__all__ = [
    "ComponentHealth",
    "Hung",
    "HungProcess",
    "Job",
    "LastRun",
    "LeftOut",
    "Overview",
    "Requested",
    "Run",
    "Script",
]

_FAILURES = frozenset({"failed", "killed", "timed-out", "not-started"})


@attrs.frozen(kw_only=True)
class HungProcess:
    """A process of a script that hung, as it was found before it was ended."""

    pid: int
    """Its number."""
    parent: int
    """The number of its parent process."""
    command: str
    """Its command line, shortened."""
    state: str
    """A letter, as in `ps`: R runs, S sleeps, D can't be ended, T is stopped."""
    doing: str
    """What it was doing: a phrase that follows its name."""
    wchan: str
    """The kernel function in which it waited; empty if that isn't known."""
    stack: tuple[str, ...]
    """The kernel's call stack, the innermost function first."""
    files: tuple[str, ...]
    """Its open files: the descriptor, and a path or the ends of a connection."""
    locks: tuple[str, ...]
    """Files that it had locked."""


@attrs.frozen(kw_only=True)
class Hung:
    """What a script that timed out was doing."""

    summary: str
    """The process that the others waited for, and what it was doing."""
    processes: tuple[HungProcess, ...]
    """All of them."""
    left_out: int
    """How many more there were."""


@attrs.frozen(kw_only=True)
class LastRun:
    """The result of a script's last run."""

    state: ScriptState
    """As of a `Script`."""
    ended: float
    """When."""


@attrs.frozen(kw_only=True)
class Script:
    """The result of one script of a run."""

    name: str
    """The file's name, without `.script`."""
    state: ScriptState
    """`ok`, `failed`, `killed`, `timed-out`, `disabled`, `not-reached`, `not-handled` or `not-started`."""
    result: int
    """0, an exit status, or a negative errno that says why there is none."""
    started: float | None
    """When; None if it was not."""
    seconds: float
    """How long it ran."""
    output: bytes
    """Its output; the broker cuts long output in the middle."""
    known_from: str | None = None
    """`not-handled`: where it is known from that it doesn't handle the event: `head`, `configuration`, `table`."""
    last: LastRun | None = None
    """`not-reached`: the result of its last run for this event; in `status` only."""
    hung: Hung | None = None
    """`timed-out`: what its processes were doing; in `past_run` only."""

    @property
    def text(self) -> str:
        """Its output for people; bytes that are no UTF-8 are replaced."""
        return self.output.decode(errors="replace")


@attrs.frozen(kw_only=True)
class Requested:
    """An event that was requested."""

    run: str
    """Its id; empty in the CTDB dialect."""
    component: str
    """Names the directory of scripts."""
    event: str
    """The scripts' first argument."""
    args: tuple[str, ...]
    """Their further arguments."""
    address: str | None
    """The address of an address event, in its canonical form."""


@attrs.frozen(kw_only=True)
class Run(Requested):
    """The result of one run of an event."""

    outcome: Outcome
    """`success`, `failed`, `timed-out` or `cancelled`."""
    summary: int
    """Result of the script that failed, of the last one that failed if all were run; 0 if none failed."""
    queued: float | None
    """When the request came."""
    waited: float | None
    """Seconds from then until it started, or until its end if it never started."""
    seconds: float | None
    """How long from its start to its end; 0 if it never started."""
    scripts: tuple[Script, ...]
    """In the order in which they run."""
    script_waits: float = 0.0
    """How long its scripts waited, for locks and more; part of `seconds`."""
    former: bool = False
    """It was run by a daemon before this one."""

    @property
    def failed(self) -> tuple[Script, ...]:
        """The scripts that made it fail, or would have."""
        return tuple(script for script in self.scripts if script.state in _FAILURES)


@attrs.frozen(kw_only=True)
class Job(Requested):
    """A run that has not ended."""

    state: str
    """`queued`, `running`, or `ending`: the result is known, and processes of its last script are being ended."""
    queued: float
    """When the request came."""
    age: float
    """How long ago that is."""
    started: float | None
    """When it started."""
    running: float | None
    """For how long it has been running."""
    timeout: int
    """Seconds; 0 is no limit."""
    left: float | None
    """How much of that is left; None if there is no limit, or it hasn't started."""
    script: str | None
    """The script that runs, or waits to run."""
    script_seconds: float | None
    """For how long it has been running; None if it waits."""
    pid: int | None
    """Its process, and process group."""
    waits_for: tuple[str, ...]
    """Ids of runs, names of locks, and `slot`."""
    waits_for_more: int = 0
    """How many further runs, of which `waits_for` has the first."""
    waited: float = 0.0
    """How long it waited before its start, so far."""
    script_waits: float = 0.0
    """How long its scripts have waited since then, for locks and more."""


@attrs.frozen(kw_only=True)
class LeftOut:
    """How many jobs of a component an overview leaves out."""

    component: str
    """Names the directory of scripts."""
    running: int
    """Those that have started."""
    queued: int
    """Those that have not."""
    oldest: float
    """When the request for the first of them came."""


@attrs.frozen(kw_only=True)
class ComponentHealth:
    """A component's health, by its latest monitor event."""

    component: str
    """Names the directory of scripts."""
    healthy: bool
    """No script of it failed."""
    since: float
    """When that became so."""
    script: str | None
    """The one that failed."""
    result: int
    """Its result; 0 if none failed."""


@attrs.frozen(kw_only=True)
class Overview:
    """Latest results, and running and queued jobs."""

    results: tuple[Run, ...]
    """The latest of each event that has come to an end of its own, or of each event for each address."""
    jobs: tuple[Job, ...]
    """What is queued and running, in order of arrival; if there is very much of it, the first ones."""
    more: tuple[LeftOut, ...] = ()
    """What `jobs` leaves out."""
    health: tuple[ComponentHealth, ...]
    """Of each component whose monitor event ran."""
