"""The client without an event loop: a plain socket, the same methods, the same results and exceptions.

For scripts and for programs whose one thread may wait. Calls may be made while a stream is iterated.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Literal, Unpack, overload

from ctdb_event import requests
from ctdb_event.broker import Hello, Stats
from ctdb_event.inventory import Component, EventInfo, Lock, ScriptFiles, Upgrade
from ctdb_event.opening import choose_dialects, default_path
from ctdb_event.past import PastRun, TimeSpent, Which
from ctdb_event.results import Overview, Run
from ctdb_event.sync.connection import connect
from ctdb_event.sync.streams import BlockingHeldLock, BlockingRunStream, BlockingSubscription
from ctdb_event.words import Kind, Outcome

__all__ = ["Client"]


class Client:
    """A connection to the broker that blocks: `with Client() as client:`. One thread at a time.

    Methods are those of `AsyncClient`, which says more about each. All raise BrokerError, and BrokerUnavailable when
    the connection has ended: there is no automatic reconnection. An interruption (KeyboardInterrupt, or whatever a
    signal handler raises) while a method runs ends the connection, and so cancels every request.
    """

    def __init__(
        self, path: str | None = None, dialect: str = "auto", environ: Mapping[str, str] | None = None
    ) -> None:
        """Connects, and finds out which dialect to speak.

        Args:
            path: The broker's socket; by default CTDB's own place.
            dialect: `native`, `ctdb`, or `auto`: the native one unless the daemon is CTDB's own.
            environ: Decides the default place; the process's own if None.

        Raises:
            BrokerUnavailable: No daemon listens there.
            BrokerError: The server doesn't speak the requested dialect.
        """
        path = default_path(os.environ if environ is None else environ) if path is None else path
        self._connection = connect(path, choose_dialects(dialect))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, and with it all pending requests. Idempotent."""
        self._connection.close()

    @property
    def path(self) -> str:
        """The broker's socket."""
        return self._connection.core.path

    @property
    def dialect(self) -> str:
        """The dialect that is spoken, `native` or `ctdb`."""
        return self._connection.core.dialect

    # ------------------------------------------------------------------ methods

    def hello(self, client: str = requests.CLIENT) -> Hello:
        """Asks who the broker is and what it can do."""
        return self._connection.call(requests.hello(client))

    def ping(self) -> None:
        """Asks whether the broker answers."""
        self._connection.call(requests.ping())

    @overload
    def run(self, component: str, event: str, *args: str, timeout: float = 0, run_all: bool = False) -> Run: ...

    @overload
    def run(
        self, component: str, event: str, *args: str, timeout: float = 0, run_all: bool = False, stream: Literal[True]
    ) -> BlockingRunStream: ...

    @overload
    def run(
        self, component: str, event: str, *args: str, timeout: float = 0, run_all: bool = False, detach: Literal[True]
    ) -> str: ...

    @overload
    def run(
        self, component: str, event: str, *args: str, timeout: float = 0, run_all: bool = False, detach: bool
    ) -> Run | str: ...

    def run(
        self,
        component: str,
        event: str,
        *args: str,
        timeout: float = 0,
        run_all: bool = False,
        stream: bool = False,
        detach: bool = False,
    ) -> Run | str | BlockingRunStream:
        """Runs an event to its end; with `stream` returns what can be iterated, with `detach` the run's id at once.

        Raises:
            EventError: It did not succeed; `run` of the exception says how it went.
            NoSuchComponent, InvalidRequest, QueueTimeout, WouldDeadlock: It was not run.
        """
        if stream and detach:
            raise requests.both_stream_and_detach()
        if stream:
            return BlockingRunStream(self._connection, requests.stream(component, event, args, timeout, run_all))
        if detach:
            return self._connection.call(requests.detach(component, event, args, timeout, run_all))
        return self._connection.call(requests.run(component, event, args, timeout, run_all))

    def cancel(self, run: str) -> str:
        """Ends a run of anybody, and returns what it was, `queued` or `running`; NoSuchRun if there is none."""
        return self._connection.call(requests.cancel(run))

    def status(
        self,
        component: str | None = None,
        event: str | None = None,
        *,
        address: str | None = None,
        addresses: bool = False,
        output: bool | None = None,
    ) -> Overview:
        """Asks what ran, what runs and what waits; NeverRan if that event has no result yet."""
        return self._connection.call(requests.status(component, event, address, addresses, output))

    def history(self, *, limit: int = 50, **which: Unpack[Which]) -> tuple[PastRun, ...]:
        """As `AsyncClient.history`."""
        return self._connection.call(requests.history(limit, which))

    def past_run(self, run: str | None = None, *, failed: bool = False) -> PastRun | None:
        """As `AsyncClient.past_run`."""
        return self._connection.call(requests.past_run(run, failed))

    def slow(self, *, limit: int = 50, **which: Unpack[Which]) -> tuple[TimeSpent, ...]:
        """As `AsyncClient.slow`."""
        return self._connection.call(requests.slow(limit, which))

    def components(self) -> tuple[Component, ...]:
        """Lists the components."""
        return self._connection.call(requests.components())

    def scripts(self, component: str) -> ScriptFiles:
        """Lists a component's event scripts, and what in its directory is none."""
        return self._connection.call(requests.scripts(component))

    def events(self) -> tuple[EventInfo, ...]:
        """Lists the events that the broker knows by name."""
        return self._connection.call(requests.events())

    def enable(self, component: str, script: str) -> None:
        """Makes a script run from now on; NoSuchScript if there is none."""
        self._connection.call(requests.switch("enable", component, script))

    def disable(self, component: str, script: str) -> None:
        """Makes a script not run any more."""
        self._connection.call(requests.switch("disable", component, script))

    def locks(self) -> tuple[Lock, ...]:
        """Lists the locks that are held or waited for."""
        return self._connection.call(requests.locks())

    def lock(self, *names: str, wait: float | None = None) -> BlockingHeldLock:
        """Takes named locks for a block, all at once: `with client.lock("iptables", wait=5):`."""
        return BlockingHeldLock(self._connection, requests.lock(names, wait))

    def subscribe(
        self,
        kinds: Iterable[Kind] | None = None,
        component: str | None = None,
        event: str | None = None,
        run: str | None = None,
        outcomes: Iterable[Outcome] | None = None,
        address: str | None = None,
        *,
        report: bool = False,
    ) -> BlockingSubscription:
        """Subscribes to updates about all clients' events: `for update in client.subscribe():`."""
        return BlockingSubscription(
            self._connection, requests.subscribe(kinds, component, event, run, outcomes, address, report)
        )

    def stats(self) -> Stats:
        """Asks what the broker counts."""
        return self._connection.call(requests.stats())

    def reload(self) -> tuple[str, ...]:
        """Makes the broker read its configuration again, and returns what was odd about it."""
        return self._connection.call(requests.reload())

    def upgrade(self, *, cancel: bool = False) -> Upgrade | None:
        """Upgrades the broker to the version that is installed; connections and requests of clients are kept.

        Args:
            cancel: Cancel the pending upgrade instead.

        Returns:
            The result; None after `cancel`. BrokerError with code EAGAIN, and the reason in its text, if the broker
            was not upgraded.
        """
        return self._connection.call(requests.upgrade(cancel))
