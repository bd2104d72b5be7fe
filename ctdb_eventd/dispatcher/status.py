"""The method `status`: latest results, jobs, health. The reply to the usual request is cached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from ctdb_eventd.dispatcher.domain import Domain
from ctdb_eventd.dispatcher.params import Params, check_names
from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.dispatcher.values import job_value, left_out_value, packed_run
from ctdb_eventd.errors import InvalidParameter, NeverRan
from ctdb_eventd.model import RunRecord
from ctdb_eventd.names import check_name
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.messages import Packed, Result

__all__ = ["Status"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Wanted:
    """The parameters; None stands for all."""

    component: str | None
    event: str | None
    address: str | None
    addresses: bool
    output: bool

    def concerns(self, component: str, event: str, address: str | None) -> bool:
        return self.component in (None, component) and self.event in (None, event) and self.address in (None, address)


class Status:
    """Implements the method."""

    def __init__(self, domain: Domain) -> None:
        """Reads from `domain`."""
        self._domain = domain
        # Monitoring requests the same event again and again: the reply is cached until the event has run once more, or
        # a component's health has changed.
        self._usual: WeakKeyDictionary[RunRecord, tuple[object, Result]] = WeakKeyDictionary()

    def ask(self, params: Params, peer: Peer) -> Result:
        """Returns the reply.

        Raises:
            RequestError: A parameter can't be used, or the event never ran.
        """
        usual = _usual_question(params.all)
        if usual is None or self._domain.busy:
            return self._answer(_wanted(params))
        try:
            record, health = self._domain.status(*usual), self._domain.health()
        except NeverRan:
            return self._answer(_wanted(params))
        known = self._usual.get(record)
        if known is not None and known[0] is health:
            return known[1]
        answer = self._answer(_wanted(params))
        self._usual[record] = health, answer
        return answer

    def _answer(self, wanted: _Wanted) -> Result:
        jobs, more = self._domain.jobs(wanted.component, wanted.event, wanted.address)
        try:
            records = list(self._records(wanted))
        except NeverRan:
            if not jobs:
                raise
            records = []  # it runs for the first time now
        health = [attrs.asdict(one) for one in self._domain.health() if wanted.component in (None, one.component)]
        parts = {
            "results": frames.packed_list([packed_run(record, output=wanted.output) for record in records]),
            "jobs": frames.packed([job_value(job) for job in jobs]),
            "more": frames.packed([left_out_value(one) for one in more]),
            "health": frames.packed(health),
        }
        return Result(Packed(frames.packed_map(parts)))

    def _records(self, wanted: _Wanted) -> Iterator[RunRecord]:
        if wanted.component is not None and wanted.event is not None:
            latest = self._latest(wanted.component, wanted.event)
            if not wanted.addresses and wanted.address is None:
                yield latest
                return
        by_address = wanted.addresses or wanted.address is not None
        for record in self._domain.address_results() if by_address else self._domain.results():
            if wanted.concerns(record.spec.component, record.spec.event, record.address):
                yield record

    def _latest(self, component: str, event: str) -> RunRecord:
        try:
            return self._domain.status(component, event)
        except NeverRan:
            former = self._domain.former(component, event)
            if former is None:
                raise
            return former


def _usual_question(params: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns component and event if there are no other parameters."""
    if len(params) != 2:
        return None
    component, event = params.get("component"), params.get("event")
    if type(component) is not str or type(event) is not str:
        return None
    check_names(component, "event", event)
    return component, event


def _canonical(address: str | None) -> str | None:
    """Returns an address in canonical form, as in results; a text that is no address is unchanged."""
    try:
        return None if address is None else str(ip_address(address))
    except ValueError:
        return address


def _wanted(params: Params) -> _Wanted:
    component, event = params.optional_text("component"), params.optional_text("event")
    if event is not None and component is None:
        raise InvalidParameter("component", "text, together with `event`")
    if component is not None:
        check_name("component", component)
        if event is not None:
            check_name("event", event)
    return _Wanted(
        component=component,
        event=event,
        address=_canonical(params.optional_text("address")),
        addresses=params.flag("addresses"),
        output=params.flag("output", event is not None),
    )
