"""How events went and what is under way, as frozen values; `from_wire` makes them of plain values of either dialect.

Points in time are seconds since the epoch, for display; durations are seconds by the monotonic clock. What the
dialect that is spoken doesn't say is None, or empty. Every `from_wire` raises MalformedAnswer.
"""

from __future__ import annotations

import attrs

from ctdb_event.fields import Fields

__all__ = ["ComponentHealth", "Job", "LeftOut", "Overview", "Run", "Script"]

_FAILURES = frozenset({"failed", "killed", "timed-out", "not-started"})


@attrs.frozen(kw_only=True)
class Script:
    """How one script of a run went."""

    name: str
    """Of the file, without `.script`."""
    state: str
    """`ok`, `failed`, `killed`, `timed-out`, `disabled`, `not-reached`, `not-handled` or `not-started`."""
    result: int
    """0, an exit status, or a negative errno that says why there is none."""
    started: float | None
    """When; None if it was not."""
    seconds: float
    """How long it ran."""
    output: bytes
    """What it printed, as it came; long output is cut in its middle by the broker."""
    known_from: str | None = None
    """`not-handled`: where it is known from that it doesn't handle the event: `head`, `configuration`, `table`."""

    @property
    def text(self) -> str:
        """Its output for people; bytes that are no UTF-8 are replaced."""
        return self.output.decode(errors="replace")

    @classmethod
    def from_wire(cls, value: object) -> Script:
        """Reads one of a run's `scripts`."""
        take = Fields(value, "script")
        return cls(
            name=take.text("name"),
            state=take.text("state"),
            result=take.whole("result"),
            started=take.maybe(take.number, "started"),
            seconds=take.number("seconds"),
            output=take.binary("output"),
            known_from=take.later(lambda key: take.maybe(take.text, key), "known_from", None),
        )


@attrs.frozen(kw_only=True)
class Run:
    """How one run of an event went."""

    run: str
    """Its id; empty in the CTDB dialect."""
    component: str
    """Names the directory of scripts."""
    event: str
    """The scripts' first argument."""
    args: tuple[str, ...]
    """Their further arguments."""
    address: str | None
    """Of an address event, in its canonical form."""
    outcome: str
    """`success`, `failed`, `timed-out` or `cancelled`."""
    summary: int
    """Result of the script that failed, of the last one that did if all were run; 0 if none did."""
    queued: float | None
    """When the request came."""
    waited: float | None
    """How long from then until it started, or until its end if it never did."""
    seconds: float | None
    """How long from its start to its end; 0 if it never started."""
    scripts: tuple[Script, ...]
    """In the order in which they run."""

    @property
    def failed(self) -> tuple[Script, ...]:
        """The scripts that made it fail, or would have."""
        return tuple(script for script in self.scripts if script.state in _FAILURES)

    @classmethod
    def from_wire(cls, value: object) -> Run:
        """Reads the result of `run`, or one of the `results` of `status`."""
        take = Fields(value, "run")
        return cls(
            run=take.text("run"),
            component=take.text("component"),
            event=take.text("event"),
            args=take.texts("args"),
            address=take.maybe(take.text, "address"),
            outcome=take.text("outcome"),
            summary=take.whole("summary"),
            queued=take.maybe(take.number, "queued"),
            waited=take.maybe(take.number, "waited"),
            seconds=take.maybe(take.number, "seconds"),
            scripts=take.parts("scripts", Script.from_wire),
        )


@attrs.frozen(kw_only=True)
class Job:
    """A run that is not over."""

    run: str
    """Its id."""
    component: str
    """Names the directory of scripts."""
    event: str
    """The scripts' first argument."""
    args: tuple[str, ...]
    """Their further arguments."""
    address: str | None
    """Of an address event, in its canonical form."""
    state: str
    """`queued`, `running`, or `ending`: it is over, and what is left of its last script is being ended."""
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
    waits_for_more: int
    """How many further runs, of which `waits_for` has the first."""

    @classmethod
    def from_wire(cls, value: object) -> Job:
        """Reads one of the `jobs` of `status`."""
        take = Fields(value, "job")
        return cls(
            run=take.text("run"),
            component=take.text("component"),
            event=take.text("event"),
            args=take.texts("args"),
            address=take.maybe(take.text, "address"),
            state=take.text("state"),
            queued=take.number("queued"),
            age=take.number("age"),
            started=take.maybe(take.number, "started"),
            running=take.maybe(take.number, "running"),
            timeout=take.whole("timeout"),
            left=take.maybe(take.number, "left"),
            script=take.maybe(take.text, "script"),
            script_seconds=take.maybe(take.number, "script_seconds"),
            pid=take.maybe(take.whole, "pid"),
            waits_for=take.texts("waits_for"),
            waits_for_more=take.later(take.whole, "waits_for_more", 0),
        )


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

    @classmethod
    def from_wire(cls, value: object) -> LeftOut:
        """Reads one of the `more` of `status`."""
        take = Fields(value, "more")
        return cls(
            component=take.text("component"),
            running=take.whole("running"),
            queued=take.whole("queued"),
            oldest=take.number("oldest"),
        )


@attrs.frozen(kw_only=True)
class ComponentHealth:
    """What the latest monitor event of a component said."""

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

    @classmethod
    def from_wire(cls, value: object) -> ComponentHealth:
        """Reads one of the `health` of `status`."""
        take = Fields(value, "health")
        return cls(
            component=take.text("component"),
            healthy=take.flag("healthy"),
            since=take.number("since"),
            script=take.maybe(take.text, "script"),
            result=take.whole("result"),
        )


@attrs.frozen(kw_only=True)
class Overview:
    """What ran, runs and waits."""

    results: tuple[Run, ...]
    """The latest of each event that has come to an end of its own, or of each event for each address."""
    jobs: tuple[Job, ...]
    """What is queued and running, in order of arrival; if there is very much of it, the first ones."""
    more: tuple[LeftOut, ...]
    """What `jobs` leaves out."""
    health: tuple[ComponentHealth, ...]
    """Of each component whose monitor event ran."""

    @classmethod
    def from_wire(cls, value: object) -> Overview:
        """Reads the result of `status`."""
        take = Fields(value, "status")
        return cls(
            results=take.parts("results", Run.from_wire),
            jobs=take.parts("jobs", Job.from_wire),
            more=take.later(lambda key: take.parts(key, LeftOut.from_wire), "more", ()),
            health=take.parts("health", ComponentHealth.from_wire),
        )
