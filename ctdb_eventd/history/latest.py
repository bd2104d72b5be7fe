"""The latest result of each event of each component, and of each address, in memory. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

import attrs

from ctdb_eventd.errors import NeverRan
from ctdb_eventd.model import RunRecord

__all__ = ["LatestResults"]

_MOST_EVENTS = 1000
"""Events remembered. There are a dozen; made-up names must not fill the memory."""
_MOST_ADDRESSES = 10_000
"""Results by address: three events for each of 3,000 addresses, which is above any cluster."""
_MOST_OUTPUT = 64 << 20
"""Bytes of output kept with the results of events; of the oldest above that, only the output is forgotten."""
_MOST_ADDRESS_OUTPUT = 16 << 20
"""The same for results by address."""

_ByEvent = tuple[str, str]
_ByAddress = tuple[str, str, str]
K = TypeVar("K", bound=Hashable)


class LatestResults:
    """Remembers how each event went when it last ran to an end of its own."""

    def __init__(self) -> None:
        """Starts empty."""
        self._events: _Results[_ByEvent] = _Results(_MOST_EVENTS, _MOST_OUTPUT)
        self._batches: OrderedDict[_ByEvent, int | None] = OrderedDict()
        self._addresses: _Results[_ByAddress] = _Results(_MOST_ADDRESSES, _MOST_ADDRESS_OUTPUT)

    def record(self, record: RunRecord, batch: int | None = None) -> None:
        """Stores a run.

        Args:
            record: How it went.
            batch: Runs with the same number went side by side. Of them the worst is the event's latest result: a
                failed address must not be hidden by the next one that went well.
        """
        spec = record.spec
        if record.address is not None:
            self._addresses.store((spec.component, spec.event, record.address), record)
        key = spec.component, spec.event
        former, former_batch = self._events.get(key), self._batches.pop(key, None)
        if former is not None and batch is not None and batch == former_batch:
            if former.report.summary and not record.report.summary:
                record = former
        self._batches[key] = batch
        if len(self._batches) > _MOST_EVENTS:
            self._batches.popitem(last=False)
        self._events.store(key, record)

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
        """Returns the latest run of each event; the one that is over for longest first."""
        return self._events.all()

    def by_address(self) -> Iterator[RunRecord]:
        """Returns the latest run of each event for each address; the one that is over for longest first."""
        return self._addresses.all()


class _Results(Generic[K]):
    """Latest results by what they are of, within bounds. The output of the very latest one is always kept."""

    def __init__(self, most: int, most_output: int) -> None:
        self._most = most
        self._most_output = most_output
        self._records: OrderedDict[K, RunRecord] = OrderedDict()
        self._sizes: OrderedDict[K, int] = OrderedDict()  # of those that have output
        self._size = 0

    def get(self, key: K) -> RunRecord | None:
        return self._records.get(key)

    def store(self, key: K, record: RunRecord) -> None:
        self._forget(key)
        self._records[key] = record
        size = sum(len(script.output) for script in record.report.scripts)
        if size:
            self._sizes[key] = size
            self._size += size
        if len(self._records) > self._most:
            self._forget(next(iter(self._records)))
        while self._size > self._most_output and next(iter(self._sizes)) != key:
            oldest, size = self._sizes.popitem(last=False)
            self._size -= size
            self._records[oldest] = _without_output(self._records[oldest])

    def all(self) -> Iterator[RunRecord]:
        yield from self._records.values()

    def _forget(self, key: K) -> None:
        self._records.pop(key, None)
        self._size -= self._sizes.pop(key, 0)


def _without_output(record: RunRecord) -> RunRecord:
    scripts = tuple(attrs.evolve(script, output=b"") for script in record.report.scripts)
    return attrs.evolve(record, report=attrs.evolve(record.report, scripts=scripts))
