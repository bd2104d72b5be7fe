"""The exporter's process: follows the daemon's updates, asks it at each scrape, and serves or writes the metrics.

All that touches the model runs in the event loop; the threads of the HTTP server ask it there.
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
from ctdb_event.exporter.model import Answers, Model
from ctdb_event.words import Kind

__all__ = ["Exporter", "serve", "write_often", "write_once"]

_RETRY = 1.0
"""Seconds until the next attempt, when the daemon has gone."""
_ANSWER_TIMEOUT = 5.0
"""Seconds within which the daemon has to answer: Prometheus waits 10."""
_KINDS: tuple[Kind, ...] = ("script-finished", "finished", "lock-acquired")


class Exporter:
    """What one daemon did since this process started, and what it says now."""

    def __init__(self, path: str) -> None:
        """Asks nothing yet; `path` is the daemon's socket."""
        self._path = path
        self._model = Model()
        self._trouble = ""

    async def follow(self) -> None:
        """Counts updates until it is cancelled; a daemon that goes, or is not there yet, is waited for."""
        while True:
            try:
                await self._follow_one()
            except BrokerError as error:
                self._complain(str(error))
            await anyio.sleep(_RETRY)

    async def _follow_one(self) -> None:
        async with connect(self._path, "native") as client:
            # In this order: an address that moves between the two is noticed twice rather than not at all.
            async with client.subscribe(_KINDS) as updates:
                started = (await client.hello("ctdb-event exporter")).started
                self._model.know_addresses(await client.status(addresses=True), started)
                self._complain("")
                async for update in updates:
                    self._model.apply(update)

    async def metrics(self) -> list[Metric]:
        """Asks the daemon, and returns all metrics; of a daemon that doesn't answer only those that are counted."""
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
        """Says what is wrong, once until it is something else."""
        if trouble and trouble != self._trouble:
            complain(f"ctdb-event exporter: waiting for the daemon: {trouble}")
        self._trouble = trouble


class _Scrape(Collector):
    """What the HTTP server's threads ask."""

    def __init__(self, exporter: Exporter, portal: BlockingPortal) -> None:
        self._exporter = exporter
        self._portal = portal

    def collect(self) -> Iterable[Metric]:
        return self._portal.call(self._exporter.metrics)


class _Ready(Collector):
    """Metrics that are there already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


async def serve(path: str, host: str, port: int) -> None:
    """Serves metrics by HTTP until it is cancelled.

    Raises:
        Failure: There can be no server at this address.
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
    """Writes what the daemon says now; there is nothing to be counted."""
    await _write(Exporter(path), file)


async def write_often(path: str, file: str, every: float) -> None:
    """Writes all metrics again and again until it is cancelled."""
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
