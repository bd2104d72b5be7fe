"""The interface between dispatcher and broker: what requests can ask for. No implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from ctdb_eventd.dispatcher.peer import NamedLock, Peer
from ctdb_eventd.feed import Feed
from ctdb_eventd.history.records import Wanted
from ctdb_eventd.model import ComponentHealth, EventSpec, RunRecord
from ctdb_eventd.runs import Done, Job, LockDone
from ctdb_eventd.scheduler.snapshot import JobSnapshot, LeftOut, LockSnapshot

__all__ = ["Domain", "Jobs", "Told"]

Jobs = tuple[list[JobSnapshot], list[LeftOut]]
"""`jobs` and `more` of `status`."""
Told = Callable[[object], None]
"""Called once with what was asked for, in plain values, or a RequestError."""


class Domain(Protocol):
    """What can be asked for. Each function raises RequestError, or OSError, for what it can't do.

    Those that return maps or lists return plain values in the form in which docs/protocol.md has them.
    """

    @property
    def feed(self) -> Feed:
        """Publishes what happens."""

    def check_read(self, peer: Peer, method: str) -> None:
        """Makes sure that a peer may look."""

    def check_operate(self, peer: Peer, method: str, spec: EventSpec | None = None) -> None:
        """Makes sure that a peer may change something: this event, or anything if there is none."""

    def audit(self, peer: Peer, action: str, subject: str = "", run: str = "", args: Sequence[str] = ()) -> None:
        """Logs who has something done or changed.

        Args:
            peer: Who asks.
            action: For what.
            subject: What it is about, such as `legacy/monitor`.
            run: The run's id, if it is about one.
            args: The run's arguments.
        """

    def admit_run(self, peer: Peer, spec: EventSpec, run: str = "") -> str:
        """Makes sure that a peer may run an event, and logs who does; returns the run's id, empty if it has none yet.

        Args:
            peer: Who asks.
            spec: For what.
            run: Its id, from `new_run`; empty for one that is needed only for the log.
        """

    def run(self, spec: EventSpec, done: Done, peer: Peer, run: str = "", *, detached: bool = False) -> Job | None:
        """Runs an event for a peer, which doesn't wait for it if it is `detached`; returns None if it is over already.

        `run` is from `new_run`.
        """

    def new_run(self) -> str:
        """Returns an id for a run."""

    def cancel_run(self, job: Job) -> None:
        """Takes back a run: it will not be answered."""

    def revoke_run(self, job: Job, peer: Peer) -> bool:
        """Has a run answered as cancelled, now or in a moment; tells whether it was more than waiting."""

    def find_run(self, run: str) -> Job | None:
        """Returns the run of an id if it waits or runs."""

    def status(self, component: str, event: str) -> RunRecord:
        """Returns the latest run of a component's event."""

    def former(self, component: str, event: str) -> RunRecord | None:
        """Returns the latest run of a component's event by a former daemon, None if that isn't known."""

    def results(self) -> Iterator[RunRecord]:
        """Returns the latest run of each event."""

    def address_results(self) -> Iterator[RunRecord]:
        """Returns the latest run of each event for each address."""

    @property
    def busy(self) -> bool:
        """Tells whether anything waits or runs."""

    def jobs(self, component: str | None, event: str | None, address: str | None) -> Jobs:
        """Returns what waits and runs, of these if they are not None: as much of it as may be, and what is left out."""

    def health(self) -> Sequence[ComponentHealth]:
        """Returns each component's health; the same object until something changes."""

    def history(self, view: str, wanted: Wanted, run: str | None, done: Told) -> None:
        """Reads the history; `done` is called once with what the view shows, in a moment; see history.reader.read."""

    def set_script(self, component: str, script: str, enable: bool) -> None:
        """Enables or disables a component's script."""

    def components(self) -> list[dict[str, Any]]:
        """Returns the components."""

    def scripts(self, component: str) -> dict[str, Any]:
        """Returns the files of a component."""

    def events(self) -> list[dict[str, Any]]:
        """Returns the events that are known by name."""

    def locks(self) -> Iterator[LockSnapshot]:
        """Returns the locks that are held or waited for."""

    def lock(self, names: tuple[str, ...], wait: float | None, done: LockDone, peer: Peer) -> NamedLock:
        """Takes locks for a peer; see LockDone."""

    def hello(self) -> dict[str, Any]:
        """Returns who we are, but for the methods."""

    def stats(self) -> dict[str, Any]:
        """Returns counts and sizes."""

    def upgrade(self, done: Told, *, cancel: bool) -> None:
        """Has the daemon go on as another program, or that given up; `done` is called with what came of it."""

    def reload(self) -> list[str]:
        """Reads the configuration again; returns warnings about it.

        Raises:
            ConfigError: It can't be used.
        """
