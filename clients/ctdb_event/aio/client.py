"""The client for event loops, on anyio: many requests at once on one connection, under asyncio and trio.

Methods only: what they ask is in `requests`, how it gets there in `connection`.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Unpack, overload

from ctdb_event import requests
from ctdb_event.aio.connection import Connection
from ctdb_event.aio.streams import HeldLock, RunStream, Subscription
from ctdb_event.broker import Hello, Stats
from ctdb_event.inventory import Component, EventInfo, Lock, ScriptFiles, Upgrade
from ctdb_event.opening import choose_dialects, default_path
from ctdb_event.past import PastRun, TimeSpent, Which
from ctdb_event.results import Overview, Run
from ctdb_event.words import Kind, Outcome

__all__ = ["AsyncClient", "connect"]


def connect(path: str | None = None, dialect: str = "auto", environ: Mapping[str, str] | None = None) -> AsyncClient:
    """Returns a client that connects when its block is entered: `async with connect() as client:`.

    Args:
        path: The broker's socket; by default CTDB's own place.
        dialect: `native`, `ctdb`, or `auto`: the native one unless the daemon is CTDB's own.
        environ: Decides the default place; the process's own if None.

    Raises:
        InvalidRequest: There is no such dialect, or the environment names no place.
    """
    return AsyncClient(path, dialect, environ)


class AsyncClient:
    """A connection to the broker. Use it as an async context manager; any tasks may then share it.

    Every method raises BrokerError, and BrokerUnavailable when the connection has ended: there is no automatic
    reconnection. When a task is cancelled, its request is cancelled too; the connection stays usable.
    """

    def __init__(
        self, path: str | None = None, dialect: str = "auto", environ: Mapping[str, str] | None = None
    ) -> None:
        """Doesn't connect yet; see `connect`."""
        path = default_path(os.environ if environ is None else environ) if path is None else path
        self._connection = Connection(path, choose_dialects(dialect))

    async def __aenter__(self) -> AsyncClient:
        """Connects, and finds out which dialect to speak.

        Raises:
            BrokerUnavailable: No daemon listens there.
            BrokerError: The server doesn't speak the requested dialect.
        """
        await self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the connection, which ends all pending requests."""
        await self._connection.leave()

    async def close(self) -> None:
        """Ends the connection; pending requests raise BrokerUnavailable. Idempotent."""
        await self._connection.close()

    @property
    def path(self) -> str:
        """The broker's socket."""
        return self._connection.path

    @property
    def dialect(self) -> str:
        """The dialect that is spoken, `native` or `ctdb`.

        Raises:
            BrokerUnavailable: Nothing is spoken yet.
        """
        return self._connection.core.dialect

    # ------------------------------------------------------------------ methods

    async def hello(self, client: str = requests.CLIENT) -> Hello:
        """Asks who the broker is and what it can do; `client` is this program's name in the broker's log."""
        return await self._connection.call(requests.hello(client))

    async def ping(self) -> None:
        """Asks whether the broker answers."""
        await self._connection.call(requests.ping())

    @overload
    def run(
        self, component: str, event: str, *args: str, timeout: float = 0, run_all: bool = False
    ) -> Coroutine[Any, Any, Run]: ...

    @overload
    def run(
        self, component: str, event: str, *args: str, timeout: float = 0, run_all: bool = False, stream: Literal[True]
    ) -> RunStream: ...

    @overload
    def run(
        self, component: str, event: str, *args: str, timeout: float = 0, run_all: bool = False, detach: Literal[True]
    ) -> Coroutine[Any, Any, str]: ...

    @overload
    def run(
        self, component: str, event: str, *args: str, timeout: float = 0, run_all: bool = False, detach: bool
    ) -> Coroutine[Any, Any, Run] | Coroutine[Any, Any, str]: ...

    def run(
        self,
        component: str,
        event: str,
        *args: str,
        timeout: float = 0,
        run_all: bool = False,
        stream: bool = False,
        detach: bool = False,
    ) -> Coroutine[Any, Any, Run] | Coroutine[Any, Any, str] | RunStream:
        """Runs an event to its end: `await client.run("legacy", "takeip", "eth0", "10.0.0.1", "24", timeout=30)`.

        Cancelling it ends the run on the broker (not in the CTDB dialect, which can't say that).

        Args:
            component: Names the directory of scripts.
            event: The scripts' first argument.
            *args: Their further arguments, one each.
            timeout: Seconds from the moment it starts to run, rounded up to whole ones; 0 is no limit.
            run_all: Go on after a script has failed.
            stream: Returns what can be iterated: `async for update in client.run(..., stream=True)`.
            detach: Returns the run's id at once. The run is not tied to this client and goes on when it ends.

        Raises:
            EventError: It did not succeed; `run` of the exception says how it went.
            NoSuchComponent, InvalidRequest, QueueTimeout, WouldDeadlock: It was not run.
        """
        if stream and detach:
            raise requests.both_stream_and_detach()
        if stream:
            return RunStream(self._connection, requests.stream(component, event, args, timeout, run_all))
        if detach:
            return self._connection.call(requests.detach(component, event, args, timeout, run_all))
        return self._connection.call(requests.run(component, event, args, timeout, run_all))

    async def cancel(self, run: str) -> str:
        """Ends a run of anybody, which is answered as cancelled.

        Returns:
            What it was: `queued` or `running`.

        Raises:
            NoSuchRun: There is none of that id, or it is over.
        """
        return await self._connection.call(requests.cancel(run))

    async def status(
        self,
        component: str | None = None,
        event: str | None = None,
        *,
        address: str | None = None,
        addresses: bool = False,
        output: bool | None = None,
    ) -> Overview:
        """Asks what ran, what runs and what waits.

        Args:
            component: Only of this one.
            event: Only of this one; needs a component.
            address: Only of this one.
            addresses: Results of address events for each address, instead of the worst.
            output: With the scripts' output; by default if an event is given.

        Raises:
            NeverRan: That event has no result yet.
            NoSuchComponent: There is no such component.
        """
        return await self._connection.call(requests.status(component, event, address, addresses, output))

    async def history(self, *, limit: int = 50, **which: Unpack[Which]) -> tuple[PastRun, ...]:
        """Lists runs of this daemon and former ones, the latest at the end, without their scripts.

        Args:
            limit: Not more than so many, the latest; from 1 to 1000.
            **which: See `Which`.
        """
        return await self._connection.call(requests.history(limit, which))

    async def past_run(self, run: str | None = None, *, failed: bool = False) -> PastRun | None:
        """Returns a run with scripts, output and waits; None if the history has no such run.

        Args:
            run: Its id; None for the latest one that is over.
            failed: Of those the latest that did not succeed.
        """
        return await self._connection.call(requests.past_run(run, failed))

    async def slow(self, *, limit: int = 50, **which: Unpack[Which]) -> tuple[TimeSpent, ...]:
        """Lists how long scripts ran and what was waited for, what took most in all first.

        Args:
            limit: Not more than so many; from 1 to 1000.
            **which: In which runs, see `Which`.
        """
        return await self._connection.call(requests.slow(limit, which))

    async def components(self) -> tuple[Component, ...]:
        """Lists the components."""
        return await self._connection.call(requests.components())

    async def scripts(self, component: str) -> ScriptFiles:
        """Lists a component's event scripts, and what in its directory is none."""
        return await self._connection.call(requests.scripts(component))

    async def events(self) -> tuple[EventInfo, ...]:
        """Lists the events that the broker knows by name."""
        return await self._connection.call(requests.events())

    async def enable(self, component: str, script: str) -> None:
        """Makes a script run from now on; NoSuchScript if there is none."""
        await self._connection.call(requests.switch("enable", component, script))

    async def disable(self, component: str, script: str) -> None:
        """Makes a script not run any more."""
        await self._connection.call(requests.switch("disable", component, script))

    async def locks(self) -> tuple[Lock, ...]:
        """Lists the locks that are held or waited for."""
        return await self._connection.call(requests.locks())

    def lock(self, *names: str, wait: float | None = None) -> HeldLock:
        """Takes named locks for a block, all at once: `async with client.lock("iptables", wait=5):`.

        They are released at the block's end, whatever happens, and by the broker if the connection ends.

        Args:
            *names: Those that scripts declare, or any others.
            wait: Most seconds to wait; 0 is not at all, None without limit.

        Raises:
            LockTimeout, WouldDeadlock: On entering the block: they were not taken.
        """
        return HeldLock(self._connection, requests.lock(names, wait))

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
    ) -> Subscription:
        """Subscribes to updates about all clients' events: `async for update in client.subscribe():`.

        Args:
            kinds: Of notes, such as `["started", "finished", "health"]`; all but `output` if None.
            component: Only about this one.
            event: Only about this one.
            run: Only about the run of this id.
            outcomes: Only what ended so, such as `["failed", "timed-out"]`; then only `finished` comes.
            address: Only about this one, as it stands in results.
            report: Each `Finished` has the whole run.
        """
        return Subscription(
            self._connection, requests.subscribe(kinds, component, event, run, outcomes, address, report)
        )

    async def stats(self) -> Stats:
        """Asks what the broker counts."""
        return await self._connection.call(requests.stats())

    async def reload(self) -> tuple[str, ...]:
        """Makes the broker read its configuration again; ConfigRejected if it can't be used.

        Returns:
            What was odd about it.
        """
        return await self._connection.call(requests.reload())

    async def upgrade(self, *, cancel: bool = False) -> Upgrade | None:
        """Upgrades the broker to the version that is installed; connections and requests of clients are kept.

        Args:
            cancel: Cancel the pending upgrade instead.

        Returns:
            The result; None after `cancel`. BrokerError with code EAGAIN, and the reason in its text, if the broker
            was not upgraded.
        """
        return await self._connection.call(requests.upgrade(cancel))
