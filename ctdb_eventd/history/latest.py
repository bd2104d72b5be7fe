"""The latest result of each event, by component and by address, in memory. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from ctdb_eventd.errors import NeverRan
from ctdb_eventd.model import NOT_REACHED, EventOutcome, EventReport, EventSpec, LastRun, RunRecord, ScriptReport

if TYPE_CHECKING:
    from ctdb_eventd.handover import SavedResults

__all__ = ["LatestResults", "former_run"]

_MOST_EVENTS = 1000
"""The maximum number of events. There are a dozen; arbitrary names must not fill the memory."""
_MOST_ADDRESSES = 10_000
"""The maximum number of results by address: three events for each of 3,000 addresses, more than any cluster has."""
_MOST_OUTPUT = 64 << 20
"""Bytes of output kept with the results of events; above that the output of the oldest results is dropped."""
_MOST_ADDRESS_OUTPUT = 16 << 20
"""The same for results by address."""

_ByEvent = tuple[str, str]
_ByAddress = tuple[str, str, str]
K = TypeVar("K", bound=Hashable)


class LatestResults:
    """The latest result of each event that wasn't cancelled."""

    def __init__(self) -> None:
        """Starts empty."""
        self._events: _Results[_ByEvent] = _Results(_MOST_EVENTS, _MOST_OUTPUT)
        self._batches: OrderedDict[_ByEvent, int] = OrderedDict()
        self._addresses: _Results[_ByAddress] = _Results(_MOST_ADDRESSES, _MOST_ADDRESS_OUTPUT)
        self._former_events: _Results[_ByEvent] = _Results(_MOST_EVENTS, _MOST_OUTPUT)
        self._former_addresses: _Results[_ByAddress] = _Results(_MOST_ADDRESSES, _MOST_ADDRESS_OUTPUT)

    def record(self, record: RunRecord, batch: int | None = None) -> None:
        """Stores a run.

        Args:
            record: Its record.
            batch: Runs with the same number ran side by side. A failed one of them is the event's latest result: it
                must not be hidden by a later one that has succeeded.
        """
        spec = record.spec
        if record.address is not None:
            self._addresses.store((spec.component, spec.event, record.address), record)
        key = spec.component, spec.event
        former, former_batch = self._events.get(key), self._batches.pop(key, None)
        record = _with_last(record, former or self._former_events.get(key))
        if former is not None and batch is not None and batch == former_batch:
            if former.report.summary and not record.report.summary:
                record = former
        if batch is not None:
            self._batches[key] = batch
            if len(self._batches) > _MOST_EVENTS:
                self._batches.popitem(last=False)
        self._events.store(key, record)

    def carry(self, records: Iterable[RunRecord]) -> None:
        """Stores the latest runs of previous daemons, the oldest first; each is used until this daemon has a result.

        `get` doesn't return them: for CTDB's programs, events that ran before the start never ran.
        """
        for record in records:
            key = record.spec.component, record.spec.event
            self._former_events.store(key, record)
            if record.address is not None:
                self._former_addresses.store((*key, record.address), record)

    def saved_state(self) -> dict[str, Any]:
        """Returns the state for another program: fields of `handover.SavedResults`."""
        return {
            "events": self._events.records,
            "addresses": self._addresses.records,
            "former_events": self._former_events.records,
            "former_addresses": self._former_addresses.records,
        }

    def restore(self, saved: SavedResults) -> None:
        """Restores the state of a previous program."""
        for records, events in (saved.events, self._events), (saved.former_events, self._former_events):
            for record in records:
                events.store((record.spec.component, record.spec.event), record)
        for records, addresses in (saved.addresses, self._addresses), (saved.former_addresses, self._former_addresses):
            for record in records:
                addresses.store((record.spec.component, record.spec.event, record.address or ""), record)

    def former(self, component: str, event: str) -> RunRecord | None:
        """Returns the latest run by a previous daemon; None if unknown."""
        return self._former_events.get((component, event))

    def get(self, component: str, event: str) -> RunRecord:
        """Returns the latest run.

        Raises:
            NeverRan: There is none.
        """
        record = self._events.get((component, event))
        if record is None:
            raise NeverRan(component, event)
        return record

    def all(self) -> Iterator[RunRecord]:
        """Returns the latest run of each event, in the order of their ends."""
        return self._events.all_with(self._former_events)

    def by_address(self) -> Iterator[RunRecord]:
        """Returns the latest run of each event for each address, in the order of their ends."""
        return self._addresses.all_with(self._former_addresses)


