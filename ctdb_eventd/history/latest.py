"""The latest result of each event of each component, and of each address, in memory. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import attrs

from ctdb_eventd.errors import NeverRan
from ctdb_eventd.model import RunRecord

__all__ = ["LatestResults"]

_MOST_EVENTS = 1000
"""Events remembered. There are a dozen; whoever makes up names must not fill the memory with them."""
_MOST_ADDRESSES = 10_000
"""Results by address: three events for each of 3,000 addresses, which is above any cluster."""
_MOST_ADDRESS_OUTPUT = 16 << 20
"""Bytes of output kept with them; of the oldest above that, only the output is forgotten."""

_ByEvent = tuple[str, str]
_ByAddress = tuple[str, str, str]


class LatestResults:
    """Remembers how each event went when it last ran to an end of its own."""

    def __init__(self) -> None:
        """Starts empty."""
        self._records: dict[_ByEvent, tuple[RunRecord, int | None]] = {}
        self._addresses = _AddressResults()

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
        former, former_batch = self._records.pop(key, (None, None))
        if former is not None and batch is not None and batch == former_batch:
            if former.report.summary and not record.report.summary:
                record = former
        self._records[key] = record, batch
        if len(self._records) > _MOST_EVENTS:
            del self._records[next(iter(self._records))]

    def get(self, component: str, event: str) -> RunRecord:
        """Returns the latest run.

        Raises:
            NeverRan: There is none.
        """
        try:
            return self._records[component, event][0]
        except KeyError:
            raise NeverRan(component, event) from None

    def all(self) -> Iterator[RunRecord]:
        """Yields the latest run of each event; the one that is over for longest first."""
        for record, _ in self._records.values():
            yield record

    def by_address(self) -> Iterator[RunRecord]:
        """Yields the latest run of each event for each address; the one that is over for longest first."""
        return self._addresses.all()


class _AddressResults:
    """Latest results by event and address, within bounds."""

    def __init__(self) -> None:
        self._records: OrderedDict[_ByAddress, RunRecord] = OrderedDict()
        self._sizes: OrderedDict[_ByAddress, int] = OrderedDict()  # of those that have output
        self._size = 0

    def store(self, key: _ByAddress, record: RunRecord) -> None:
        self._forget(key)
        self._records[key] = record
        size = sum(len(script.output) for script in record.report.scripts)
        if size:
            self._sizes[key] = size
            self._size += size
        if len(self._records) > _MOST_ADDRESSES:
            self._forget(next(iter(self._records)))
        while self._size > _MOST_ADDRESS_OUTPUT:
            oldest = next(iter(self._sizes))
            self._size -= self._sizes.pop(oldest)
            self._records[oldest] = _without_output(self._records[oldest])

    def all(self) -> Iterator[RunRecord]:
        yield from self._records.values()

    def _forget(self, key: _ByAddress) -> None:
        self._records.pop(key, None)
        self._size -= self._sizes.pop(key, 0)


def _without_output(record: RunRecord) -> RunRecord:
    scripts = tuple(attrs.evolve(script, output=b"") for script in record.report.scripts)
    return attrs.evolve(record, report=attrs.evolve(record.report, scripts=scripts))
