"""The exporter's process: subscribes to the daemon, queries it at each scrape, and serves or writes the metrics.

All code that uses the model runs in the event loop; the threads of the HTTP server call it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import anyio
from anyio.from_thread import BlockingPortal
from prometheus_client import CollectorRegistry, Metric, start_http_server, write_to_textfile
from prometheus_client.registry import Collector

from ctdb_event.aio.client import connect
from ctdb_event.console import Failure, complain, flush, say
from ctdb_event.errors import BrokerError
from ctdb_event.exporter.families import families
from ctdb_event.exporter.model import Answers, Metrics
from ctdb_event.words import Kind

__all__ = ["Exporter", "serve", "write_often", "write_once"]

_RETRY = 1.0
"""Seconds until the next attempt after the daemon has exited."""
_ANSWER_TIMEOUT = 5.0
"""Seconds until a query of the daemon times out: Prometheus waits 10."""
_KINDS: tuple[Kind, ...] = ("script-finished", "finished", "lock-acquired")


class Exporter:
    """The exporter of one daemon: counters since this process's start, and the daemon's current state."""

    def __init__(self, path: str) -> None:
        """Connects to nothing yet; `path` is the daemon's socket."""
        self._path = path
        self._model = Metrics()
        self._trouble = ""

    async def follow(self) -> None:
        """Counts updates until it is cancelled; reconnects whenever the daemon is not available."""
        while True:
            try:
                await self._follow_one()
            except BrokerError as error:
                self._complain(str(error))
            await anyio.sleep(_RETRY)

    async def _follow_one(self) -> None:
        async with connect(self._path, "native") as client:
            # in this order: an address that moves in between is counted twice rather than missed
            async with client.subscribe(_KINDS) as updates:
                started = (await client.hello("ctdb-event exporter")).started
                self._model.know_addresses(await client.status(addresses=True), started)
                self._complain("")
                async for update in updates:
                    self._model.apply(update)

    async def metrics(self) -> list[Metric]:
        """Queries the daemon and returns all metrics; only the exporter's own counters if the daemon doesn't answer."""
        return list(families(self._model, await self._answers()))

    async def _answers(self) -> Answers | None:
        try:
            with anyio.fail_after(_ANSWER_TIMEOUT):
                async with connect(self._path, "native") as client:
                    components = tuple(one.name for one in await client.components())
                    return Answers(await client.stats(), await client.status(), components)
        except TimeoutError:
            self._complain(f"the event daemon at {self._path} has not answered within {_ANSWER_TIMEOUT:g} s: it hangs")
        except BrokerError as error:
            self._complain(str(error))
        return None

    def _complain(self, trouble: str) -> None:
        """Prints a problem, but not the same one twice in a row."""
        if trouble and trouble != self._trouble:
            complain(f"ctdb-event exporter: waiting for the daemon: {trouble}")
        self._trouble = trouble


class _Scrape(Collector):
    """Collects metrics in the event loop, for the HTTP server's threads."""

    def __init__(self, exporter: Exporter, portal: BlockingPortal) -> None:
        self._exporter = exporter
        self._portal = portal

    def collect(self) -> Iterable[Metric]:
        return self._portal.call(self._exporter.metrics)


class _Ready(Collector):
    """Returns metrics that were collected before."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


async def serve(path: str, host: str, port: int) -> None:
    """Serves metrics by HTTP until it is cancelled.

    Raises:
        Failure: The address can't be used.
    """
    exporter = Exporter(path)
    async with BlockingPortal() as portal, anyio.create_task_group() as tasks:
        tasks.start_soon(exporter.follow)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Scrape(exporter, portal))
        try:
            server, _ = start_http_server(port, host, registry)
        except OSError as error:
            text = f"can't listen on {host}, port {port}: {error.strerror}; --listen HOST:PORT names another address"
            raise Failure(text) from None
        shown = f"[{host}]" if ":" in host else host
        say(f"ctdb-event exporter: metrics are at http://{shown}:{server.server_port}/metrics\n")
        flush()


async def write_once(path: str, file: str) -> None:
    """Writes the daemon's current state; there are no counters."""
    await _write(Exporter(path), file)


async def write_often(path: str, file: str, every: float) -> None:
    """Writes all metrics repeatedly until it is cancelled."""
    exporter = Exporter(path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exporter.follow)
        while True:
            await _write(exporter, file)
            await anyio.sleep(every)


async def _write(exporter: Exporter, file: str) -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Ready(await exporter.metrics()))
    try:
        write_to_textfile(file, registry)
    except OSError as error:
        raise Failure(f"can't write {file}: {error.strerror}") from None