class _Results(Generic[K]):
    """Latest results by key, within bounds. The output of the latest one is always kept."""

    def __init__(self, most: int, most_output: int) -> None:
        self._most = most
        self._most_output = most_output
        self._records: OrderedDict[K, RunRecord] = OrderedDict()
        self._sizes: OrderedDict[K, int] = OrderedDict()  # of results with output
        self._size = 0

    def get(self, key: K) -> RunRecord | None:
        return self._records.get(key)

    @property
    def records(self) -> tuple[RunRecord, ...]:
        return tuple(self._records.values())

    def store(self, key: K, record: RunRecord) -> None:
        self._forget(key)
        self._records[key] = record
        if size := sum(len(script.output) for script in record.report.scripts):
            self._sizes[key] = size
            self._size += size
        if len(self._records) > self._most:
            self._forget(next(iter(self._records)))
        while self._size > self._most_output and next(iter(self._sizes)) != key:
            oldest, size = self._sizes.popitem(last=False)
            self._size -= size
            self._records[oldest] = _without_output(self._records[oldest])

    def all_with(self, former: _Results[K]) -> Iterator[RunRecord]:
        yield from (record for key, record in former._records.items() if key not in self._records)
        yield from self._records.values()

    def _forget(self, key: K) -> None:
        self._records.pop(key, None)
        self._size -= self._sizes.pop(key, 0)


def _with_last(record: RunRecord, former: RunRecord | None) -> RunRecord:
    """Adds their last result to scripts that were not reached."""
    if former is None or all(script.result != NOT_REACHED for script in record.report.scripts):
        return record
    before = {script.name: script for script in former.report.scripts}
    scripts = tuple(
        attrs.evolve(script, last=_last(before.get(script.name))) if script.result == NOT_REACHED else script
        for script in record.report.scripts
    )
    return attrs.evolve(record, report=attrs.evolve(record.report, scripts=scripts))


def _last(script: ScriptReport | None) -> LastRun | None:
    if script is None or script.result == NOT_REACHED:
        return None if script is None else script.last
    return LastRun(state=script.state, ended=script.end / 1e6)


def _without_output(record: RunRecord) -> RunRecord:
    scripts = tuple(attrs.evolve(script, output=b"") for script in record.report.scripts)
    return attrs.evolve(record, report=attrs.evolve(record.report, scripts=scripts))


# ---------------------------------------------------------------------- runs of previous daemons


def former_run(run: Mapping[str, Any]) -> RunRecord:
    """Converts a run from the history to a record: see `reader.read_latest`."""
    spec = EventSpec(component=run["component"], event=run["event"], args=tuple(run["args"]), timeout=0, run_all=False)
    return RunRecord(
        run=run["run"],
        spec=spec,
        address=run["address"],
        outcome=EventOutcome[run["outcome"].upper().replace("-", "_")],
        queued=run["queued"],
        waited=run["waited"],
        seconds=run["seconds"],
        script_waits=run["script_waits"],
        report=EventReport(summary=run["summary"], scripts=tuple(map(_former_script, run["scripts"]))),
        former=True,
    )


def _former_script(script: Mapping[str, Any]) -> ScriptReport:
    begin = int((script["started"] or 0) * 1e6)
    return ScriptReport(
        name=script["name"],
        begin=begin,
        end=begin + int(script["seconds"] * 1e6),
        result=script["result"],
        output=script["output"],
        known_from=script["known_from"],
    )
