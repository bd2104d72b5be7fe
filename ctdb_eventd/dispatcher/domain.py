"""The interface between dispatcher and broker: what clients can request. No implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from ctdb_eventd.dispatcher.peer import NamedLock, Peer
from ctdb_eventd.feed import Feed
from ctdb_eventd.history.records import Wanted
from ctdb_eventd.model import ComponentHealth, EventSpec, RunRecord
from ctdb_eventd.runs import Done, Job, LockDone
from ctdb_eventd.scheduler.snapshot import JobSnapshot, LeftOut, LockSnapshot

__all__ = ["Domain", "Jobs", "ResultDone"]

Jobs = tuple[list[JobSnapshot], list[LeftOut]]
"""`jobs` and `more` of `status`."""
ResultDone = Callable[[object], None]
"""Called once with the result, in plain values, or with a RequestError."""


class Domain(Protocol):
    """What clients can request. Each function raises RequestError or OSError if it fails.

    Those that return maps or lists return plain values in the form in which docs/protocol.md has them.
    """

    @property
    def feed(self) -> Feed:
        """Notifies subscribers."""

    def check_read(self, peer: Peer, method: str) -> None:
        """Makes sure that a peer has the right to read."""

    def check_operate(self, peer: Peer, method: str, spec: EventSpec | None = None) -> None:
        """Makes sure that a peer has the right to operate this event, or everything if none is given."""

    def audit(self, peer: Peer, action: str, subject: str = "", run: str = "", args: Sequence[str] = ()) -> None:
        """Logs who has requested an action.

        Args:
            peer: The client.
            action: The action, such as `run`.
            subject: Its object, such as `legacy/monitor`.
            run: The run's id, if the action has one.
            args: The run's arguments.
        """

    def admit_run(self, peer: Peer, spec: EventSpec, run: str = "") -> str:
        """Makes sure that a peer may run an event, and logs that; returns the run's id, empty if it has none yet.

        Args:
            peer: The client.
            spec: The event.
            run: The run's id, from `new_run`; empty to make one only if it is logged.
        """

    def run(self, spec: EventSpec, done: Done, peer: Peer, run: str = "", *, detached: bool = False) -> Job | None:
        """Runs an event for a peer, which doesn't wait for it if it is `detached`; returns None if it is over already.

        `run` is from `new_run`.
        """

    def new_run(self) -> str:
        """Returns an id for a run."""

    def cancel_run(self, job: Job) -> None:
        """Cancels a run whose client has gone: its request is not answered."""

    def revoke_run(self, job: Job, peer: Peer) -> bool:
        """Cancels a run, whose request is answered as cancelled, now or later; returns whether it had been started."""

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
        """Whether any job waits or runs."""

    def jobs(self, component: str | None, event: str | None, address: str | None) -> Jobs:
        """Returns the waiting and running jobs, up to a limit, and how many are left out. None stands for all."""

    def health(self) -> Sequence[ComponentHealth]:
        """Returns each component's health; the same object until something changes."""

    def history(self, view: str, wanted: Wanted, run: str | None, done: ResultDone) -> None:
        """Reads the history; `done` is called later with what the view shows, see history.reader.read."""

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
        """Returns version, process id, start time and limits of the daemon."""

    def stats(self) -> dict[str, Any]:
        """Returns counts and sizes."""

    def upgrade(self, done: ResultDone, *, cancel: bool) -> None:
        """Upgrades the daemon to another program, or cancels that; `done` is called with the result."""

    def reload(self) -> list[str]:
        """Reads the configuration again; returns warnings about it.

        Raises:
            ConfigError: It can't be used.
        """
